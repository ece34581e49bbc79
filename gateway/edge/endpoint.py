"""A hot route: reads the body, has the dialect make a request of it, and the pipeline answer it. Raw ASGI."""

from __future__ import annotations

import logging
from functools import partial
from typing import Generic, Protocol, TypeVar

from gateway.edge.asgi import (
    ClientLeft,
    Receive,
    Scope,
    Send,
    bounded,
    raw_headers,
    read_body,
    respond,
    run_while_connected,
)
from gateway.edge.auth import tenant_of
from gateway.edge.dialect import Dialect, Incoming
from gateway.edge.error_response import error_response
from gateway.edge.request_headers import request_id
from gateway.edge.sink import HttpSink
from gateway.errors import InternalError, TurnoutError
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
    """One dialect's POST. keep_alive_s: how long its streams may be silent."""

    def __init__(self, dialect: Dialect[R], pipeline: Handler[R], body_bytes_max: int, keep_alive_s: float) -> None:
        self.dialect = dialect
        self._pipeline, self._body_bytes_max, self._keep_alive_s = pipeline, body_bytes_max, keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        id_, tenant, send = request_id(headers), tenant_of(scope), bounded(send)
        try:
            body = await read_body(headers, receive, self._body_bytes_max)
            request = await self.dialect.read(Incoming(id_, body, headers, scope["query_string"], tenant))
        except ClientLeft:
            return  # there is nobody to answer, and nothing was asked yet
        except TurnoutError as exc:
            await self._refuse(send, id_, exc)
            return
        except Exception:  # as below
            log.exception("request %s could not be read by a mistake of the gateway's", id_)
            await self._refuse(send, id_, InternalError(id_))
            return
        writer = self.dialect.writer(request)
        answered = partial(self.dialect.answered, request, writer)
        sink = HttpSink(send, id_, writer, self.dialect.error_body, answered, self._keep_alive_s if request.is_stream else 0.0)
        try:
            work = self._pipeline.handle(request, tenant, sink)
            await run_while_connected(work, receive, lambda: sink.is_complete)
        except ClientStalled:
            log.info("request %s: the client stopped reading its answer", id_)
        except Exception:  # the last resort: a mistake of ours must not take the server down, nor go unseen
            log.exception("request %s failed by a mistake of the gateway's", id_)
            await sink.crash()
        finally:
            sink.close()

    async def _refuse(self, send: Send, id_: str, error: TurnoutError) -> None:
        status, body, headers = error_response(error, id_, self.dialect.error_body)
        await respond(send, status, body, raw_headers([("x-request-id", id_), *headers]))
