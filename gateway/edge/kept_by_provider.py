"""What a provider keeps, for those to whom its whole account is open: asked for there, and answered as it answers.

One account of a provider's stands behind all virtual keys, and nothing tells which of them an object in it belongs to. So it is
open to the operator, and to programs on this machine as long as there are no keys. No model is called, and nothing is booked.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from typing import Final

import msgspec
from fastapi import Request, Response

from gateway.dialects.openai_errors import error_body
from gateway.edge.asgi import Receive, Scope, Send, bounded, raw_headers, read_body, respond, run_while_connected
from gateway.edge.auth import Entrance
from gateway.edge.request_headers import request_id
from gateway.errors import ClientError, DeadlineExceeded, Refused, TurnoutError, UpstreamError
from gateway.policy.compile import Policy
from gateway.policy.dialects import spoken
from gateway.policy.schema_models import OpenAIProvider, WireDialect
from gateway.providers.http import HttpClient
from gateway.providers.http_response import HttpResponse
from gateway.providers.openai_kept import OpenAIKept
from gateway.reply import ClientStalled
from gateway.runtime import CurrentRuntime
from gateway.sse import EventParser, EventTooLong

log = logging.getLogger("turnout.edge")

PROVIDER: Final = "x-turnout-provider"
ID_CHARS_MAX: Final = 256
SEGMENT: Final = "!$&'()*+,;=:@"  # what stands for itself in a step of a path (RFC 3986, 3.3), beside letters and digits
CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0  # of a whole answer, and until a stream begins
IDLE_S: Final = 120.0
STREAM_S: Final = 3600.0
# Of the request itself. Others are between the gateway and the provider: with its own key refused, the caller's is right.
_CALLERS: Final = frozenset({400, 404, 405, 409, 413, 415, 422})


class KeptByProvider:
    """entrance: says to whom the account is open. body_bytes_max: of what is passed on."""

    def __init__(self, current: CurrentRuntime, entrance: Entrance, http: HttpClient, body_bytes_max: int) -> None:
        self._current, self._entrance, self._http, self._body_bytes_max = current, entrance, http, body_bytes_max

    def at_provider(self, request: Request, dialect: WireDialect, *steps: str) -> Response | None:
        """What passes the request on when it is answered; None where there is nobody to ask, or not for this caller.

        steps: of the path, below the provider's base URL. Raises ClientError.
        """
        if not self._entrance.opens_accounts(request.scope) or not all(is_step(step) for step in steps):
            return None
        found = chosen(self._current.now.policy, dialect, request.headers.get(PROVIDER))
        if found is None:
            return None
        path = "".join("/" + urllib.parse.quote(step, safe=SEGMENT) for step in steps)
        return _Passed(OpenAIKept(found[0], self._http, found[1]), path, self._body_bytes_max)


def is_step(text: str) -> bool:
    """Whether it can be one step of a path, which dots alone are not: they lead elsewhere."""
    return 0 < len(text) <= ID_CHARS_MAX and bool(text.strip("."))


def chosen(policy: Policy, dialect: WireDialect, named: str | None) -> tuple[str, OpenAIProvider] | None:
    """The provider that is asked, and its settings: the one that is named, else the policy's first that may be.

    None where there is none. Raises ClientError for a name that is none of theirs.
    """
    able = {
        name: spec
        for name, spec in policy.providers.items()
        if isinstance(spec, OpenAIProvider) and dialect in spoken(spec) and name not in policy.unavailable
    }
    if named:
        if named not in able:
            known = ", ".join(able) or "none"
            message = f"{PROVIDER}: '{named[:100]}' is no provider that speaks {dialect} and has its credentials; known: {known}"
            raise ClientError(message, status=404, code="provider_not_found", param=PROVIDER)
        return named, able[named]
    return next(iter(able.items()), None)


class _Passed(Response):
    """Asks the provider when it is to be sent."""

    def __init__(self, kept: OpenAIKept, path: str, body_bytes_max: int) -> None:
        super().__init__()
        self._kept, self._path, self._body_bytes_max = kept, path, body_bytes_max
        self._is_complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_body(headers, receive, self._body_bytes_max)
        id_ = request_id(headers)
        work = self._pass_on(scope["method"], scope["query_string"], body, id_, bounded(send))
        try:
            await run_while_connected(work, receive, lambda: self._is_complete)
        except ClientStalled:
            log.info("request %s: the client stopped reading its answer", id_)

    async def _pass_on(self, method: str, query: bytes, body: bytes, id_: str, send: Send) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await self._kept.ask(method, self._path, query, body, connect_s=CONNECT_S)
                try:
                    whole = None if _is_stream(response) else await response.read_whole()
                except BaseException:
                    response.close()
                    raise
        except UpstreamError as exc:
            raise _told(exc) from exc
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self._kept.name} did not answer within {ANSWER_S:g} s", []) from exc
        log.info("request %s: %s %s was passed to '%s': %s", id_, method, self._path, self._kept.name, response.status)
        try:
            if whole is None:
                await self._stream(response, id_, send)
            else:
                self._is_complete = True
                kind = response.headers.get("content-type", "application/json")
                await respond(send, response.status, whole, [], raw_headers([("content-type", kind)])[0][1])
        finally:
            response.close()

    async def _stream(self, response: HttpResponse, id_: str, send: Send) -> None:
        """Event by event, so that what may have to be said of its end is one of its own."""
        kind = [("content-type", response.headers["content-type"]), ("cache-control", "no-cache")]
        await send({"type": "http.response.start", "status": response.status, "headers": raw_headers(kind)})
        parser, ending = EventParser(), b""
        try:
            async with asyncio.timeout(STREAM_S):
                while chunk := await _next_chunk(response):
                    if events := b"".join(parser.feed(chunk)):
                        await send({"type": "http.response.body", "body": events, "more_body": True})
            ending = parser.rest
        except (UpstreamError, EventTooLong, TimeoutError) as exc:
            why = str(exc) or ("nothing came for too long" if isinstance(exc, TimeoutError) else "an event is too long")
            ending = _broken(UpstreamError(f"{self._kept.name}: the stream broke off: {why}", fault="cut"))
            log.info("request %s: the stream of '%s' broke off: %s", id_, self._kept.name, why)
        self._is_complete = True
        await send({"type": "http.response.body", "body": ending})


async def _next_chunk(response: HttpResponse) -> bytes:
    async with asyncio.timeout(IDLE_S):
        return await response.read_chunk()


def _is_stream(response: HttpResponse) -> bool:
    return "event-stream" in response.headers.get("content-type", "").lower()


def _broken(error: TurnoutError) -> bytes:
    """The last event, in both shapes that clients look for."""
    said = error_body(error)["error"]
    told = {name: said[name] for name in ("code", "message", "param")}
    return b"event: error\ndata: " + msgspec.json.encode({"type": "error", **told, "error": said}) + b"\n\n"


def _told(error: UpstreamError) -> TurnoutError:
    """The provider's refusal as the caller's, where it is about the request; its credentials are out of it already."""
    if error.status == 429:
        code = "insufficient_quota" if error.code == "insufficient_quota" else "rate_limit_exceeded"
        return Refused(error.message, status=429, code=code, retry_after_s=error.retry_after_s)
    if error.status in _CALLERS:
        return ClientError(error.message, status=error.status, code=error.code or "invalid_request", param=error.param)
    return error
