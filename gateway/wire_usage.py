"""`usage` in the OpenAI dialect, read and written: the one place that knows how providers count.

What cannot be read is passed over: an answer is not lost because its count is odd. Money is made of these numbers, so each is
kept to what can be a count.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.unpriced import Extras, of_extras
from gateway.usage import Usage

Raw = msgspec.Raw
TOKENS_MAX = 1_000_000_000  # of one answer
ABSENT: Final = Raw(b"null")  # of a field that is not there; compares equal to one that is null
# Compared without a copy. ABSENT is first: it is the default, and found by identity without a comparison.
EMPTY: Final = (ABSENT, Raw(b"[]"), Raw(b"{}"), Raw(b'""'))
NOTHING: Final = (b"null", b"[]", b"{}", b'""')
# What providers call being served the usual way; `on_demand` is Groq's word.
USUAL: Final = ("default", "auto", "standard", "on_demand")

Count = int | float | None
Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]
Nought = Literal[0] | None


class _PlainRead(msgspec.Struct, gc=False):
    cached_tokens: Nought = None
    cache_write_tokens: Nought = None
    cache_creation_tokens: Nought = None
    cache_creation_token_details: None = None
    audio_tokens: Nought = None


class _PlainWritten(msgspec.Struct, gc=False):
    reasoning_tokens: Nought = None
    audio_tokens: Nought = None


class _PlainUsage(msgspec.Struct, gc=False):
    """Most of what is told: two counts and their sum, and nothing of what they are made of.

    It has every field that is read of any other usage: so one that is decoded as this says nothing more.
    """

    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens
    prompt_tokens_details: _PlainRead | None = None
    completion_tokens_details: _PlainWritten | None = None
    prompt_cache_hit_tokens: Nought = None
    speed: None = None
    inference_geo: None = None
    server_tool_use: None = None
    iterations: None = None
    num_server_side_tools_used: Nought = None
    num_sources_used: Nought = None


class _Kept(msgspec.Struct):
    """For how long what was written into the provider's cache is kept, as litellm writes it for Anthropic."""

    ephemeral_1h_input_tokens: Count = None


class _Read(msgspec.Struct):
    """cache_write_tokens: OpenRouter's name of it; cache_creation_tokens: litellm's."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None
    cache_creation_tokens: Count = None
    cache_creation_token_details: _Kept | None = None
    audio_tokens: Count = None


class _Written(msgspec.Struct):
    reasoning_tokens: Count = None
    audio_tokens: Count = None


class _WireUsage(Extras):
    """As it stands on the wire. prompt_cache_hit_tokens: DeepSeek's cached_tokens."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: Raw = ABSENT
    completion_tokens_details: Raw = ABSENT
    prompt_cache_hit_tokens: Count = None


_decode_plain = msgspec.json.Decoder(_PlainUsage).decode
_decode_usage = msgspec.json.Decoder(_WireUsage, strict=False).decode
_decode_read = msgspec.json.Decoder(_Read, strict=False).decode
_decode_written = msgspec.json.Decoder(_Written, strict=False).decode
_decode_name = msgspec.json.Decoder(str).decode


def token_count(tokens: float | None) -> int:
    """A provider's count, kept to what can be one: money is made of it, in 64 bits."""
    if tokens is None:
        return 0
    if type(tokens) is int and 0 <= tokens <= TOKENS_MAX:  # as nearly all are
        return tokens
    return int(min(max(tokens, 0), TOKENS_MAX))


def service_of(name: str | None) -> str | None:
    """The tier that an answer was served in; None for the usual one."""
    return None if name is None or name in USUAL else name


def read_usage(raw: Raw, service_tier: Raw = ABSENT) -> Usage | None:
    """The counts of a chunk's or an answer's `usage`; None where there are none, or none that can be read.

    service_tier: what stands beside it. Zeros alone count nothing: servers that do not count send them. One that tells no
    output tokens and no total leaves them to be counted, so what it tells is marked `estimated`.
    """
    if raw in EMPTY:
        return None
    service = None if service_tier in EMPTY else service_of(_name(service_tier))
    try:
        plain = _decode_plain(raw)
    except msgspec.DecodeError:
        return _read_parts(raw, service)
    told, output = plain.prompt_tokens, plain.completion_tokens
    if plain.total_tokens == told + output:
        return Usage(told, output, service=service) if plain.total_tokens else None
    return _read_parts(raw, service)


