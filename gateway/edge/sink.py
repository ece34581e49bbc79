"""An answer on its way out over ASGI, in whatever dialect its writer speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.dialects.base import Writer
from gateway.edge.asgi import Send, raw_headers, respond
from gateway.edge.error_response import ErrorBody, error_response
from gateway.edge.keep_alive import Pulse
from gateway.errors import InternalError, TurnoutError
from gateway.reply import Closing, Headers

# A stream whose first content takes longer than this begins without it: proxies commonly close what is silent for a minute.
# From then on a failure can no longer have a status of its own.
BEGIN_S: Final = 45.0

_STREAM: Final[Headers] = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]


class HttpSink:
    """The sink of one request. is_complete: its last message is out, or on its way.

    answered: done when the answer is complete, before its last bytes go out. keep_alive_s: how long a stream may be silent until
    something is sent that says nothing; 0 for ever.
    """

    def __init__(
        self,
        send: Send,
        id_: str,
        writer: Writer,
        error_body: ErrorBody,
        answered: Callable[[], Awaitable[None]],
        keep_alive_s: float = 0.0,
    ) -> None:
        self._send, self._id, self._writer, self._error_body = send, id_, writer, error_body
        self._answered, self._keep_alive_s = answered, keep_alive_s
        self._has_begun = False
        self._pulse: Pulse | None = None
        self._awaited: Callable[[], Headers] = list
        self.is_complete = False

    async def whole(self, body: bytes, headers: Headers, native: bytes = b"") -> None:
        said = self._writer.whole(body, native)
        await self._answered()
        await self._respond(200, said, headers)

    def awaits(self, headers: Callable[[], Headers]) -> None:
        if self._keep_alive_s:
            self._awaited = headers
            self._pulse = Pulse(self._beat, max(BEGIN_S, self._keep_alive_s))

    async def begin(self, headers: Headers) -> None:
        if self._pulse is not None:
            await self._pulse.every(self._keep_alive_s)
        elif self._keep_alive_s:
            self._pulse = Pulse(self._beat, self._keep_alive_s)
        if not self._has_begun:
            await self._start(headers)

    async def events(self, data: bytes, native: bytes = b"") -> None:
        said = self._writer.passing(native) if native else self._writer.events(data)
        if not said:
            return
        if self._pulse is not None and (beating := self._pulse.noted()) is not None:
            await beating
        await self._send({"type": "http.response.body", "body": said, "more_body": True})

    async def end(self, closing: Closing) -> None:
        said = self._writer.end(closing)
        await self._answered()
        await self._finish(said)

    async def break_off(self, error: TurnoutError) -> None:
        await self._finish(self._writer.broken(error))

    async def fail(self, error: TurnoutError, headers: Headers) -> None:
        if self._pulse is not None:
            await self._pulse.stop()
        if self._has_begun:  # to keep the connection alive
            await self.break_off(error)
            return
        status, body, more = error_response(error, self._id, self._error_body)
        await self._respond(status, body, [*headers, *more])

    async def crash(self) -> None:
        """A mistake of ours: a 500, or the end of the stream without its terminator."""
        error = InternalError(self._id)
        if not self._has_begun:
            await self.fail(error, [("x-request-id", self._id)])
        elif not self.is_complete:
            await self.break_off(error)

    def close(self) -> None:
        """Nothing more is sent."""
        if self._pulse is not None:
            self._pulse.cancel()

    async def _start(self, headers: Headers) -> None:
        self._has_begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": raw_headers([*_STREAM, *headers])})

    async def _beat(self) -> None:
        if not self._has_begun:
            await self._start(self._awaited())
        await self._send({"type": "http.response.body", "body": self._writer.keep_alive, "more_body": True})

    async def _respond(self, status: int, body: bytes, headers: Headers) -> None:
        self._has_begun = self.is_complete = True
        await respond(self._send, status, body, raw_headers(headers))

    async def _finish(self, data: bytes) -> None:
        self.is_complete = True
        if self._pulse is not None:
            await self._pulse.stop()
        await self._send({"type": "http.response.body", "body": data})
