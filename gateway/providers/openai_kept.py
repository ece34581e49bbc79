"""What a server of OpenAI's dialects keeps: asked for, changed and deleted there. Bytes pass both ways; no model is called."""

from __future__ import annotations

from typing import Final

from gateway.policy.schema_models import OpenAIProvider
from gateway.providers.http import HttpClient, addressed
from gateway.providers.http_response import HttpResponse
from gateway.providers.refusal import no_page, refusal

FINE: Final = range(200, 300)


class OpenAIKept:
    """One provider's objects. name: the provider's."""

    def __init__(self, name: str, http: HttpClient, spec: OpenAIProvider) -> None:
        self.name = name
        self._http, self._api_key, self._url = http, spec.api_key, spec.base_url.rstrip("/")
        self._headers = dict(spec.headers)
        if spec.api_key:
            self._headers["authorization"] = f"Bearer {spec.api_key}"

    async def ask(self, method: str, path: str, query: bytes, body: bytes, *, connect_s: float) -> HttpResponse:
        """The answer, its body unread; whoever gets it closes it, and bounds the time.

        path: below the base URL, quoted. query, body: as they came. Raises UpstreamError, also for an answer that is an error.
        """
        headers = {**self._headers, "content-type": "application/json"} if body else self._headers
        response = await self._http.send(method, addressed(self._url + path, query), headers, body, connect_s=connect_s)
        try:
            if response.status not in FINE:
                error = await response.read_error()
                raise refusal(self.name, response.status, response.headers, error, self._api_key)
            no_page(self.name, response.headers)
        except BaseException:
            response.close()
            raise
        return response
