"""The port: how an answer in the canonical form is said in the caller's dialect."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import TurnoutError
from gateway.reply import Closing


class Writer(Protocol):
    """Says one answer. Either `whole`, or `events` and `passing` in any number and then `end` or `broken`. No I/O.

    keep_alive: what may be sent between two events to show that somebody is there.
    """

    keep_alive: bytes

    def whole(self, body: bytes, native: bytes) -> bytes:
        """A complete answer. body: a chat completion. native: the same in this dialect, b"" if it did not come in it."""
        ...

    def events(self, data: bytes) -> bytes:
        """Stream events for these, which are chat completion chunks; b"" if they say nothing in this dialect."""
        ...

    def passing(self, native: bytes) -> bytes:
        """Stream events that came in this dialect, on their way to the caller."""
        ...

    def end(self, closing: Closing) -> bytes:
        """The last events of a complete stream: usage with its cost, and the terminator."""
        ...

    def broken(self, error: TurnoutError) -> bytes:
        """The last event of a stream that is not complete, which an SDK raises as an error. No terminator."""
        ...
