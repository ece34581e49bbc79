"""An answer on its way out through an exchange, in whatever dialect its writer speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.edge.dialect import Dialect
from gateway.edge.error_response import error_response
from gateway.edge.exchange import Exchange, Pending
from gateway.edge.keep_alive import Pulse
from gateway.errors import InternalError, TurnoutError
from gateway.reply import Closing, Headers

# A stream whose first content takes longer than this begins without it: proxies commonly close what is silent for a minute.
# From then on a failure can no longer have a status of its own.
BEGIN_S: Final = 45.0


class HttpSink:
    """The sink of one request, in its dialect.

    keep_alive_s: how long a stream may be silent until something is sent that says nothing; 0 for ever.
    """

    # Where they start; a whole answer changes none of them.
    _has_begun = False
    _pulse: Pulse | None = None
    _awaited: Callable[[], Headers] = list

    def __init__(self, exchange: Exchange, dialect: Dialect[Any], request: Any, keep_alive_s: float) -> None:
        self._exchange, self._dialect, self._request = exchange, dialect, request
        self._writer, self._keep_alive_s = dialect.writer(request), keep_alive_s

    async def whole(self, body: bytes, headers: Headers, native: bytes = b"") -> None:
        said = self._writer.whole(body, native)
        if (keeping := self._dialect.answered(self._request, self._writer)) is not None:
            await keeping
        self._has_begun = True
        if (pending := self._exchange.whole(200, said, headers)) is not None:
            await pending

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

    def events(self, data: bytes, native: bytes = b"") -> Pending:
        said = self._writer.passing(native) if native else self._writer.events(data)
        if not said:
            return None
        if self._pulse is not None and (beating := self._pulse.noted()) is not None:
            return self._write_after(beating, said)
        return self._exchange.write(said)

    async def _write_after(self, beating: Awaitable[None], data: bytes) -> None:
        await beating
        if (pending := self._exchange.write(data)) is not None:
            await pending

    async def end(self, closing: Closing) -> None:
        said = self._writer.end(closing)
        if (keeping := self._dialect.answered(self._request, self._writer)) is not None:
            await keeping
        await self._finish(said)

    async def break_off(self, error: TurnoutError) -> None:
        await self._finish(self._writer.broken(error))

    async def fail(self, error: TurnoutError, headers: Headers) -> None:
        if self._pulse is not None:
            await self._pulse.stop()
        if self._has_begun:  # to keep the connection alive
            await self.break_off(error)
            return
        self._has_begun = True
        status, body, more = error_response(error, self._exchange.id, self._dialect.error_body)
        if (pending := self._exchange.whole(status, body, [*headers, *more])) is not None:
            await pending

    async def crash(self) -> None:
        """A mistake of ours: a 500, or the end of the stream without its terminator."""
        error = InternalError(self._exchange.id)
        if not self._has_begun:
            await self.fail(error, [("x-request-id", self._exchange.id)])
        elif not self._exchange.is_complete:
            await self.break_off(error)

    def close(self) -> None:
        """Nothing more is sent."""
        if self._pulse is not None:
            self._pulse.cancel()

    async def _start(self, headers: Headers) -> None:
        self._has_begun = True
        if (pending := self._exchange.start(headers)) is not None:
            await pending

    async def _beat(self) -> None:
        if not self._has_begun:
            await self._start(self._awaited())
        if (pending := self._exchange.write(self._writer.keep_alive)) is not None:
            await pending

    async def _finish(self, data: bytes) -> None:
        if self._pulse is not None:
            await self._pulse.stop()
        if (pending := self._exchange.end(data)) is not None:
            await pending
