"""What a chunk of a chat answer adds, as far as a Response shows it. Values only, no I/O."""

from __future__ import annotations

import msgspec

from gateway.dialects.responses_fields import Json


class Called(msgspec.Struct):
    """A fragment of a function's call. name, arguments: what it adds."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class CallPiece(msgspec.Struct):
    """A fragment of a call. custom: of a tool that takes text."""

    index: int | None = None
    id: str | None = None
    function: Called | None = None
    custom: Called | None = None


class Delta(msgspec.Struct):
    """What a chunk adds, or a whole message."""

    content: str | list[Json] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Json] | None = None
    reasoning_details: list[Json] | None = None
    annotations: list[Json] | None = None
    tool_calls: list[CallPiece] | None = None


def spoken(delta: Delta) -> tuple[str, str]:
    """What it says and what it thinks. Some models that think aloud do so in parts of their content (Mistral's)."""
    thoughts = delta.reasoning_content or delta.reasoning or ""
    if not isinstance(delta.content, list):
        return delta.content or "", thoughts
    words = ""
    for part in delta.content:
        if part.get("type") == "thinking":
            thoughts += _texts(part.get("thinking"))
        else:
            words += _texts([part])
    return words, thoughts


def _texts(parts: object) -> str:
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    return "".join(text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str))


def flat(annotation: Json) -> Json:
    """A citation's fields stand beside its type here, and below it in the chat dialect."""
    kind = annotation.get("type")
    cited = annotation.get(kind) if isinstance(kind, str) else None
    if not isinstance(cited, dict):
        return annotation
    missing: Json = {"start_index": 0, "end_index": 0, "title": ""} if kind == "url_citation" else {}
    return {**missing, **cited, "type": kind}
