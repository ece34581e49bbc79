"""How the pipeline hands an answer to the edge: dialect-neutral on this side, bytes on the wire on the other."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import TurnoutError

Headers = list[tuple[str, str]]


class ClientStalled(Exception):
    """The client has stopped reading its answer; nothing more can be said to it."""


class Sink(Protocol):
    """Exactly one of these three stories: `whole`; `begin`, `events`…, then `end` or `break_off`; `fail`.

    Each call raises ClientStalled when the client does not take what is sent.
    """

    async def whole(self, body: bytes, headers: Headers) -> None:
        """A complete answer in one body."""
        ...

    async def begin(self, headers: Headers) -> None:
        """A stream starts; nothing has been sent before."""
        ...

    async def events(self, data: bytes) -> None:
        """Whole stream events."""
        ...

    async def end(self) -> None:
        """The answer is complete: send the dialect's terminator."""
        ...

    async def break_off(self, error: TurnoutError) -> None:
        """The answer is not complete and says so in the stream; no terminator."""
        ...

    async def fail(self, error: TurnoutError, headers: Headers) -> None:
        """No answer; nothing has been sent before."""
        ...
