"""The messages of the canonical form as OpenAI's chat dialect has them. Values to values, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.providers.openai_server import Server
from gateway.providers.unsupported import unsupported

Json = dict[str, Any]

_NOT_OPENAIS: Final = ("cache_control", "is_error", "thinking_blocks", "reasoning_details")
# Between two texts of a message, where the server gets them as one: blocks of an assistant's are pieces of one text.
_BETWEEN: Final = {"assistant": ""}
_PARAGRAPH: Final = "\n\n"


def openai_messages(messages: Sequence[Json], server: Server) -> list[Json]:
    """The conversation, as this server takes it.

    OpenAI's tool results are text. Their images and files go into the user message behind them, each after its number, which
    stands in the result in its place.
    """
    said: list[Json] = []
    shown: list[Json] = []  # parts of the tool results before, for the next user message
    for i, message in enumerate(messages):
        kept = {name: value for name, value in message.items() if name not in _NOT_OPENAIS and value is not None}
        if server.is_strict:
            kept.pop("reasoning_content", None)
        if kept["role"] == "developer" and not server.is_openai:
            kept["role"] = "system"
        parts = kept.get("content")
        if isinstance(parts, list):
            parts = [_part(part, server, f"messages[{i}].content[{j}]") for j, part in enumerate(parts)]
            kept["content"] = _result(parts, shown) if kept["role"] == "tool" else _content(kept["role"], parts)
        elif parts is None:
            kept["content"] = None if kept["role"] == "assistant" else ""
        if kept["content"] == "" and kept.get("tool_calls"):
            kept["content"] = None
        if shown and kept["role"] != "tool":
            if kept["role"] == "user":
                kept["content"] = [*shown, *_as_parts(kept["content"])]
            else:
                said.append({"role": "user", "content": shown})
            shown = []
        said.append(kept)
    return [*said, {"role": "user", "content": shown}] if shown else said


def _part(part: Json, server: Server, where: str) -> Json:
    if isinstance(part.get("file"), dict) and part["file"].get("file_url") is not None:
        raise unsupported(
            f"{where}.file.file_url", "has no counterpart in the OpenAI chat API, which takes a file's content or id"
        )
    dropped = ("cache_control",) if server.is_openai else ("cache_control", "prompt_cache_breakpoint")
    return {name: value for name, value in part.items() if name not in dropped}


def _content(role: str, parts: list[Json]) -> str | list[Json]:
    """One text where all is text: many servers take no list, of a system or an assistant message above all."""
    if all(part.keys() == {"type", "text"} for part in parts):
        return _BETWEEN.get(role, _PARAGRAPH).join(part.get("text") or "" for part in parts)
    return parts


def _result(parts: list[Json], shown: list[Json]) -> str:
    """The text of a tool result. shown: gets what is no text."""
    texts = []
    for part in parts:
        if part.get("type") == "text":
            texts.append(part.get("text") or "")
        else:
            number = sum(one.get("type") != "text" for one in shown) + 1
            mark = f"[{'image' if part.get('type') == 'image_url' else 'file'} {number}]"
            texts.append(mark)
            shown += [{"type": "text", "text": mark}, part]
    return _PARAGRAPH.join(texts)


def _as_parts(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content
