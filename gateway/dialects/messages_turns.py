"""The turns of an Anthropic conversation as chat messages. Values to values, no I/O.

Order is kept where the chat dialect can keep it. It wants the results of tools directly behind the message that called them, so
they go there, and whatever else the user said in that turn after them; and a message of an assistant's has its thinking first,
then its text, then its calls. Neighbours of the same role are one turn to Anthropic, and are treated as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from gateway.dialects.fields import Fields, RawObject
from gateway.dialects.messages_content import Json, block_parts, content_parts, text_part, unwrapped
from gateway.dialects.sealed_reasoning import is_sealed, opened
from gateway.tool_ids import anthropic_tool_id

# Claude Code tells Anthropic, in a text before its prompt, which version asks, and a number that is another each time. To another
# model it says nothing, and no cache would know the prompt again (https://github.com/anthropics/claude-code/issues/68900).
_BILLING: Final = "x-anthropic-billing-header:"


class Turn(msgspec.Struct):
    """One message of the conversation. content: a text, or blocks."""

    role: Literal["user", "assistant", "system"]
    content: str | list[RawObject]


class Conversation:
    """messages: the turns so far, in the canonical form. is_mended: some of it Anthropic would not take, from other models."""

    def __init__(self, only: list[str]) -> None:
        """only: takes the paths of what the canonical form cannot hold."""
        self._only = only
        self._messages: list[Json] = []
        self._assistant: _Assistant | None = None  # whose turn it is
        self._results_at = 0  # where results of the last calls go
        self.is_mended = False

    def system(self, content: str | list[RawObject], where: str) -> None:
        """What the system says, at the beginning or between turns."""
        parts: list[Json] = []
        for i, values in enumerate(() if isinstance(content, str) else content):
            block = Fields(values, f"{where}.{i}", self._only)
            if block.text("type") != "text":
                raise block.wrong("type", "a system prompt is made of text blocks")
            part = text_part(block)
            block.close()
            if not part["text"].startswith(_BILLING):
                parts.append(part)
        if said := content if isinstance(content, str) else parts:
            self._end_assistant()
            self._messages.append({"role": "system", "content": said})

    def add(self, turns: Sequence[Turn]) -> list[Json]:
        """The messages of all turns, and what was there before. Raises ClientError that names the field."""
        self._results_at = len(self._messages)
        for i, turn in enumerate(turns):
            where = f"messages.{i}"
            if turn.role == "system":
                self.system(turn.content, f"{where}.content")
            elif turn.role == "user":
                self._user(turn.content, where)
            else:
                self._assistant = self._assistant or _Assistant()
                self._assistant.add(turn.content, where, self._only)
        self._end_assistant()
        return self._messages

    def _end_assistant(self) -> None:
        if self._assistant is not None:
            self._messages.append(self._assistant.message())
            self._results_at = len(self._messages)
            self.is_mended |= self._assistant.is_mended
            self._assistant = None

    def _user(self, content: str | list[RawObject], where: str) -> None:
        self._end_assistant()
        results: list[Json] = []
        parts: list[Json] = []
        if isinstance(content, str):
            self._messages.append({"role": "user", "content": content})
            return
        for i, values in enumerate(content):
            block = Fields(values, f"{where}.content.{i}", self._only)
            kind = block.text("type")
            if kind == "tool_result":
                results.append(self._result(block))
            else:
                parts += block_parts(kind, block)
        self._messages[self._results_at : self._results_at] = results
        self._results_at += len(results)
        if parts or not results:
            self._messages.append({"role": "user", "content": unwrapped(parts)})

    def _result(self, block: Fields) -> Json:
        id_ = block.text("tool_use_id")
        self.is_mended |= anthropic_tool_id(id_) != id_
        message: Json = {"role": "tool", "tool_call_id": id_, "content": content_parts(block.content_or_none("content"), block)}
        if block.flag("is_error"):
            message["is_error"] = True
        message |= block.mark()
        block.close()
        return message


class _Assistant:
    """One assistant turn, of one message or of several neighbours."""

    def __init__(self) -> None:
        self._parts: list[Json] = []
        self._thoughts: list[str] = []
        self._thinking_blocks: list[dict[str, Any]] = []
        self._details: list[Json] = []  # of the reasoning of other providers' models
        self._calls: list[Json] = []
        self.is_mended = False

    def add(self, content: str | list[RawObject], where: str, only: list[str]) -> None:
        if isinstance(content, str):
            self._parts.append({"type": "text", "text": content})
            return
        for i, values in enumerate(content):
            self._add(Fields(values, f"{where}.content.{i}", only))

    def message(self) -> Json:
        message: Json = {"role": "assistant", "content": self._content()}
        if thoughts := "".join(self._thoughts):
            message["reasoning_content"] = thoughts
        if self._thinking_blocks:
            message["thinking_blocks"] = self._thinking_blocks
        if self._details:
            message["reasoning_details"] = self._details
        if self._calls:
            message["tool_calls"] = self._calls
        return message

    def _content(self) -> str | list[Json] | None:
        if any("cache_control" in part for part in self._parts):
            return self._parts
        text = "".join(part["text"] for part in self._parts)
        return text if text or not self._calls else None

    def _add(self, block: Fields) -> None:
        whole = dict(block.raw())
        match block.text("type"):
            case "text":
                self._parts.append(text_part(block))
            case "thinking":
                self._think(block, whole)
            case "redacted_thinking":
                block.text("data")
                self._thinking_blocks.append(whole)
            case "tool_use":
                self._calls.append(self._call(block))
            case _:
                block.cannot_hold()
        block.close()

    def _think(self, block: Fields, whole: dict[str, Any]) -> None:
        self._thoughts.append(block.text("thinking"))
        signature = block.text_or_none("signature") or ""
        if signature and not is_sealed(signature):
            self._thinking_blocks.append(whole)
            return
        self.is_mended = True  # of a model that is not Anthropic's, which would refuse it
        if signature:
            given = opened(signature)
            if given is None:
                raise block.wrong("signature", "not as this gateway gave it; send it back unchanged, or leave the block out")
            self._details += given.reasoning_details

    def _call(self, block: Fields) -> Json:
        id_, name = block.text("id"), block.text("name")
        self.is_mended |= anthropic_tool_id(id_) != id_
        block.neutral("caller", b'{"type":"direct"}', b'{"type": "direct"}')
        arguments = bytes(block.object("input")).decode()
        return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **block.mark()}
