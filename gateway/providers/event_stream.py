"""A streamed answer over HTTP, whatever its dialect: network chunks to events, and events to Pieces by a reader."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from gateway.deadline import Deadline
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.http_response import HttpResponse
from gateway.sse import EventParser, EventTooLong, event_data, line_event

TERMINATOR_S: Final = 2.0


class EventReader(ABC):
    """What a dialect's events mean. No I/O. is_whole: the answer would be complete if the body ended here."""

    is_whole = False

    @abstractmethod
    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        """The pieces that this event brings, none for one that only keeps the connection alive. Raises UpstreamError.

        data: the event's, None for one without.
        """

    @abstractmethod
    def end(self) -> Piece:
        """The body has ended: the end of the answer. Raises UpstreamError if something is missing."""

    def read_lines(self, events: bytes, lines: list[bytes], into: list[Piece]) -> None:
        """As `read`, for events of one line of data each, up to the answer's end. What came before an error is there as well.

        lines: the data of the events.
        """
        for data in lines:
            into += self.read(line_event(data), data)
            if into and into[-1].is_end:
                return


def brings_events(response: HttpResponse) -> bool:
    """Whether a body that was to be a stream is one.

    Some servers stream events as text/plain; a JSON body is an answer, or an error, in one piece.
    """
    return "json" not in response.headers.get("content-type", "json").lower()


class EventStream:
    """An Exchange. A broken event ends it, but what came before that is read first."""

    def __init__(self, name: str, response: HttpResponse, reader: EventReader) -> None:
        self._name, self._response, self._reader = name, response, reader
        self._parser = EventParser()
        self._last: list[Piece] = []
        self._broken: UpstreamError | None = None
        self._terminator: Deadline | None = None

    @property
    def flows(self) -> bool:
        """Whether `flow` may be asked: the answer goes on."""
        return self._broken is None and not self._reader.is_whole

    async def read(self) -> list[Piece]:
        while True:
            if self._broken is not None:
                raise self._broken
            if self._reader.is_whole:
                chunk = await self._read_last()
            else:
                chunk = await self._response.read_chunk()
            if pieces := self._meaning(chunk):
                return pieces

    async def flow(self, take: Callable[[list[Piece]], bool]) -> None:
        """Give the pieces to `take` as they arrive, until it returns False, or the rest is to be read. Raises as `read` does."""
        response, reader = self._response, self._reader
        over = asyncio.get_running_loop().create_future()

        def arrived() -> None:
            try:
                while not over.done() and (chunk := response.take()) is not None:
                    pieces = self._meaning(chunk)
                    is_over = (pieces and not take(pieces)) or reader.is_whole or self._broken is not None
                    if is_over and not over.done():  # else whoever waits was cancelled by what `take` has done
                        over.set_result(None)
                    if not response.has_more:
                        return
            except Exception as exc:  # above this is the transport alone: whoever waits is told, of a mistake of ours too
                over.set_exception(exc)

        self._response.listen(arrived)
        try:
            arrived()
            await over
        finally:
            self._response.listen(None)

    async def aclose(self) -> None:
        if self._terminator is not None:
            self._terminator.close()
        if self._last and self._last[-1].is_end:
            await self._response.finish()
        else:
            self._response.close()

    async def _read_last(self) -> bytes:
        """All is said. What may still come, usage and the terminator, is not worth a long wait, and no error."""
        now = asyncio.get_running_loop().time
        if self._terminator is None:
            self._terminator = Deadline(now)
        self._terminator.at = now() + TERMINATOR_S
        try:
            with self._terminator:
                return await self._response.read_chunk()
        except (TimeoutError, UpstreamError):
            return b""  # how the connection ended no longer matters

    def _meaning(self, chunk: bytes) -> list[Piece]:
        """The pieces that these bytes bring; b"" for the body's end. An error behind some of them waits until they are read."""
        pieces: list[Piece] = []
        try:
            if (lines := self._parser.lines(chunk)) is not None:
                self._reader.read_lines(chunk, lines, pieces)
            elif chunk:
                self._feed(chunk, pieces)
            else:
                pieces.append(self._reader.end())
        except UpstreamError as exc:
            if not pieces:
                raise
            self._broken = exc
        self._last = pieces
        return pieces

    def _feed(self, chunk: bytes, into: list[Piece]) -> None:
        """Of bytes in any form. Raises UpstreamError."""
        try:
            events = self._parser.feed(chunk)
        except EventTooLong as exc:
            raise UpstreamError(f"{self._name}: a stream event is too long", fault="malformed") from exc
        for event in events:
            into += self._reader.read(event, event_data(event))
            if into and into[-1].is_end:
                return
