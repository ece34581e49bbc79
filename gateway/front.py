"""The ASGI application: the hot routes straight to their handlers, everything else to FastAPI, all behind one entrance."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway.draining import Drain
from gateway.edge.asgi import Receive, Scope, Send, raw_headers, respond, with_header
from gateway.edge.auth import Entrance
from gateway.edge.chat_completions import CHAT_PATH
from gateway.edge.endpoint import Endpoint
from gateway.edge.error_response import error_body_at, error_response, speaks_anthropic
from gateway.edge.http_exchange import HttpExchange
from gateway.edge.late_api import LateApi
from gateway.edge.lifespan import run_lifespan
from gateway.edge.request_headers import new_request_id, request_id
from gateway.errors import ClientError
from gateway.keys.directory import Directory
from gateway.reply import Headers
from gateway.runtime import CurrentRuntime


class Gateway:
    """lifespan: opens what is served, and closes it. Until it is entered, `current` and `api` are None, and nothing is hot.

    hot: by path, the endpoints that are asked past FastAPI. api: all others.
    """

    def __init__(
        self, lifespan: Callable[[], AbstractAsyncContextManager[None]], directory: Directory, entrance: Entrance
    ) -> None:
        self.lifespan, self.directory, self.entrance = lifespan, directory, entrance
        self.api: LateApi | None = None
        self.drain = Drain()
        self.hot: dict[str, Endpoint[Any]] = {}
        self.current: CurrentRuntime | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await run_lifespan(self.lifespan(), receive, send)
            return
        assert self.api is not None, "a server serves within the lifespan"
        if scope["type"] != "http":
            await self.api(scope, receive, send)  # which closes a websocket
            return
        headers = dict(scope["headers"])
        if speaks_anthropic(scope["path"], headers):
            send = with_header(send, b"request-id", _fix_id(scope, headers))  # where its SDKs look for it
        try:
            self.entrance.admit(scope, headers)
        except ClientError as exc:
            await _refuse(scope, send, exc)
            return
        is_list = scope["method"] == "GET" and scope["path"] == CHAT_PATH  # of those that a provider keeps
        hot = None if is_list else self.hot.get(scope["path"])
        if hot is None:
            await self.api(scope, receive, with_header(send, b"x-request-id", _fix_id(scope, headers)))
        elif scope["method"] == "POST":
            # Past FastAPI's router and exception middleware, which cost more than the decision itself.
            await hot(scope, receive, send)
        else:
            message = f"{scope['method']} {scope['path']}: this endpoint answers POST alone"
            await _refuse(scope, send, ClientError(message, status=405, code="method_not_allowed"), [("allow", "POST")])

    def admit(self, exchange: HttpExchange) -> None:
        """Let a request in that was not asked over ASGI. Raises ClientError."""
        head = exchange.head
        exchange.id = head.given_id or new_request_id()
        if head.speaks_anthropic:
            exchange.told = [("request-id", exchange.id)]
        admission = head.admission
        if admission is None or not self.entrance.upholds(admission):
            admission = head.admission = self.entrance.admission(exchange.headers)
        exchange.tenant = admission.tenant


def _fix_id(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The request's id, the same for all who ask from here on, as each would draw one of its own."""
    id_ = request_id(headers)
    scope["headers"] = [*(h for h in scope["headers"] if h[0] != b"x-request-id"), (b"x-request-id", id_.encode())]
    headers[b"x-request-id"] = id_.encode()
    return id_


async def _refuse(scope: Scope, send: Send, error: ClientError, more: Headers | None = None) -> None:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    id_ = request_id(headers)
    status, body, known = error_response(error, id_, error_body_at(scope["path"], headers))
    await respond(send, status, body, raw_headers([("x-request-id", id_), *known, *(more or [])]))
