"""`POST /v1/chat/completions` in the OpenAI dialect: bytes to a ChatRequest, an answer to bytes. Raw ASGI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway import chat
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
from gateway.edge.json_body import read_json
from gateway.edge.openai_errors import error_body, error_response
from gateway.edge.request_headers import read_headers, request_id
from gateway.errors import ClientError, TurnoutError
from gateway.pipeline import Pipeline
from gateway.reply import ClientStalled, Headers
from gateway.request import ChatRequest

log = logging.getLogger("turnout.edge")

NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


class ChatCompletions:
    """The hot route."""

    def __init__(self, pipeline: Pipeline, body_bytes_max: int) -> None:
        self._pipeline, self._body_bytes_max = pipeline, body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        id_ = request_id(headers)
        tenant, sink = tenant_of(scope), OpenAISink(bounded(send))
        try:
            body = await read_body(headers, receive, self._body_bytes_max)
            request = read_request(id_, body, headers, tenant.tags)
        except ClientLeft:
            return  # there is nobody to answer, and nothing was asked yet
        except ClientError as exc:
            await sink.fail(exc, [("x-request-id", id_)])
            return
        try:
            work = self._pipeline.handle(request, tenant, sink)
            await run_while_connected(work, receive, lambda: sink.is_complete)
        except ClientStalled:
            log.info("request %s: the client stopped reading its answer", id_)
        except Exception:  # the last resort: a mistake of ours must not take the server down, nor go unseen
            log.exception("request %s failed by a mistake of the gateway's", id_)
            await sink.crash(id_)


def read_request(id_: str, body: bytes, headers: dict[bytes, bytes], tags: Mapping[str, str] = NO_TAGS) -> ChatRequest:
    """Bytes to a ChatRequest. Raises ClientError that names the field and what is wrong with it.

    tags: the caller's, which hold where the request's own do not say otherwise.
    """
    head = read_chat_head(body)
    given = read_headers(headers)
    return ChatRequest(
        request_id=id_,
        body=body,
        head=head,
        forced_route=given.route,
        tags={**tags, **given.tags} if tags else given.tags,
        session=given.session,
        cache=given.cache,
        cache_ttl_s=given.cache_ttl_s,
        is_debug=given.is_debug,
    )


def read_chat_head(body: bytes) -> chat.ChatHead:
    """The head of a chat request. Raises ClientError."""
    head = read_json(body, chat.read_head, "`model` and `messages`")
    if not head.messages:
        raise ClientError("`messages` is empty; give at least one message", code="empty_messages", param="messages")
    if not head.model:
        raise ClientError("`model` is empty; name a model, or `auto`", code="invalid_model", param="model")
    return head


class OpenAISink:
    """An answer in the OpenAI dialect. is_complete: its last message is out, or on its way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = False
        self.is_complete = False

    async def whole(self, body: bytes, headers: Headers) -> None:
        await self._respond(200, body, headers)

    async def begin(self, headers: Headers) -> None:
        self._has_begun = True
        raw = raw_headers([("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"), *headers])
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def events(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._finish(chat.DONE)

    async def break_off(self, error: TurnoutError) -> None:
        await self._finish(chat.sse(error_body(error)))

    async def fail(self, error: TurnoutError, headers: Headers) -> None:
        status, body, more = error_response(error)
        await self._respond(status, body, [*headers, *more])

    async def crash(self, id_: str) -> None:
        """A mistake of ours: a 500, or the end of the stream without its terminator."""
        error = TurnoutError(f"internal error; the gateway's log has it under request {id_}")
        if not self._has_begun:
            await self.fail(error, [("x-request-id", id_)])
        elif not self.is_complete:
            await self.break_off(error)

    async def _respond(self, status: int, body: bytes, headers: Headers) -> None:
        self._has_begun = self.is_complete = True
        await respond(self._send, status, body, raw_headers(headers))

    async def _finish(self, data: bytes) -> None:
        self.is_complete = True
        await self._send({"type": "http.response.body", "body": data})
