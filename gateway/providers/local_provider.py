"""`kind: local`: calls for a model that this gateway runs itself, once its server is up."""

from __future__ import annotations

from gateway.errors import CONTEXT_LENGTH, UpstreamError
from gateway.providers.base import Call, Exchange
from gateway.providers.http import HttpClient
from gateway.providers.local import LocalServer
from gateway.providers.openai import OpenAIProvider
from gateway.request import DialectName

TOO_LONG = 4  # times the context
START_S = 60.0  # the executor's own deadlines are tighter; this one only ends a wait that has none


class LocalProvider:
    """Owns its server: `start` it within the running loop, `aclose` stops it."""

    dialects: frozenset[DialectName] = frozenset()

    def __init__(self, name: str, server: LocalServer, http: HttpClient) -> None:
        self._name, self._server, self._http = name, server, http
        self._served: tuple[str, OpenAIProvider] | None = None

    @property
    def unavailable(self) -> str | None:
        return self._server.detail if self._server.has_given_up else None

    async def start(self) -> None:
        await self._server.start()

    async def open(self, call: Call) -> Exchange:
        self._refuse_what_it_cannot(call)
        if self._server.state != "ready" and not await self._server.wait_ready(START_S):
            reason = self._server.detail or "it did not become ready"
            raise UpstreamError(f"{self._name}: the local model is not up: {reason}", fault="unavailable")
        return await self._provider().open(call)

    async def aclose(self) -> None:
        await self._server.aclose()

    def _refuse_what_it_cannot(self, call: Call) -> None:
        """llama.cpp's server fails on images, answers in prose where a tool call is demanded, and reads whatever comes."""
        request = call.request
        asked = "images" if request.has_images else "a tool call" if request.demands_tool_call else None
        context = call.model.context_tokens
        if context is not None and request.tokens_in > TOO_LONG * context:
            # The estimate may be wrong, but not by so much; llama.cpp would take minutes to find out.
            message = f"{self._name}: about {request.tokens_in} tokens do not fit the context of {context}"
            raise UpstreamError(message, fault="status", status=400, code=CONTEXT_LENGTH)
        if asked is not None:
            raise UpstreamError(f"{self._name}: the local model '{call.model.id}' cannot do {asked}", fault="unsupported")

    def _provider(self) -> OpenAIProvider:
        """The server's address changes when it is started anew on another port."""
        url = self._server.base_url
        if self._served is None or self._served[0] != url:
            # llama.cpp's server promises to keep the connection after a stream and closes it all the same, so that
            # the next request on it would fail.
            self._served = (
                url,
                OpenAIProvider(self._name, self._http, url, headers={"connection": "close"}, api_key=self._server.api_key),
            )
        return self._served[1]
