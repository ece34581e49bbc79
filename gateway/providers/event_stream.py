"""A streamed answer over HTTP, whatever its dialect: network chunks to events, and events to Pieces by a reader."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from gateway.deadline import Deadline
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.http import HttpResponse
from gateway.providers.refusal import no_page
from gateway.sse import EventParser, EventTooLong, event_data

TERMINATOR_S: Final = 2.0


class EventReader(Protocol):
    """What a dialect's events mean. No I/O."""

    @property
    def is_whole(self) -> bool:
        """Whether the answer would be complete if the body ended here."""
        ...

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        """The pieces that this event brings, none for one that only keeps the connection alive. Raises UpstreamError.

        data: the event's, None for one without.
        """
        ...

    def end(self) -> Piece:
        """The body has ended: the end of the answer. Raises UpstreamError if something is missing."""
        ...


def brings_events(name: str, response: HttpResponse) -> bool:
    """Whether a body that was to be a stream is one. Raises UpstreamError for a web page.

    Some servers stream events as text/plain; a JSON body is an answer, or an error, in one piece.
    """
    no_page(name, response.headers)
    return "json" not in response.headers.get("content-type", "json").lower()


class EventStream:
    """An Exchange. A broken event ends it, but what came before that is read first."""

    def __init__(self, name: str, response: HttpResponse, reader: EventReader) -> None:
        self._name, self._response, self._reader = name, response, reader
        self._parser = EventParser()
        self._is_over = False
        self._broken: UpstreamError | None = None
        self._terminator: Deadline | None = None

    async def read(self) -> list[Piece]:
        while True:
            if self._broken is not None:
                raise self._broken
            # Each event of a stream comes through here: no coroutine for both ways, and nothing that few of them need.
            chunk = await self._read_last() if self._reader.is_whole else await self._response.read_chunk()
            if (data := self._parser.only(chunk)) is not None:
                pieces = self._reader.read(chunk, data)
            else:
                pieces = self._pieces(chunk) if chunk else [self._reader.end()]
            if pieces:
                self._is_over = pieces[-1].is_end
                return pieces

    async def aclose(self) -> None:
        if self._terminator is not None:
            self._terminator.close()
        if self._is_over:
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

    def _pieces(self, chunk: bytes) -> list[Piece]:
        pieces: list[Piece] = []
        try:
            for event in self._parser.feed(chunk):
                pieces += self._reader.read(event, event_data(event))
                if pieces and pieces[-1].is_end:
                    break
        except EventTooLong:
            self._broken = UpstreamError(f"{self._name}: a stream event is too long", fault="malformed")
        except UpstreamError as exc:
            self._broken = exc
        return pieces
