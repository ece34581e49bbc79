"""An answer that broke off after the caller had some of it: the request that has another model take over, and the seam.

`restart`: the next model answers from the beginning. `continue`: it is given what was said, as a last message of the
assistant's, and goes on from there; nothing is added to the app's own prompt. Either way the stream has an event that
says so, whose `turnout.midstream` is the way, before the other model's own events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.chat import Message, decode_body, read_chunk, sse
from gateway.policy.failover import Midstream, Prefill
from gateway.providers.base import Piece
from gateway.providers.refusal import UNREADABLE
from gateway.request import ChatRequest
from gateway.sse import EventParser, event_data
from gateway.usage import estimate_tokens

SAID_CHARS_MAX: Final = 256 * 1024  # a longer answer is not continued, nor kept here
_LIMITS: Final = ("max_tokens", "max_completion_tokens")


class Said:
    """What the caller has of a streamed answer. text: of its first and only choice."""

    def __init__(self) -> None:
        self.text = ""
        self.id: str | None = None
        self.created: int | None = None
        self._is_plain = True
        self.has_calls = False  # or a part of one

    def note(self, pieces: Sequence[Piece]) -> None:
        """These go to the caller."""
        for piece in pieces:
            if piece.data and not piece.is_usage_only:
                for event in EventParser().feed(piece.data):
                    self._note(event_data(event))

    def begin_anew(self) -> None:
        """The caller is told to forget what it has."""
        self.text, self._is_plain = "", True

    def can_be_continued(self, request: ChatRequest) -> bool:
        """Whether another model could go on: text and nothing else, of one choice, and not bound to a form from its start."""
        is_one = (request.head.n or 1) == 1
        return self._is_plain and bool(self.text.strip()) and is_one and not request.has_json_schema

    def _note(self, data: bytes | None) -> None:
        if data is None or data == b"[DONE]":
            return
        try:
            fields: dict[str, Any] = msgspec.json.decode(data)
        except UNREADABLE:
            self._is_plain = False  # in a part that nobody reads it may hold anything
            return
        self.id, self.created = self.id or fields.get("id"), self.created or fields.get("created")
        for choice in read_chunk(data).choices or ():
            if choice.delta is None:
                continue
            self.has_calls = self.has_calls or bytes(choice.delta.tool_calls) not in (b"null", b"[]")
            content = choice.delta.content or ""
            is_text = isinstance(content, str) and choice.index == 0 and not choice.finish_reason
            if not is_text or (choice.delta.has_content() and not content) or len(self.text) > SAID_CHARS_MAX:
                self._is_plain = False
            elif isinstance(content, str):
                self.text += content


def continuing(request: ChatRequest, said: Said, way: Prefill) -> ChatRequest:
    """The request that has a model go on from what was said.

    Without the blanks at its end: some providers refuse a last message that ends in any.
    """
    fields, text = decode_body(request.body), said.text.rstrip()
    fields["messages"] = [*fields["messages"], {"role": "assistant", "content": text}]
    for name in _LIMITS:
        if isinstance(fields.get(name), int):
            fields[name] = max(fields[name] - estimate_tokens(len(said.text)), 1)
    if way == "vllm":
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    messages = [*request.head.messages, Message("assistant", text)]
    return request.rewritten(msgspec.json.encode(fields), msgspec.structs.replace(request.head, messages=messages))


class Stitcher:
    """Makes one stream of the events of two models: the ids of the first, the role said once, no blank twice.

    model: the name of the one that takes over, in the policy.
    """

    def __init__(self, way: Midstream, said: Said, model: str) -> None:
        self._said = said
        # The blanks at the end of what was said, which `continuing` left out: said again, they are not passed on.
        self._said_blanks = "" if way == "restart" else said.text[len(said.text.rstrip()) :]
        choice = {"index": 0, "delta": {}, "finish_reason": None}
        event = self._named({"object": "chat.completion.chunk", "model": model, "choices": [choice]})
        event["turnout"] = {"midstream": way, "model": model, "after_chars": len(said.text)}
        self._marker: Piece | None = Piece(sse(event))

    def sewn(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The other model's pieces as they go to the caller."""
        sewn = [self._sewn(piece) for piece in pieces]
        if self._marker is not None:
            sewn.insert(0, self._marker)
            self._marker = None
        return sewn

    def _sewn(self, piece: Piece) -> Piece:
        if not piece.data:
            return piece
        events = []
        for event in EventParser().feed(piece.data):
            data = event_data(event)
            try:
                fields = None if data is None else msgspec.json.decode(data)
            except UNREADABLE:
                fields = None  # passed on as it is, like any other's
            events.append(sse(self._changed(fields)) if isinstance(fields, dict) else event)
        return msgspec.structs.replace(piece, data=b"".join(events))

    def _changed(self, fields: dict[str, Any]) -> dict[str, Any]:
        for choice in fields.get("choices") or ():
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                continue
            delta.pop("role", None)
            content = delta.get("content")
            if self._said_blanks and isinstance(content, str) and content:
                while self._said_blanks and content.startswith(self._said_blanks[0]):
                    content, self._said_blanks = content[1:], self._said_blanks[1:]
                delta["content"] = content
                self._said_blanks = "" if content else self._said_blanks
        return self._named(fields)

    def _named(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self._said.id is not None:
            fields["id"] = self._said.id
        if self._said.created is not None:
            fields["created"] = self._said.created
        return fields