def _read_parts(raw: Raw, service: str | None) -> Usage | None:
    """The counts where more than two are told, or less, or odd ones."""
    try:
        wire = _decode_usage(raw)
    except msgspec.DecodeError:
        return None
    read, written = _read_details(wire.prompt_tokens_details), _written_details(wire.completion_tokens_details)
    told, cached = _input(wire), token_count(read.cached_tokens or wire.prompt_cache_hit_tokens)
    stored = token_count(read.cache_write_tokens or read.cache_creation_tokens)
    thought = token_count(written.reasoning_tokens)
    output, unseen = _output(wire, told, cached, thought)
    if not (told or output):
        return None
    kept = read.cache_creation_token_details or _Kept()
    return Usage(
        input=token_count(told + _beside(wire, told, cached, stored, output)),
        output=output,
        cached_input=cached,
        cache_write=stored,
        reasoning=max(thought, unseen),
        estimated=wire.completion_tokens is None and wire.total_tokens is None,
        cache_write_1h=token_count(kept.ephemeral_1h_input_tokens),
        audio_input=token_count(read.audio_tokens),
        audio_output=token_count(written.audio_tokens),
        service=service,
        unpriced=of_extras(wire),
    )


def _input(wire: _WireUsage) -> int:
    """The input that is told, or that a total leaves for it."""
    if wire.prompt_tokens is None and wire.completion_tokens is not None:
        return max(token_count(wire.total_tokens) - token_count(wire.completion_tokens), 0)
    return token_count(wire.prompt_tokens)


def _beside(wire: _WireUsage, told: int, cached: int, stored: int, output: int) -> int:
    """Input that stands beside what is told of it: there are more parts than whole, or the total has the cached ones on top."""
    if cached + stored > told:
        return cached + stored
    return cached if cached and token_count(wire.total_tokens) == told + cached + output else 0


def _output(wire: _WireUsage, read: int, cached: int, thought: int) -> tuple[int, int]:
    """All output tokens, and how many of them stand in the total alone.

    xAI and Gemini's OpenAI endpoint leave the reasoning out of completion_tokens and have it in total_tokens; it is billed as
    output. An excess that is the cached input, and not the reasoning, is a server's that leaves that out of prompt_tokens.
    """
    output = token_count(wire.completion_tokens)
    unseen = token_count(wire.total_tokens) - read - output
    if wire.prompt_tokens is None or unseen <= 0 or (unseen == cached and unseen != thought):
        return output, 0
    return output + unseen, unseen


def _read_details(raw: Raw) -> _Read:
    if raw in EMPTY:
        return _Read()
    try:
        return _decode_read(raw)
    except msgspec.DecodeError:
        return _Read()


def _written_details(raw: Raw) -> _Written:
    if raw in EMPTY:
        return _Written()
    try:
        return _decode_written(raw)
    except msgspec.DecodeError:
        return _Written()


def _name(raw: Raw) -> str | None:
    try:
        return _decode_name(raw)
    except msgspec.DecodeError:
        return None


def wire_usage(usage: Usage) -> dict[str, Any]:
    """`usage` as OpenAI writes it; what OpenAI has no word for, as OpenRouter and litellm do."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    if usage.cached_input or usage.cache_write or usage.audio_input:
        read = fields["prompt_tokens_details"] = {"cached_tokens": usage.cached_input}
        if usage.cache_write:
            read["cache_write_tokens"] = usage.cache_write
        if usage.cache_write_1h:
            read["cache_creation_token_details"] = _kept(usage)
        if usage.audio_input:
            read["audio_tokens"] = usage.audio_input
    if usage.reasoning or usage.audio_output:
        written = fields["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
        if usage.audio_output:
            written["audio_tokens"] = usage.audio_output
    return fields


def _kept(usage: Usage) -> dict[str, int]:
    short = max(usage.cache_write - usage.cache_write_1h, 0)
    return {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": usage.cache_write_1h}
