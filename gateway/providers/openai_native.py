"""An answer in the caller's own dialect: each piece gets the provider's bytes beside what they mean. No I/O."""

from __future__ import annotations

import msgspec

from gateway.providers.base import Piece
from gateway.providers.event_stream import EventReader


class NativeEvents(EventReader):
    """Reads as `reader` does. An event that means nothing to it is passed on all the same, but for comments and [DONE], which
    the caller gets of us.
    """

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        pieces = self._reader.read(event, data)
        self.is_whole = self._reader.is_whole
        if not data or data == b"[DONE]":
            return pieces
        if not pieces or pieces[-1].is_end:
            return _closing(pieces, event)
        return [*pieces[:-1], msgspec.structs.replace(pieces[-1], native=event)]

    def end(self) -> Piece:
        return self._reader.end()


def _closing(pieces: list[Piece], event: bytes) -> list[Piece]:
    """The bytes of the last event are held back with the usage, also if it tells none."""
    if not pieces:
        return [Piece(native=event)]
    *before, end = pieces
    usage = before.pop() if before and before[-1].is_usage_only else Piece(is_usage_only=True)
    return [*before, msgspec.structs.replace(usage, native=event), end]
