"""How the pipeline hands an answer to the edge: the canonical form on this side, bytes on the wire on the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import TurnoutError
from gateway.usage import Usage

Headers = list[tuple[str, str]]


class ClientStalled(Exception):
    """The client has stopped reading its answer; nothing more can be said to it."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What a stream ends with. usage: of the whole answer. cost_usd: None if unknown.

    event: the usage event that came of the provider, in the canonical form, b"" if none did, or if it tells of a part of the
    answer only. native: the closing events in the caller's dialect, where the answer came in it.
    """

    usage: Usage
    cost_usd: float | None
    event: bytes = b""
    native: bytes = b""


class Sink(Protocol):
    """Exactly one of these three stories: `whole`; `begin`, `events`…, then `end` or `break_off`; `fail`.

    native: the same as `data` in the caller's own dialect, where the provider spoke it. Each call raises ClientStalled when the
    client does not take what is sent.
    """

    async def whole(self, body: bytes, headers: Headers, native: bytes = b"") -> None:
        """A complete answer in one body."""
        ...

    def awaits(self, headers: Callable[[], Headers]) -> None:
        """A stream is to come; these headers are known of it. If it takes long, the connection is kept alive."""
        ...

    async def begin(self, headers: Headers) -> None:
        """A stream starts."""
        ...

    def events(self, data: bytes, native: bytes = b"") -> Awaitable[None] | None:
        """Whole stream events. To be awaited unless it is None, as it is while the client takes all that comes."""
        ...

    async def end(self, closing: Closing) -> None:
        """The answer is complete: send what it used, if that is wanted, and the dialect's terminator."""
        ...

    async def break_off(self, error: TurnoutError) -> None:
        """The answer is not complete and says so in the stream; no terminator."""
        ...

    async def fail(self, error: TurnoutError, headers: Headers) -> None:
        """No answer."""
        ...
