"""The messages of an OpenAI chat request as Anthropic's system prompt and conversation. Values to values, no I/O."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

from gateway.errors import UpstreamError

_IMAGE_TYPES = {"image/jpg": "image/jpeg", **{t: t for t in ("image/jpeg", "image/png", "image/gif", "image/webp")}}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[^,;]+)*;base64,")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")

Json = dict[str, Any]


def unsupported(param: str, why: str) -> UpstreamError:
    """Another target may carry what this provider cannot."""
    return UpstreamError(f"`{param}` {why}", fault="unsupported", code="unsupported_parameter", param=param)


class _ImageUrl(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageUrl | None = None
    file: _File | None = None
    cache_control: Json | None = None


class _Called(msgspec.Struct):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: str
    type: str = "function"
    function: _Called | None = None


class ChatMessage(msgspec.Struct):
    """One message, as far as it is carried or refused."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    thinking_blocks: list[Json] | None = None
    audio: Json | None = None
    function_call: Json | None = None


def anthropic_system(messages: list[ChatMessage]) -> Json:
    """All system and developer messages, joined in their order; as blocks only if one marks a place in the cache."""
    blocks: list[Json] = []
    for i, message in enumerate(messages):
        if message.role in ("system", "developer"):
            blocks += _content(message, f"messages[{i}]")
    if any(block["type"] != "text" for block in blocks):
        raise unsupported("messages", "hold a system prompt that is not text, which the Anthropic API does not take")
    if not blocks:
        return {}
    if any("cache_control" in block for block in blocks):
        return {"system": blocks}
    return {"system": "\n\n".join(block["text"] for block in blocks)}


def anthropic_messages(messages: list[ChatMessage]) -> list[Json]:
    """The conversation; neighbours of the same role become one message, as the roles must alternate."""
    turns: list[Json] = []
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if message.role in ("system", "developer"):
            continue
        if message.role == "function" or message.function_call:
            raise unsupported(where, "uses function_call, which has no counterpart; use tool_calls")
        if message.audio:
            raise unsupported(f"{where}.audio", "cannot be carried by the Anthropic API")
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, where)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:  # a message without content says nothing, and Anthropic refuses it
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: ChatMessage, where: str) -> list[Json]:
    content = _content(message, where)
    if message.role == "tool":
        if message.tool_call_id is None:
            raise unsupported(f"{where}.tool_call_id", "is missing")
        result: Json = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
        return [{**result, "content": content} if content else result]
    if message.role == "assistant":
        if message.refusal and not content:
            content = [{"type": "text", "text": message.refusal}]
        # Thinking comes first, as Anthropic demands; it is signed and goes back as it came.
        content = [*(message.thinking_blocks or []), *content]
        content += [_tool_use(call, f"{where}.tool_calls[{j}]") for j, call in enumerate(message.tool_calls or [])]
    return content


def _content(message: ChatMessage, where: str) -> list[Json]:
    """A message's content as blocks; empty texts are left out, since Anthropic refuses them."""
    if message.content is None or isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    blocks: list[Json] = []
    for j, part in enumerate(message.content):
        block = _block(part, f"{where}.content[{j}]")
        if block is not None:
            blocks.append(block if part.cache_control is None else {**block, "cache_control": part.cache_control})
    return blocks


def _block(part: _Part, where: str) -> Json | None:
    if part.type in ("text", "refusal"):
        text = part.text if part.type == "text" else part.refusal
        return {"type": "text", "text": text} if text else None
    if part.type == "image_url" and part.image_url is not None:
        return {"type": "image", "source": _image_source(part.image_url.url, f"{where}.image_url")}
    if part.type == "file" and part.file is not None and part.file.file_data:
        media_type, payload = _data_url(part.file.file_data)
        if media_type != "application/pdf":
            raise unsupported(f"{where}.file", "is not a PDF as a base64 data: URL, the one kind that can be carried")
        source = {"type": "base64", "media_type": media_type, "data": payload}
        return {"type": "document", "source": source, **({"title": part.file.filename} if part.file.filename else {})}
    raise unsupported(where, f"is a {part.type!r} part, which has no counterpart in the Anthropic API")


def _image_source(url: str, where: str) -> Json:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    media_type, payload = _data_url(url)
    if media_type not in _IMAGE_TYPES:
        raise unsupported(where, "is neither an http(s) URL nor base64 of a JPEG, PNG, GIF or WebP")
    return {"type": "base64", "media_type": _IMAGE_TYPES[media_type], "data": payload}


def _data_url(url: str) -> tuple[str, str]:
    """(media type, base64); ("", "") if it is no such URL."""
    found = _DATA_URL.match(url)
    return (found[1].lower(), url[found.end() :]) if found else ("", "")


def _tool_use(call: _ToolCall, where: str) -> Json:
    if call.function is None:
        raise unsupported(where, f"is a {call.type!r} call, which has no counterpart in the Anthropic API")
    try:
        given = msgspec.json.decode(call.function.arguments or "{}", type=Json)
    except msgspec.DecodeError as exc:
        raise unsupported(f"{where}.function.arguments", f"is not a JSON object: {exc}") from exc
    return {"type": "tool_use", "id": _tool_id(call.id), "name": call.function.name, "input": given}


def _tool_id(given: str) -> str:
    """Anthropic takes [a-zA-Z0-9_-] only. An id of another provider keeps apart from others by a hash."""
    clean = _NOT_IN_ID.sub("_", given)
    return clean if clean == given and clean else f"{clean[:48]}_{hashlib.sha256(given.encode()).hexdigest()[:12]}"
