"""A chat stream as the events of an Anthropic one. Values to bytes, no I/O.

Anthropic's blocks come one after the other, and chat deltas of several tool calls may come in any order. So what belongs to
another block waits while a call is open whose arguments are not yet a whole JSON object; in the usual order nothing ever waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.chat_forms import added_name
from gateway.dialects.messages_answer import (
    Json,
    called,
    citations,
    counts,
    new_call_id,
    opening,
    service,
    spoken,
    stopping,
    thinking_blocks,
    thoughts,
)
from gateway.dialects.messages_reasoning import signature
from gateway.usage import Usage

TEXT: Final = "text"
THINKING: Final = "thinking"
CALL: Final = "call"


def event(kind: str, **fields: Any) -> bytes:
    """One event."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


PING: Final = event("ping")


@dataclass(slots=True)
class _Fragment:
    """A piece of what the model says. kind: of block. key: which call. value: text; a signed block, or citations, as they are."""

    kind: str
    value: Any
    key: tuple[int, int] | None = None
    id: str = ""
    name: str = ""


@dataclass(slots=True)
class _Block:
    """The block that is open. said: what has been said in it."""

    index: int
    kind: str
    key: tuple[int, int] | None = None
    said: list[str] = field(default_factory=list)

    def has_whole_arguments(self) -> bool:
        text = "".join(self.said)
        self.said = [text]  # it is asked for with each fragment that has to wait, and there may be very many
        if not text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(msgspec.json.decode(text), dict)
        except (msgspec.DecodeError, RecursionError):
            return False


