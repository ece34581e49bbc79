"""A whole answer of Anthropic's in the OpenAI chat dialect. No I/O.

Thinking becomes `reasoning_content`, and besides, signed, `thinking_blocks`: put back into the assistant message
they let a model that thinks go on after a tool call. Blocks of unknown types are passed over, as Anthropic's versioning
asks of clients.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from gateway.errors import UpstreamError
from gateway.providers.anthropic_wire import Block, Citation, Json, Message, decode_message, read_usage
from gateway.providers.refusal import UNREADABLE, reported, unreadable
from gateway.wire_usage import wire_usage

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # cut short in a server tool, which we never ask for: not finished is what matters
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_SERVICES: Final = {"standard": "default"}  # as OpenAI calls being served the usual way


def read_message(name: str, body: bytes, secret: str | None = None) -> Message:
    """A whole message that is complete. name: the provider's. secret: kept out of errors. Raises UpstreamError."""
    try:
        message = decode_message(body)
    except UNREADABLE as exc:
        raise unreadable(name, "an Anthropic message", body, exc) from exc
    if bytes(message.error) != b"null":
        raise reported(name, bytes(message.error), secret)
    if message.type != "message":
        raise UpstreamError(f"{name}: the answer is {message.type!r}, not an Anthropic message", fault="malformed")
    if not message.stop_reason:
        raise UpstreamError(f"{name}: the message has no stop_reason, so it is not whole", fault="cut", is_retryable=True)
    return message


def chat_body(message: Message) -> bytes:
    """A message as a chat completion."""
    usage = read_usage(message.usage)
    choice = {
        "index": 0,
        "message": _chat_message(message),
        "logprobs": None,
        **finished(message.stop_reason, message.stop_sequence),
    }
    fields: Json = {
        "id": message.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": message.model,
        "choices": [choice],
    }
    if usage is not None:
        fields["usage"] = wire_usage(usage.usage())
        if usage.service_tier is not None:
            fields["service_tier"] = _SERVICES.get(usage.service_tier, usage.service_tier)
    return msgspec.json.encode(fields)


def unpriced(message: Message) -> str | None:
    """What was sold that no price is for; None if everything has one."""
    usage = read_usage(message.usage)
    told = None if usage is None else usage.unpriced
    return told or next((block.unpriced for block in message.content if block.unpriced is not None), None)


def finished(stop_reason: str | None, stop_sequence: str | None) -> Json:
    """How a choice ends. The text that ended it stands where vLLM puts it, beside the finish_reason."""
    fields: Json = {"finish_reason": FINISH_REASONS.get(stop_reason or "", "stop")}
    return {**fields, "stop_reason": stop_sequence} if stop_reason == "stop_sequence" and stop_sequence else fields


def _chat_message(message: Message) -> Json:
    texts = [block.text for block in message.content if block.type == "text"]
    thoughts = [block.thinking for block in message.content if block.type == "thinking" and block.thinking]
    blocks = [thought for block in message.content if (thought := thinking_block(block)) is not None]
    calls = [
        {"id": b.id, "type": "function", "function": {"name": b.name, "arguments": bytes(b.input).decode()}}
        for b in message.content
        if b.type == "tool_use"
    ]
    details = message.stop_details
    fields: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": details.explanation if details and message.stop_reason == "refusal" else None,
    }
    if thoughts:
        fields["reasoning_content"] = "".join(thoughts)
    if blocks:
        fields["thinking_blocks"] = blocks
    if calls:
        fields["tool_calls"] = calls
    if notes := _annotations(message.content):
        fields["annotations"] = notes
    return fields


def _annotations(blocks: list[Block]) -> list[Json]:
    """The web pages that the texts are from."""
    notes: list[Json] = []
    begin = 0
    for block in blocks:
        end = begin + (len(block.text) if block.type == "text" else 0)
        notes += [note for citation in block.citations or () if (note := annotation(citation, begin, end)) is not None]
        begin = end
    return notes


def annotation(citation: Citation, begin: int, end: int) -> Json | None:
    """A citation of a web page as OpenAI notes it; None for one of a document. begin, end: of the text that it is for."""
    if citation.url is None:
        return None
    page = {"url": citation.url, "title": citation.title or citation.url, "start_index": begin, "end_index": end}
    return {"type": "url_citation", "url_citation": page}


def thinking_block(block: Block) -> Json | None:
    """What has to come back unchanged; None for thinking that is not signed, and for all else."""
    if block.type == "thinking" and block.signature:
        return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
    if block.type == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.data}
    return None
