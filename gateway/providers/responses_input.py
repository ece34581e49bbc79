"""The messages of the canonical form as items of a Responses request's `input`. Values to values, no I/O."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from gateway.chat import OPENAI_SEALED
from gateway.providers.canonical import Json, Part, ToolCall
from gateway.providers.unsupported import unsupported

_BETWEEN: Final = {"assistant": ""}


class _Detail(msgspec.Struct):
    type: str = ""
    format: str | None = None
    id: str | None = None
    data: str | None = None


class ChatMessage(msgspec.Struct):
    """One message, as far as it is carried or refused."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: Json | None = None
    function_call: Json | None = None
    reasoning_details: list[_Detail] | None = None


def input_items(messages: list[ChatMessage]) -> list[Json]:
    """The conversation, item by item, in its order. Raises UpstreamError: `unsupported`, naming the message or part."""
    items: list[Json] = []
    custom_ids: set[str] = set()  # of the calls of custom tools, whose results are items of another type
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if message.role == "function" or message.function_call:
            raise unsupported(where, "uses function_call, which has no counterpart in the Responses API; use tool_calls")
        if message.audio:
            raise unsupported(f"{where}.audio", "cannot be carried by the Responses API")
        match message.role:
            case "assistant":
                items += _assistant_items(message, i, custom_ids)
            case "tool":
                items.append(_result(message, where, custom_ids))
            case _:
                items.append({"type": "message", "role": message.role, "content": _content(message, where)})
    return items


def _assistant_items(message: ChatMessage, number: int, custom_ids: set[str]) -> list[Json]:
    """What the model had thought, said and called, in this order."""
    items: list[Json] = []
    where = f"messages[{number}]"
    for detail in message.reasoning_details or []:
        if detail.format == OPENAI_SEALED and detail.data:
            sealed: Json = {"type": "reasoning", "summary": [], "encrypted_content": detail.data}
            items.append({**sealed, "id": detail.id} if detail.id else sealed)
    content = _content(message, where)
    if message.refusal:
        text = [{"type": "output_text", "text": content, "annotations": []}] if isinstance(content, str) and content else content
        content = [*text, {"type": "refusal", "refusal": message.refusal}]
    if isinstance(content, str):
        items += [{"type": "message", "role": "assistant", "content": content}] if content else []
    else:  # in parts it has to be an item as the provider would have made it, whose ids begin so
        items.append({"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": content})
    for j, call in enumerate(message.tool_calls or []):
        items.append(_call(call, f"{where}.tool_calls[{j}]", custom_ids))
    return items


def _call(call: ToolCall, where: str, custom_ids: set[str]) -> Json:
    if call.type == "custom" and call.custom is not None:
        custom_ids.add(call.id)
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.custom.name, "input": call.custom.input}
    if call.function is None:
        raise unsupported(where, f"is a {call.type!r} call, which has no counterpart in the Responses API")
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.function.name,
        "arguments": call.function.arguments or "{}",
    }


def _result(message: ChatMessage, where: str, custom_ids: set[str]) -> Json:
    if message.tool_call_id is None:
        raise unsupported(f"{where}.tool_call_id", "is missing")
    kind = "custom_tool_call_output" if message.tool_call_id in custom_ids else "function_call_output"
    return {"type": kind, "call_id": message.tool_call_id, "output": _content(message, where)}


def _content(message: ChatMessage, where: str) -> str | list[Json]:
    """Text alone as a text, which every server takes; else as parts."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    if all(part.type == "text" and part.prompt_cache_breakpoint is None for part in message.content):
        return _BETWEEN.get(message.role, "\n\n").join(part.text or "" for part in message.content)
    written = "output_text" if message.role == "assistant" else "input_text"
    return [_marked(part, _part(part, written, f"{where}.content[{j}]")) for j, part in enumerate(message.content)]


def _marked(part: Part, said: Json) -> Json:
    """With OpenAI's mark for its cache, which is the same in both dialects."""
    return said if part.prompt_cache_breakpoint is None else {**said, "prompt_cache_breakpoint": part.prompt_cache_breakpoint}


def _part(part: Part, written: str, where: str) -> Json:
    if part.type == "text":
        said: Json = {"type": written, "text": part.text or ""}
        return {**said, "annotations": []} if written == "output_text" else said
    if part.type == "refusal":
        return {"type": "refusal", "refusal": part.refusal or ""}
    if part.type == "image_url" and part.image_url is not None:
        return {"type": "input_image", "image_url": part.image_url.url, "detail": part.image_url.detail or "auto"}
    if part.type == "file" and part.file is not None:
        return {"type": "input_file", **msgspec.to_builtins(part.file)}
    raise unsupported(where, f"is a {part.type!r} part, which has no counterpart in the Responses API")
