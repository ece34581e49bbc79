"""What an answer has said that its provider has not counted: kept while it comes, counted by us if nobody else does."""

from __future__ import annotations

import msgspec

from gateway.pricing.tokens import COUNTED_CHARS_MAX, TokenCounter, tokens_read
from gateway.request import ChatRequest
from gateway.usage import Usage


class Uncounted:
    """The text since the provider's last count. No more than COUNTED_CHARS_MAX characters are held, the rest is measured.

    chars: how long it is.
    """

    chars = 0

    def __init__(self) -> None:
        self._parts: list[str] = []

    def heard(self, text: str) -> None:
        """So much more has come."""
        chars = self.chars = self.chars + len(text)
        if chars <= COUNTED_CHARS_MAX:
            self._parts.append(text)
        elif (left := COUNTED_CHARS_MAX - chars + len(text)) > 0:
            self._parts.append(text[:left])

    def clear(self) -> None:
        """The provider has counted all that came."""
        self._parts, self.chars = [], 0

    def tokens(self, counter: TokenCounter) -> int:
        text = "".join(self._parts)
        counted = counter.count(text) if text else 0
        return counted if self.chars <= len(text) else round(counted * self.chars / len(text))


def completed(
    told: Usage | None, request: ChatRequest, uncounted: Uncounted, counter: TokenCounter, *, is_prompt: bool = False
) -> Usage:
    """The usage of an answer that is owed though its provider did not count all of it, marked as an estimate.

    told: the provider's last count, `estimated` if it said that it was not its last word; what it knows of the input (cached,
    written into its cache) stands. is_prompt: as tokens_read has it.
    """
    said = told or Usage()
    wrote = uncounted.tokens(counter)
    # A count that is not the last word may or may not have in it what has come; one that was complete has not.
    output = max(wrote, said.output) if said.estimated else said.output + wrote
    read = said.input or tokens_read(request, counter, is_prompt=is_prompt)
    return msgspec.structs.replace(said, input=read, output=output, estimated=True)
