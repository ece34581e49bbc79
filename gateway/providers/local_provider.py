"""`kind: local`: calls for a model that this gateway runs itself, once its server is up."""

from __future__ import annotations

from gateway.errors import UpstreamError
from gateway.providers.base import Call, Exchange
from gateway.providers.http import HttpClient
from gateway.providers.local import LocalServer
from gateway.providers.openai import OpenAIProvider

START_S = 60.0  # the executor's own deadlines are tighter; this one only ends a wait that has none


class LocalProvider:
    """Owns its server: `start` it within the running loop, `aclose` stops it."""

    def __init__(self, name: str, server: LocalServer, http: HttpClient) -> None:
        self._name, self._server, self._http = name, server, http
        self._served: tuple[str, OpenAIProvider] | None = None

    @property
    def unavailable(self) -> str | None:
        return self._server.detail if self._server.state == "failed" else None

    @property
    def state(self) -> str:
        return self._server.state

    async def start(self) -> None:
        await self._server.start()

    async def open(self, call: Call) -> Exchange:
        if self._server.state != "ready" and not await self._server.wait_ready(START_S):
            reason = self._server.detail or "it did not become ready"
            raise UpstreamError(f"{self._name}: the local model is not up: {reason}", fault="unavailable")
        return await self._provider().open(call)

    async def aclose(self) -> None:
        await self._server.aclose()

    def _provider(self) -> OpenAIProvider:
        """The server's address changes when it is started anew on another port."""
        url = self._server.base_url
        if self._served is None or self._served[0] != url:
            self._served = (url, OpenAIProvider(self._name, self._http, url))
        return self._served[1]
