"""What a connection is made with: the application, and what it heeds of uvicorn's configuration and state."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from gateway.edge.asgi import Receive, Scope, Send
from gateway.edge.endpoint import Endpoint
from gateway.edge.http_exchange import HttpExchange


class Front(Protocol):
    """The application behind the connections. hot: by path, what answers a POST there."""

    hot: dict[str, Endpoint[Any]]

    def admit(self, exchange: HttpExchange) -> None:
        """Let a request to a hot route in, and note whose it is. Raises ClientError."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any request, as an ASGI application."""
        ...


class Config(Protocol):
    """What of uvicorn's configuration is heeded here."""

    app: Any
    timeout_keep_alive: int


class ServerState(Protocol):
    """uvicorn's: what the server's end has to wait for, and what all its answers say."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]