class MessageStream:
    """One stream. tokens_in: what the question is taken to have, until the provider has counted."""

    def __init__(self, tokens_in: int) -> None:
        self._tokens_in = tokens_in
        self._has_begun = False
        self._block: _Block | None = None
        self._blocks = 0
        self._begun: _Fragment | None = None  # a call without arguments so far
        self._waiting: list[_Fragment] = []
        self._closed: set[tuple[int, int]] = set()  # calls
        self._ids: dict[int, list[str]] = {}  # of the calls of each index: some servers have them all at 0
        self._details: list[Any] = []  # of reasoning, which its model needs back, since the last block of it
        self._refusal = ""
        self._last: Json = {}  # the choice that told the finish

    def feed(self, chunk: Json) -> Iterator[bytes]:
        """The events that a chat chunk becomes."""
        choices = [choice for choice in chunk.get("choices") or () if not choice.get("index")]
        if choices and not self._has_begun:
            yield from self._begin(chunk)
        for choice in choices:
            for fragment in self._fragments(choice.get("delta") or {}):
                yield from self._take(fragment)
            if choice.get("finish_reason"):
                self._last = choice

    def end(self, usage: Usage, cost_usd: float | None) -> Iterator[bytes]:
        """What is left to say, why it ended, and what it used."""
        if not self._has_begun:
            yield from self._begin({})
        if self._begun is not None:
            yield from self._place(self._begun)
        yield from self._drain(is_over=True)
        yield from self._seal()
        yield from self._close()
        stopped = stopping(self._last, has_calls=bool(self._closed), refusal=self._refusal)
        yield event("message_delta", delta=stopped, usage={**counts(usage), "cost": cost_usd})
        yield event("message_stop")

    def _begin(self, chunk: Json) -> Iterator[bytes]:
        self._has_begun = True
        usage = {**counts(Usage(input=self._tokens_in)), "service_tier": service(chunk.get("service_tier"))}
        empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": usage}
        yield event("message_start", message={**opening(chunk.get("id"), chunk.get("model")), **empty})
        yield PING

    def _fragments(self, delta: Json) -> Iterator[_Fragment]:
        self._details += delta.get("reasoning_details") or ()
        if delta.get("thinking_blocks"):
            for block in thinking_blocks({**delta, "reasoning_details": None}):
                yield _Fragment(THINKING, block if block.get("signature") or "data" in block else block["thinking"])
        elif thought := thoughts(delta):
            yield _Fragment(THINKING, thought)
        if text := spoken(delta):
            self._refusal += delta.get("refusal") or ""
            yield _Fragment(TEXT, text)
        if cited := citations(delta):
            yield _Fragment(TEXT, cited)
        for call in delta.get("tool_calls") or ():
            name, arguments = called(call)
            id_ = call.get("id") or ""
            yield _Fragment(CALL, arguments, self._key(call.get("index"), id_, name), id_, name)

    def _key(self, index: int | None, id_: str, name: str) -> tuple[int, int]:
        """Which call a fragment is of: one with another id and a name begins a call, whatever its index."""
        index = len(self._ids) if index is None else index
        ids = self._ids.setdefault(index, [id_])
        if id_ and name and ids[-1] and ids[-1] != id_:
            ids.append(id_)
        ids[-1] = ids[-1] or id_
        return index, len(ids)

    def _take(self, fragment: _Fragment) -> Iterator[bytes]:
        """Say a fragment. A call is not begun before its arguments: till then servers may add to its name, or tell its id."""
        begun, self._begun = self._begun, None
        if begun is not None and begun.key == fragment.key:
            fragment.id, fragment.name = begun.id or fragment.id, added_name(begun.name, fragment.name)
        elif begun is not None:
            yield from self._place(begun)
        if fragment.kind == CALL and not fragment.value:
            self._begun = fragment
        else:
            yield from self._place(fragment)

    def _place(self, fragment: _Fragment) -> Iterator[bytes]:
        block = self._block
        if block is not None and block.kind == CALL and fragment.key != block.key and not block.has_whole_arguments():
            self._waiting.append(fragment)
            return
        yield from self._say(fragment)
        if self._waiting:
            yield from self._drain()

    def _drain(self, *, is_over: bool = False) -> Iterator[bytes]:
        """What waits and need wait no more. is_over: nothing more comes."""
        while self._waiting:
            block = self._block
            if not is_over and block is not None and block.kind == CALL and not block.has_whole_arguments():
                return
            first = self._waiting[0]
            together: list[_Fragment] = []
            waiting: list[_Fragment] = []
            for one in self._waiting:
                is_of_it = one is first or (first.key is not None and one.key == first.key)
                (together if is_of_it else waiting).append(one)
            self._waiting = waiting
            for fragment in together:
                yield from self._say(fragment)

    def _say(self, fragment: _Fragment) -> Iterator[bytes]:
        if fragment.kind == CALL:
            yield from self._call(fragment)
        elif fragment.kind == TEXT:
            yield from self._speak(fragment.value)
        else:
            yield from self._think(fragment.value)

    def _call(self, fragment: _Fragment) -> Iterator[bytes]:
        if fragment.key in self._closed:
            return  # its arguments were whole: what comes after them is white space, or no argument
        if self._block is None or self._block.key != fragment.key:
            given = {"type": "tool_use", "id": fragment.id or new_call_id(), "name": fragment.name, "input": {}}
            yield from self._open(CALL, given, fragment.key)
        if fragment.value:
            yield self._grown("input_json_delta", "partial_json", fragment.value)

    def _speak(self, said: str | list[Json]) -> Iterator[bytes]:
        if self._block is None or self._block.kind != TEXT:
            yield from self._open(TEXT, {"type": "text", "text": ""})
        if isinstance(said, str):
            yield self._grown("text_delta", "text", said)
        else:
            for citation in said:
                yield self._delta({"type": "citations_delta", "citation": citation})

    def _think(self, thought: str | Json) -> Iterator[bytes]:
        block = self._block if self._block is not None and self._block.kind == THINKING else None
        if isinstance(thought, str):
            if block is None:
                yield from self._open(THINKING, {"type": "thinking", "thinking": "", "signature": ""})
            yield self._grown("thinking_delta", "thinking", thought)
            return
        if thought.get("type") != "thinking":
            yield from self._open(THINKING, thought)
            yield from self._close()
            return
        whole = thought.get("thinking") or ""
        before = "".join(block.said) if block is not None else ""
        if not before or not whole.startswith(before):  # it is not the signature of what was said so far
            before = ""
            yield from self._open(THINKING, {"type": "thinking", "thinking": "", "signature": ""})
        if rest := whole[len(before) :]:
            yield self._grown("thinking_delta", "thinking", rest)
        yield self._delta({"type": "signature_delta", "signature": thought["signature"]})
        yield from self._close()

    def _open(self, kind: str, content_block: Json, key: tuple[int, int] | None = None) -> Iterator[bytes]:
        if kind != THINKING:
            yield from self._seal()
        yield from self._close()
        self._block = _Block(self._blocks, kind, key)
        self._blocks += 1
        yield event("content_block_start", index=self._block.index, content_block=content_block)

    def _seal(self) -> Iterator[bytes]:
        """Sign what was thought with what its model needs back of it."""
        sealed, self._details = signature(self._details), []
        if not sealed:
            return
        if self._block is None or self._block.kind != THINKING:
            yield from self._open(THINKING, {"type": "thinking", "thinking": "", "signature": ""})
        yield self._delta({"type": "signature_delta", "signature": sealed})
        yield from self._close()

    def _close(self) -> Iterator[bytes]:
        if self._block is not None:
            yield event("content_block_stop", index=self._block.index)
            if self._block.key is not None:
                self._closed.add(self._block.key)
            self._block = None

    def _grown(self, kind: str, name: str, text: str) -> bytes:
        assert self._block is not None
        if self._block.kind != TEXT:  # which nobody asks for again
            self._block.said.append(text)
        return self._delta({"type": kind, name: text})

    def _delta(self, delta: Json) -> bytes:
        assert self._block is not None
        return event("content_block_delta", index=self._block.index, delta=delta)
