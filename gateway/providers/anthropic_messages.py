"""The messages of an OpenAI chat request as Anthropic's system prompt and conversation. Values to values, no I/O."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal

import msgspec

from gateway.providers.canonical import File, Json, Part, ToolCall
from gateway.providers.unsupported import unsupported
from gateway.tool_ids import anthropic_tool_id

_IMAGE_TYPES = {"image/jpg": "image/jpeg", **{t: t for t in ("image/jpeg", "image/png", "image/gif", "image/webp")}}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[^,;]+)*;base64,")


class ChatMessage(msgspec.Struct):
    """One message, as far as it is carried or refused. cache_control, is_error: of a tool's, as Anthropic's results have them."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    thinking_blocks: list[Json] | None = None
    audio: Json | None = None
    function_call: Json | None = None
    cache_control: Json | None = None
    is_error: bool | None = None


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
        result: Json = {"type": "tool_result", "tool_use_id": anthropic_tool_id(message.tool_call_id)}
        if content:
            result["content"] = content
        if message.is_error:
            result["is_error"] = True
        return [_marked(result, message.cache_control)]
    if message.role == "assistant":
        if message.refusal and not content:
            content = [{"type": "text", "text": message.refusal}]
        # Thinking comes first, as Anthropic demands. What is signed goes back as it came; what is not, Anthropic refuses.
        content = [*_signed(message.thinking_blocks or []), *content]
        content += [_tool_use(call, f"{where}.tool_calls[{j}]") for j, call in enumerate(message.tool_calls or [])]
    return content


def _signed(blocks: list[Json]) -> list[Json]:
    """index: of a block in a stream, which a caller may have kept."""
    signed = [block for block in blocks if block.get("signature") or block.get("data")]
    return [{name: value for name, value in block.items() if name != "index"} for block in signed]


def _content(message: ChatMessage, where: str) -> list[Json]:
    """A message's content as blocks; empty texts are left out, since Anthropic refuses them."""
    if message.content is None or isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    blocks: list[Json] = []
    for j, part in enumerate(message.content):
        block = _block(part, f"{where}.content[{j}]")
        if block is not None:
            blocks.append(_marked(block, part.cache_control))
    return blocks


def _marked(block: Json, mark: Json | None) -> Json:
    return block if mark is None else {**block, "cache_control": mark}


def _block(part: Part, where: str) -> Json | None:
    if part.type in ("text", "refusal"):
        text = part.text if part.type == "text" else part.refusal
        return {"type": "text", "text": text} if text else None
    if part.type == "image_url" and part.image_url is not None:
        return {"type": "image", "source": _image_source(part.image_url.url, f"{where}.image_url")}
    if part.type == "file" and part.file is not None and (part.file.file_url or part.file.file_data):
        title = {"title": part.file.filename} if part.file.filename else {}
        return {"type": "document", "source": _document_source(part.file, f"{where}.file"), **title}
    raise unsupported(where, f"is a {part.type!r} part, which has no counterpart in the Anthropic API")


def _document_source(file: File, where: str) -> Json:
    if file.file_url:
        return {"type": "url", "url": file.file_url}
    media_type, payload = _data_url(file.file_data or "")
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": payload}
    if not media_type.startswith("text/"):
        raise unsupported(where, "is neither a PDF nor a text as a base64 data: URL, the two kinds that can be carried")
    try:
        text = base64.b64decode(payload).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise unsupported(where, f"is not UTF-8 in base64: {exc}") from exc
    return {"type": "text", "media_type": "text/plain", "data": text}


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


def _tool_use(call: ToolCall, where: str) -> Json:
    if call.function is None:
        raise unsupported(where, f"is a {call.type!r} call, which has no counterpart in the Anthropic API")
    try:
        given = msgspec.json.decode(call.function.arguments or "{}", type=Json)
    except msgspec.DecodeError as exc:
        raise unsupported(f"{where}.function.arguments", f"is not a JSON object: {exc}") from exc
    block = {"type": "tool_use", "id": anthropic_tool_id(call.id), "name": call.function.name, "input": given}
    return _marked(block, call.cache_control)
