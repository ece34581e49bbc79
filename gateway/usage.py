"""Tokens that one answer used."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Token counts of one attempt.

    input: all input tokens, cached ones included. output: all output tokens, reasoning included.
    cached_input, cache_write, audio_input: parts of input that the provider prices differently. cache_write_1h: part of
    cache_write, kept for an hour. reasoning, audio_output: parts of output. images: how many were sent, for models that
    are paid by the image. service: the tier that the provider served it in, as `batch`, `flex` or `priority`; None for the
    usual one. estimated: True when we counted because the provider did not say. unpriced: what was sold besides that no price
    is for, as a web search that the provider made; then the cost is unknown.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False
    cache_write_1h: int = 0
    audio_input: int = 0
    audio_output: int = 0
    images: int = 0
    service: str | None = None
    unpriced: str | None = None

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cached_input=self.cached_input + other.cached_input,
            cache_write=self.cache_write + other.cache_write,
            reasoning=self.reasoning + other.reasoning,
            estimated=self.estimated or other.estimated,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            audio_input=self.audio_input + other.audio_input,
            audio_output=self.audio_output + other.audio_output,
            images=self.images + other.images,
            service=self.service or other.service,
            unpriced=self.unpriced or other.unpriced,
        )


# English prose runs at about four characters a token with the usual byte-pair vocabularies.
CHARS_PER_TOKEN = 4


def estimate_tokens(chars: int) -> int:
    """About how many tokens a text of `chars` characters has; at least 1 for any text at all."""
    return -(-chars // CHARS_PER_TOKEN)
