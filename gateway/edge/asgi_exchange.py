"""An exchange over ASGI, for a gateway that another server, or a test, asks."""

from __future__ import annotations

from gateway.edge.asgi import Scope, Send, bounded, raw_headers, respond
from gateway.edge.auth import tenant_of
from gateway.edge.exchange import STREAM, Pending
from gateway.edge.request_headers import request_id
from gateway.reply import Headers


class AsgiExchange:
    """scope: of a request that the entrance has let in."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id, self.query, self.tenant = request_id(self.headers), scope["query_string"], tenant_of(scope)
        self.is_complete = False
        self._send = bounded(send)

    def whole(self, status: int, body: bytes, headers: Headers) -> Pending:
        self.is_complete = True
        return respond(self._send, status, body, raw_headers(headers))

    def start(self, headers: Headers) -> Pending:
        return self._send({"type": "http.response.start", "status": 200, "headers": raw_headers([*STREAM, *headers])})

    def write(self, data: bytes) -> Pending:
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    def end(self, data: bytes) -> Pending:
        self.is_complete = True
        return self._send({"type": "http.response.body", "body": data})
