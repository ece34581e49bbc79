"""The output items of one answer as they grow out of chat deltas, and the stream events that say so. No I/O.

An answer that came whole is one delta, so that it has the same items as one that was streamed.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from gateway.chat_forms import added_name
from gateway.dialects.responses_delta import Called, CallPiece, Delta, flat, spoken
from gateway.dialects.responses_fields import Json
from gateway.dialects.responses_reasoning import ID_PREFIX
from gateway.dialects.sealed_reasoning import Sealed, merged, seal

IDS: Final = {"message": "msg_", "reasoning": ID_PREFIX, "function_call": "fc_", "custom_tool_call": "ctc_"}


class _Item:
    """One item under way. place: its index in the output."""

    def __init__(self, kind: str, place: int, fields: Json) -> None:
        self.place = place
        self.shown: Json = {"id": IDS[kind] + secrets.token_hex(16), "type": kind, "status": "in_progress", **fields}

    def event(self, kind: str, **fields: Any) -> Json:
        return {"type": f"response.{kind}", "item_id": self.shown["id"], "output_index": self.place, **fields}

    def added(self) -> Json:
        # A copy: what is shown grows on.
        return {"type": "response.output_item.added", "output_index": self.place, "item": dict(self.shown)}

    def closed(self, status: str) -> list[Json]:
        self.shown["status"] = status
        return [{"type": "response.output_item.done", "output_index": self.place, "item": self.shown}]


class _Reasoning(_Item):
    def __init__(self, place: int) -> None:
        super().__init__("reasoning", place, {"summary": []})
        self.text = ""
        self._sealed = Sealed()
        self._is_told = False  # by words of their own, besides the signed blocks

    def think(self, text: str, *, is_told: bool = True) -> list[Json]:
        self._is_told = self._is_told or is_told
        events = []
        if not self.text:
            events.append(self.event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}))
        self.text += text
        return [*events, self.event("reasoning_summary_text.delta", summary_index=0, delta=text)]

    def seal(self, blocks: list[Json], details: list[Json]) -> list[Json]:
        # `index` is for whoever adds up a stream of the chat dialect; the block is signed without it. One that is not signed is
        # taken back by nobody, and its words are told.
        signed = [block for block in blocks if block.get("signature") or block.get("type") == "redacted_thinking"]
        self._sealed.thinking_blocks += [{name: value for name, value in block.items() if name != "index"} for block in signed]
        for detail in details:
            self._sealed.reasoning_details = merged(self._sealed.reasoning_details, detail)
        words = "".join(said for block in blocks if isinstance(said := block.get("thinking"), str))
        return self.think(words, is_told=False) if words and not self._is_told else []

    def closed(self, status: str) -> list[Json]:
        events = []
        if self.text:
            part = {"type": "summary_text", "text": self.text}
            self.shown["summary"] = [part]
            events.append(self.event("reasoning_summary_text.done", summary_index=0, text=self.text))
            events.append(self.event("reasoning_summary_part.done", summary_index=0, part=part))
        if self._sealed:
            self.shown["encrypted_content"] = seal(self._sealed)
        return events + super().closed(status)


class _Message(_Item):
    def __init__(self, place: int) -> None:
        super().__init__("message", place, {"role": "assistant", "content": []})
        self._parts: list[Json] = []

    def say(self, text: str, logprobs: list[Json]) -> list[Json]:
        events = self._as("output_text")
        part = self._parts[-1]
        part["text"] += text
        part["logprobs"] += logprobs
        delta = self.event("output_text.delta", content_index=self._last, delta=text, logprobs=[_told(one) for one in logprobs])
        return [*events, delta]

    def refuse(self, text: str) -> list[Json]:
        events = self._as("refusal")
        self._parts[-1]["refusal"] += text
        return [*events, self.event("refusal.delta", content_index=self._last, delta=text)]

    def annotate(self, annotation: Json) -> list[Json]:
        events = self._as("output_text")
        known = self._parts[-1]["annotations"]
        known.append(annotation)
        place = {"content_index": self._last, "annotation_index": len(known) - 1}
        return [*events, self.event("output_text.annotation.added", **place, annotation=annotation)]

    def closed(self, status: str) -> list[Json]:
        events = self._part_closed()
        self.shown["content"] = self._parts
        return events + super().closed(status)

    @property
    def _last(self) -> int:
        return len(self._parts) - 1

    def _as(self, kind: str) -> list[Json]:
        """Have a part of this kind be the last one."""
        if self._parts and self._parts[-1]["type"] == kind:
            return []
        events = self._part_closed()
        fresh: Json = {"type": kind, "refusal": ""}
        if kind == "output_text":
            fresh = {"type": kind, "text": "", "annotations": [], "logprobs": []}
        self._parts.append(fresh)
        shown = {name: [] if isinstance(value, list) else value for name, value in fresh.items()}
        return [*events, self.event("content_part.added", content_index=self._last, part=shown)]

    def _part_closed(self) -> list[Json]:
        if not self._parts:
            return []
        part = self._parts[-1]
        if part["type"] == "refusal":
            said = self.event("refusal.done", content_index=self._last, refusal=part["refusal"])
        else:
            logprobs = [_told(one) for one in part["logprobs"]]
            said = self.event("output_text.done", content_index=self._last, text=part["text"], logprobs=logprobs)
        return [said, self.event("content_part.done", content_index=self._last, part=part)]


class _Call(_Item):
    """kind: function_call or custom_tool_call."""

    def __init__(self, kind: str, place: int, piece: CallPiece, called: Called) -> None:
        self._field = "arguments" if kind == "function_call" else "input"
        self._event = "function_call_arguments" if kind == "function_call" else "custom_tool_call_input"
        fields = {"call_id": piece.id or f"call_{secrets.token_hex(12)}", "name": called.name or "", self._field: ""}
        super().__init__(kind, place, fields)
        self.index, self.id = piece.index, piece.id
        self.is_done = False

    def is_continued_by(self, piece: CallPiece) -> bool:
        """Not by one of another id: some servers give every call of an answer the index 0."""
        called = piece.function or piece.custom
        is_late_id = not self.id and called is not None and not called.name
        return piece.index is not None and piece.index == self.index and (not piece.id or piece.id == self.id or is_late_id)

    def grow(self, called: Called) -> list[Json]:
        more = called.arguments if called.arguments is not None else called.input
        if not self.shown[self._field]:
            self.shown["name"] = added_name(self.shown["name"], called.name or "")
        if not more:
            return []
        self.is_done = False
        self.shown[self._field] += more
        return [self.event(f"{self._event}.delta", delta=more)]

    def closed(self, status: str) -> list[Json]:
        if self.is_done:
            return []
        self.is_done = True
        name = {"name": self.shown["name"]} if self._field == "arguments" else {}
        said = self.event(f"{self._event}.done", **name, **{self._field: self.shown[self._field]})
        return [said, *super().closed(status)]


class Output:
    """All items of an answer. has_logprobs: whether the caller wants those of its words."""

    def __init__(self, *, has_logprobs: bool) -> None:
        self._has_logprobs = has_logprobs
        self._items: list[_Item] = []
        self._calls: dict[int, list[_Call]] = {}  # by the index that their pieces have
        self._open: _Item | None = None

    @property
    def items(self) -> list[Json]:
        """As they are now."""
        return [item.shown for item in self._items]

    def grow(self, delta: Delta, logprobs: list[Json]) -> list[Json]:
        """The events of what this adds, without their sequence numbers."""
        events: list[Json] = []
        words, thoughts = spoken(delta)
        if thoughts:
            events += self._reasoning(events).think(thoughts)
        if delta.thinking_blocks or delta.reasoning_details:
            events += self._reasoning(events).seal(delta.thinking_blocks or [], delta.reasoning_details or [])
        if words:
            events += self._message(events).say(words, logprobs if self._has_logprobs else [])
        for annotation in delta.annotations or ():
            events += self._message(events).annotate(flat(annotation))
        if delta.refusal:
            events += self._message(events).refuse(delta.refusal)
        for place, piece in enumerate(delta.tool_calls or ()):
            events += self._call(piece, place)
        return events

    def close(self, status: str = "completed") -> list[Json]:
        """Nothing is added to the item under way, or to a call that grew again after others had begun."""
        events = self._open.closed(status) if self._open is not None else []
        self._open = None
        for item in self._items:
            if isinstance(item, _Call):
                events += item.closed(status)
        return events

    def _reasoning(self, events: list[Json]) -> _Reasoning:
        """The reasoning under way. events: get what its beginning says."""
        if not isinstance(self._open, _Reasoning):
            self._begin(_Reasoning(len(self._items)), events)
        assert isinstance(self._open, _Reasoning)
        return self._open

    def _message(self, events: list[Json]) -> _Message:
        if not isinstance(self._open, _Message):
            self._begin(_Message(len(self._items)), events)
        assert isinstance(self._open, _Message)
        return self._open

    def _call(self, piece: CallPiece, place: int) -> list[Json]:
        called = piece.function or piece.custom
        if called is None:
            return []
        if piece.index is None:
            piece.index = place
        begun = self._calls.setdefault(piece.index, [])
        for one in reversed(begun):
            if one.is_continued_by(piece):
                return one.grow(called)
        events: list[Json] = []
        kind = "function_call" if piece.function is not None else "custom_tool_call"
        call = _Call(kind, len(self._items), piece, called)
        begun.append(call)
        self._begin(call, events)
        return events + call.grow(called)

    def _begin(self, item: _Item, events: list[Json]) -> None:
        if self._open is not None:
            events += self._open.closed("completed")
        self._items.append(item)
        self._open = item
        events.append(item.added())


def _told(logprob: Json) -> Json:
    """As events have it: without the bytes."""
    top = [{name: one.get(name) for name in ("token", "logprob")} for one in logprob.get("top_logprobs") or ()]
    return {"token": logprob.get("token"), "logprob": logprob.get("logprob"), "top_logprobs": top}
