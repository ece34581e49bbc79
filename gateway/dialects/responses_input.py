"""The input items of a Responses request as chat messages. Values to values, no I/O.

What one model said stands in several items, thoughts, texts and calls; in the canonical form it is one assistant message. Of
what the canonical form has no place for, the path is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.dialects import responses_fields as fields
from gateway.dialects.responses_fields import Json, join, read_as, unknown_fields
from gateway.dialects.responses_reasoning import unsealed
from gateway.dialects.sealed_reasoning import Sealed
from gateway.errors import ClientError

Items = Sequence[tuple[str, Json]]
"""Each with its path, for people."""


def chat_messages(items: Items, only: list[str]) -> list[Json]:
    """The conversation. only: gets the paths of what it does not hold. Raises ClientError that names the field."""
    conversation = _Conversation(only)
    for path, item in items:
        conversation.take(item, path)
    return conversation.ended()


class _Turn:
    """What the model says until somebody else does."""

    def __init__(self) -> None:
        self.parts: list[Json] = []
        self.calls: list[Json] = []
        self.thoughts: list[str] = []
        self.sealed = Sealed()

    def message(self) -> Json | None:
        """None for thoughts alone: with nothing said after them they lead nowhere."""
        if not (self.parts or self.calls):
            return None
        message: Json = {"role": "assistant", "content": None}
        if self.parts and all(part["type"] == "refusal" for part in self.parts):
            message["refusal"] = "".join(part["refusal"] for part in self.parts)
        elif self.parts:
            message["content"] = _plain(self.parts)
        if self.calls:
            message["tool_calls"] = self.calls
        if thoughts := "\n\n".join(self.thoughts):
            message["reasoning_content"] = thoughts
        if self.sealed.thinking_blocks:
            message["thinking_blocks"] = self.sealed.thinking_blocks
        if self.sealed.reasoning_details:
            message["reasoning_details"] = self.sealed.reasoning_details
        return message


class _Conversation:
    def __init__(self, only: list[str]) -> None:
        self._only = only
        self._messages: list[Json] = []
        self._turn: _Turn | None = None

    def take(self, item: Json, path: str) -> None:
        type_ = item.get("type")
        if type_ is None:
            type_ = "message" if "role" in item else "item_reference"
        if not isinstance(type_, str):
            raise ClientError(f"`{path}.type` must be a text", code="invalid_type", param=f"{path}.type")
        taken = _KINDS.get(type_)
        if taken is None:
            self._only.append(f"{path}.type")
            return
        kind, take = taken
        read: msgspec.Struct = read_as(item, kind, path)
        self._only += unknown_fields(item, kind, path)
        take(self, read, path)

    def ended(self) -> list[Json]:
        self._end_turn()
        return self._messages

    def message(self, item: fields.Message, path: str) -> None:
        parts = [{"type": "text", "text": item.content}] if isinstance(item.content, str) else self._parts(item.content, path)
        if item.role == "assistant":
            self._model().parts += parts
        else:
            self._say({"role": item.role, "content": _plain(parts)})

    def function_call(self, item: fields.FunctionCall, path: str) -> None:
        function = {"name": item.name, "arguments": item.arguments}
        self._model().calls.append({"id": item.call_id, "type": "function", "function": function})

    def custom_tool_call(self, item: fields.CustomToolCall, path: str) -> None:
        custom = {"name": item.name, "input": item.input}
        self._model().calls.append({"id": item.call_id, "type": "custom", "custom": custom})

    def output(self, item: fields.CallOutput, path: str) -> None:
        given = item.output
        content = given if isinstance(given, str) else _plain(self._parts(given, path, "output"))
        self._say({"role": "tool", "tool_call_id": item.call_id, "content": content})

    def reasoning(self, item: fields.ReasoningItem, path: str) -> None:
        turn = self._model()
        turn.sealed.add(unsealed(item, path))
        if text := item.text():
            turn.thoughts.append(text)

    def reference(self, item: fields.ItemReference, path: str) -> None:
        """Of an item that is not kept here; the provider may have it."""
        self._only.append(path)

    def _model(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _say(self, message: Json) -> None:
        self._end_turn()
        self._messages.append(message)

    def _end_turn(self) -> None:
        message = self._turn.message() if self._turn is not None else None
        if message is not None:
            self._messages.append(message)
        self._turn = None

    def _parts(self, parts: list[Json], path: str, field: str = "content") -> list[Json]:
        found = [self._part(part, f"{path}.{field}[{i}]") for i, part in enumerate(parts)]
        return [part for part in found if part is not None]

    def _part(self, part: Json, path: str) -> Json | None:
        type_ = part.get("type")
        taken = _PARTS.get(type_) if isinstance(type_, str) else None
        if taken is None:
            if not isinstance(type_, str):
                raise ClientError(f"`{path}.type` must be a text", code="invalid_type", param=f"{path}.type")
            self._only.append(f"{path}.type")
            return None
        kind, translate = taken
        read: msgspec.Struct = read_as(part, kind, path)
        self._only += unknown_fields(part, kind, path)
        translated = translate(read, path, self._only)
        if translated is None:
            return None
        marks = ((name, getattr(read, name, None)) for name in ("prompt_cache_breakpoint", "cache_control"))
        return {**translated, **{name: mark for name, mark in marks if mark is not None}}


def _text(part: fields.TextPart, path: str, only: list[str]) -> Json:
    return {"type": "text", "text": part.text}


def _refusal(part: fields.RefusalPart, path: str, only: list[str]) -> Json:
    return {"type": "refusal", "refusal": part.refusal}


def _image(part: fields.ImagePart, path: str, only: list[str]) -> Json | None:
    if part.file_id is not None:
        only.append(f"{path}.file_id")
    if part.image_url is None:
        if part.file_id is None:
            raise ClientError(f"`{path}.image_url` is missing", code="invalid_type", param=join(path, "image_url"))
        return None
    image: Json = {"url": part.image_url}
    return {"type": "image_url", "image_url": image if part.detail is None else {**image, "detail": part.detail}}


def _file(part: fields.FilePart, path: str, only: list[str]) -> Json:
    names = ("file_data", "file_id", "file_url", "filename")
    file = {name: value for name in names if (value := getattr(part, name)) is not None}
    if not file.keys() - {"filename"}:
        raise ClientError(f"`{path}` holds no file; give file_data, file_url or file_id", code="invalid_type", param=path)
    return {"type": "file", "file": file}


def _audio(part: fields.AudioPart, path: str, only: list[str]) -> Json:
    return {"type": "input_audio", "input_audio": part.input_audio}


def _plain(parts: list[Json]) -> str | list[Json]:
    """A single text as a string, which every server of the chat dialect reads."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


_KINDS: Final[dict[str, tuple[type[msgspec.Struct], Callable[..., None]]]] = {
    "message": (fields.Message, _Conversation.message),
    "function_call": (fields.FunctionCall, _Conversation.function_call),
    "function_call_output": (fields.CallOutput, _Conversation.output),
    "custom_tool_call": (fields.CustomToolCall, _Conversation.custom_tool_call),
    "custom_tool_call_output": (fields.CallOutput, _Conversation.output),
    "reasoning": (fields.ReasoningItem, _Conversation.reasoning),
    "item_reference": (fields.ItemReference, _Conversation.reference),
}
_PARTS: Final[dict[str, tuple[type[msgspec.Struct], Callable[..., Json | None]]]] = {
    "input_text": (fields.TextPart, _text),
    "output_text": (fields.TextPart, _text),
    "text": (fields.TextPart, _text),
    "refusal": (fields.RefusalPart, _refusal),
    "input_image": (fields.ImagePart, _image),
    "input_file": (fields.FilePart, _file),
    "input_audio": (fields.AudioPart, _audio),
}
