"""Anthropic's answers as they stand on the wire, as far as the gateway reads them. Bytes to values, no I/O.

What cannot be read of a count is passed over: an answer is not lost for that.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.unpriced import of_block, of_usage
from gateway.usage import Usage
from gateway.wire_usage import service_of, token_count

# Not `Raw | None`, of which msgspec takes only the null.
NOTHING = msgspec.Raw(b"null")

Json = dict[str, Any]

KNOWN_BLOCKS: Final = ("text", "thinking", "redacted_thinking", "tool_use")


class _Details(msgspec.Struct):
    thinking_tokens: int | float | None = None


class _Kept(msgspec.Struct):
    ephemeral_1h_input_tokens: int | float | None = None


class WireUsage(msgspec.Struct):
    """As on the wire: running totals, where a later event may leave out what has not changed. unpriced: read from all of it."""

    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None
    cache_creation: _Kept | None = None
    output_tokens_details: _Details | None = None
    service_tier: str | None = None
    unpriced: str | None = msgspec.field(default=None, name="(unpriced)")  # no name of the wire's

    def updated(self, later: WireUsage) -> WireUsage:
        said = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **said)

    def usage(self, *, estimated: bool = False) -> Usage:
        cached_input, cache_write = token_count(self.cache_read_input_tokens), token_count(self.cache_creation_input_tokens)
        details, kept = self.output_tokens_details or _Details(), self.cache_creation or _Kept()
        return Usage(
            input=token_count(token_count(self.input_tokens) + cached_input + cache_write),
            output=token_count(self.output_tokens),
            cached_input=cached_input,
            cache_write=cache_write,
            reasoning=token_count(details.thinking_tokens),
            estimated=estimated,
            cache_write_1h=min(token_count(kept.ephemeral_1h_input_tokens), cache_write),
            service=service_of(self.service_tier),
            unpriced=self.unpriced,
        )


class Citation(msgspec.Struct):
    """Where a text is from; a web page, where it has a url."""

    type: str = ""
    url: str | None = None
    title: str | None = None


class Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str | None = None
    data: str | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    citations: list[Citation] | None = None

    @property
    def unpriced(self) -> str | None:
        """What it was, if Anthropic ran a tool that is paid for apart."""
        return of_block(self.type, self.name)


class StopDetails(msgspec.Struct):
    explanation: str | None = None


class Message(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


class Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    citation: Citation | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class Event(msgspec.Struct):
    type: str
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


decode_event = msgspec.json.Decoder(Event).decode
decode_message = msgspec.json.Decoder(Message).decode
_decode_usage = msgspec.json.Decoder(WireUsage | None, strict=False).decode


def read_usage(raw: msgspec.Raw) -> WireUsage | None:
    """None where there is none, or none that can be read: an answer is not lost for that."""
    try:
        usage: WireUsage | None = _decode_usage(raw)
    except msgspec.DecodeError:
        return None
    return None if usage is None else msgspec.structs.replace(usage, unpriced=of_usage(raw))
