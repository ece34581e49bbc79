"""A hot route: the dialect makes a request of what came in, and the pipeline answers it."""

from __future__ import annotations

import contextlib
import logging
from typing import Generic, Protocol, TypeVar

from gateway.edge.asgi import ClientLeft, Receive, Scope, Send, read_body, run_while_connected
from gateway.edge.asgi_exchange import AsgiExchange
from gateway.edge.dialect import Dialect, Incoming
from gateway.edge.error_response import ErrorBody, error_response
from gateway.edge.exchange import Exchange
from gateway.edge.sink import HttpSink
from gateway.errors import ClientError, InternalError, TurnoutError
from gateway.reply import ClientStalled, Sink
from gateway.request import ChatRequest
from gateway.tenant import Tenant

log = logging.getLogger("turnout.edge")

R = TypeVar("R", bound=ChatRequest)
R_contra = TypeVar("R_contra", bound=ChatRequest, contravariant=True)


class Handler(Protocol[R_contra]):
    """A pipeline."""

    async def handle(self, request: R_contra, tenant: Tenant, sink: Sink) -> None:
        """Answer one request through the sink, and book it, whatever happens."""
        ...


class Endpoint(Generic[R]):
    """One dialect's POST. body_bytes_max: the limit of its bodies. keep_alive_s: how long its streams may be silent."""

    def __init__(self, dialect: Dialect[R], pipeline: Handler[R], body_bytes_max: int, keep_alive_s: float) -> None:
        self.dialect, self.body_bytes_max = dialect, body_bytes_max
        self._pipeline, self._keep_alive_s = pipeline, keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same for whoever asks over ASGI."""
        exchange = AsgiExchange(scope, send)
        try:
            body = await read_body(exchange.headers, receive, self.body_bytes_max)
        except ClientLeft:
            return  # there is nobody to answer, and nothing was asked yet
        except ClientError as exc:
            await refuse(exchange, exc, self.dialect.error_body)
            return
        await run_while_connected(self.answer(exchange, body), receive, lambda: exchange.is_complete)

    async def answer(self, exchange: Exchange, body: bytes) -> None:
        """Answer it, whatever happens. Cancelled when the client leaves."""
        id_, tenant = exchange.id, exchange.tenant
        try:
            request = await self.dialect.read(Incoming(id_, body, exchange.headers, exchange.query, tenant))
        except TurnoutError as exc:
            await refuse(exchange, exc, self.dialect.error_body)
            return
        except Exception:  # as below
            log.exception("request %s could not be read by a mistake of the gateway's", id_)
            await refuse(exchange, InternalError(id_), self.dialect.error_body)
            return
        sink = HttpSink(exchange, self.dialect, request, self._keep_alive_s if request.is_stream else 0.0)
        try:
            await self._pipeline.handle(request, tenant, sink)
        except ClientStalled:
            log.info("request %s: the client stopped reading its answer", id_)
        except Exception:  # the last resort: a mistake of ours must not take the server down, nor go unseen
            log.exception("request %s failed by a mistake of the gateway's", id_)
            with contextlib.suppress(ClientStalled):
                await sink.crash()
        finally:
            sink.close()


async def refuse(exchange: Exchange, error: TurnoutError, words: ErrorBody) -> None:
    """Answer with an error, in these words."""
    status, body, headers = error_response(error, exchange.id, words)
    with contextlib.suppress(ClientStalled):  # it will not hear it
        if (pending := exchange.whole(status, body, [("x-request-id", exchange.id), *headers])) is not None:
            await pending
