"""The port: what every provider adapter offers, and the pieces an answer arrives in.

Whatever a provider speaks, its adapter takes and gives the canonical form, the OpenAI chat dialect, stream and not. A provider
that speaks the caller's own dialect is sent the request as it came (Call.native), and its bytes go with each piece.
Adapters map their vendor's failures to UpstreamError once, here and nowhere else.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.policy.catalog import Model
from gateway.request import ChatRequest, DialectName, Native
from gateway.usage import Usage


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Some bytes of an answer and what they mean.

    data: stream events, whole ones, or the body of a whole answer. native: the same as the provider said it, where that is the
    caller's own dialect; an answer has it in all its pieces or in none, and the closing events, those that tell the usage or
    come after it, stand in the is_usage_only piece. text: what the model wrote in it, call arguments too. events: of one with
    content, how many with content are in it, which is about how many tokens.
    usage: the last count seen. is_usage_only: an event that carries usage and no choice, which only callers
    who asked for it get. finish: the finish_reason, where one stands. is_end: nothing is missing from the answer;
    only such a piece ends it well.
    """

    data: bytes = b""
    native: bytes = b""
    has_content: bool = False
    text: str = ""
    usage: Usage | None = None
    is_usage_only: bool = False
    finish: str | None = None
    is_end: bool = False
    events: int = 1


class Sending(msgspec.Struct, gc=False):
    """has_line: whether the provider may have the request, and bill it. Adapters that cannot tell leave it at True."""

    has_line: bool = True


class Call(msgspec.Struct, frozen=True):
    """One attempt: this request, to this model, with at most `connect_s` seconds for a connection.

    native: the request in the caller's dialect, where the provider speaks that and nobody has to read along.
    """

    request: ChatRequest
    model: Model
    connect_s: float
    sending: Sending = msgspec.field(default_factory=Sending)
    native: Native | None = None


class Exchange(Protocol):
    """A call under way. Read until a piece that is_end; close exactly once, read or not."""

    async def read(self) -> list[Piece]:
        """The next pieces, at least one. Raises UpstreamError when the answer breaks off or is no answer."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection; an answer that has not ended is cancelled upstream."""
        ...


class Provider(Protocol):
    """An account or server that answers calls. dialects: what it speaks besides the canonical form."""

    @property
    def dialects(self) -> frozenset[DialectName]: ...

    @property
    def unavailable(self) -> str | None:
        """Why it cannot be called just now, None if it can."""
        ...

    async def open(self, call: Call) -> Exchange:
        """Send the call; returns when the provider has accepted it. Raises UpstreamError."""
        ...

    async def aclose(self) -> None: ...
