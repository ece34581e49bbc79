"""A complete answer of a rung, as it is judged: text, tool calls and how it ended, by choice. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from classifiers.cascade.confidence import TokenChance
from gateway.chat_forms import assemble
from gateway.sse import EventParser, EventTooLong


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the answer wants called; arguments as they came, which should be JSON."""

    name: str
    arguments: str


class Draft(msgspec.Struct, frozen=True):
    """One choice of an answer. refusal: in the field that the dialect has for it. chances: of its tokens, if given."""

    text: str
    refusal: str
    calls: tuple[ToolCall, ...]
    finish: str | None
    chances: Sequence[TokenChance] = ()


class UnreadableAnswer(Exception):
    """It is well-formed JSON and yet no answer that can be judged."""


_decode: Final = msgspec.json.Decoder().decode


class _Said(msgspec.Struct, gc=False):
    """A message, or what an event adds to one, where that is words. What else counts is not there, or it is no _Said."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: None = None
    function_call: None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Said
    index: int = 0
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]


class _Part(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Said | None = None
    finish_reason: str | None = None
    message: None = None
    logprobs: dict[str, list[Any] | None] | None = None  # not read; of any other shape they cannot be assembled


class _Event(msgspec.Struct, gc=False):
    choices: list[_Part] | None = None
    usage: dict[str, Any] | None = None  # likewise


def read_drafts(data: bytes, *, is_stream: bool, chances: Mapping[int, Sequence[TokenChance]]) -> list[Draft]:
    """The choices of a complete answer, in the order of their index. data: all of its events, or its body.

    Raises UnreadableAnswer.
    """
    if is_stream and (drafts := _spoken(data, chances)) is not None:
        return drafts
    try:
        body = assemble(EventParser().feed(data)) if is_stream else data
        answer: dict[str, Any] = _decode(body)
        words = _words(answer)
        if words is None:
            return [_draft(choice, chances.get(choice.get("index", 0), ())) for choice in answer["choices"]]
    except (msgspec.DecodeError, EventTooLong, TypeError, KeyError, AttributeError, ValueError, RecursionError) as exc:
        # A vendor's own shape in fields that are passed on unread otherwise.
        raise UnreadableAnswer(f"its shape is not that of an answer ({type(exc).__name__})") from exc
    return [Draft(c.message.content or "", c.message.refusal or "", (), c.finish_reason, chances.get(c.index, ())) for c in words]


def _words(answer: dict[str, Any]) -> list[_Choice] | None:
    """The choices of an answer of words alone, as nearly every one is; None for any other."""
    try:
        return msgspec.convert(answer, _Answer).choices
    except msgspec.ValidationError:
        return None


def _spoken(data: bytes, chances: Mapping[int, Sequence[TokenChance]]) -> list[Draft] | None:
    """The drafts of a stream of words alone, as nearly every one is; None for any other, which is to be assembled.

    That takes four times as long: most of what an event has is kept there, and is not asked for here.
    """
    events = data[6:-2].split(b"\n\ndata: ")
    if not data.startswith(b"data: ") or data.count(b"\n") != 2 * len(events) or not data.endswith(b"\n\n") or b"\r" in data:
        return None  # not every event is one line of data and nothing else
    try:
        # Not decoded into its type at once: what has no place in that would be passed over, and need not be readable.
        told = msgspec.convert(list(map(_decode, events)), list[_Event])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    texts: dict[int, list[str]] = {}
    refusals: dict[int, list[str]] = {}
    finishes: dict[int, str] = {}
    for event in told:
        for choice in event.choices or ():
            index, delta = choice.index, choice.delta
            if index not in texts:
                texts[index], refusals[index] = [], []
            if delta is not None:
                if delta.content:
                    texts[index].append(delta.content)
                if delta.refusal:
                    refusals[index].append(delta.refusal)
            if choice.finish_reason:
                finishes[index] = choice.finish_reason
    return [Draft("".join(texts[i]), "".join(refusals[i]), (), finishes.get(i), chances.get(i, ())) for i in sorted(texts)]


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
    calls = message.get("tool_calls") or []
    old = message.get("function_call")
    return [*calls, {"function": old}] if old else calls


def _text(content: Any) -> str:
    """A text, or the text parts of a list, joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""
