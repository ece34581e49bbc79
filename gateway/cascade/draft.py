"""A complete answer of a rung, as it is judged: text, tool calls and how it ended, by choice. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from classifiers.cascade.confidence import TokenChance
from gateway.chat_forms import assemble
from gateway.sse import EventParser, EventTooLong


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the answer wants called; arguments as they came, which should be JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One choice of an answer. refusal: in the field that the dialect has for it. chances: of its tokens, if given."""

    text: str
    refusal: str
    calls: tuple[ToolCall, ...]
    finish: str | None
    chances: Sequence[TokenChance] = ()


class UnreadableAnswer(Exception):
    """It is well-formed JSON and yet no answer that can be judged."""


def read_drafts(data: bytes, *, is_stream: bool, chances: Mapping[int, Sequence[TokenChance]]) -> list[Draft]:
    """The choices of a complete answer, in the order of their index. data: all of its events, or its body.

    Raises UnreadableAnswer.
    """
    try:
        body = assemble(EventParser().feed(data)) if is_stream else data
        answer: dict[str, Any] = msgspec.json.decode(body)
        return [_draft(choice, chances.get(choice.get("index", 0), ())) for choice in answer["choices"]]
    except (msgspec.DecodeError, EventTooLong, TypeError, KeyError, AttributeError, ValueError, RecursionError) as exc:
        # A vendor's own shape in fields that are passed on unread otherwise.
        raise UnreadableAnswer(f"its shape is not that of an answer ({type(exc).__name__})") from exc


def _draft(choice: dict[str, Any], chances: Sequence[TokenChance]) -> Draft:
    message = choice["message"]
    calls = [ToolCall(_text(c["function"].get("name")), _text(c["function"].get("arguments"))) for c in _calls(message)]
    return Draft(
        text=_text(message.get("content")),
        refusal=_text(message.get("refusal")),
        calls=tuple(calls),
        finish=choice.get("finish_reason"),
        chances=chances,
    )


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = list(message.get("tool_calls") or ())
    old = message.get("function_call")
    return [*calls, {"function": old}] if old else calls


def _text(content: Any) -> str:
    """A text, or the text parts of a list, joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""
