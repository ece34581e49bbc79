"""What the scripted upstream is to answer, said in the prompt itself: `play {"text": "Paris"}` in a user's message.

The last user message with a cue counts. Its `then` are the answers of the turns after it, which is how a loop over tools ends;
its `id` says nothing, and keeps apart the counts of two cues that are otherwise the same.
Without a cue the answer says what was heard, or, after results of tools, what those said; a tool that must be called is called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.clients.upstream.conversation import Turn

Finish = Literal["stop", "length", "stop_sequence", "content_filter", "pause"]
_CUE = re.compile(r"play (?=\{)")


@dataclass(frozen=True)
class ToolCall:
    """arguments: as JSON text. id: made up by place where it is not said."""

    name: str
    arguments: str
    id: str


@dataclass(frozen=True)
class Failure:
    """An error instead of an answer. times: how often this very cue fails before it is answered; None: always."""

    status: int
    message: str = "told to fail"
    code: str | None = None
    retry_after: float | None = None
    times: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a model says in one turn, in no dialect.

    pause_s: before each piece of a stream, and before a whole answer. hang: nothing comes after the first half of a stream, or
    at all if not streamed. cut: the connection is closed there. broken: the message of an error event there. split: the stream
    is sent in pieces of so many bytes, wherever that cuts.
    """

    text: str | None = None
    thinking: str | None = None
    signature: str = "c2lnbmVkLWJ5LXRoZS11cHN0cmVhbQ=="
    calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    citations: tuple[dict[str, str], ...] = ()
    finish: Finish = "stop"
    usage: dict[str, int] = field(default_factory=dict)
    fail: Failure | None = None
    pause_s: float = 0.0
    hang: bool = False
    cut: bool = False
    broken: str | None = None
    split: int | None = None

    @property
    def words(self) -> list[str]:
        """The text as a stream brings it."""
        return pieces(self.text or "")

    @property
    def tokens_in(self) -> int:
        """All input, what was read from or written to a cache included."""
        return self.usage.get("input", 11)

    @property
    def tokens_out(self) -> int:
        return self.usage.get("output", 7)


def pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*?(?=\s|$)|\s+", text)


def thirds(text: str) -> list[str]:
    """Arguments as a stream brings them: not at the seams of JSON."""
    size = max(1, -(-len(text) // 3))
    return [text[i : i + size] for i in range(0, len(text), size)]


def answer_of(turns: Sequence[Turn]) -> Answer | None:
    """What is to be said next in this conversation; None where nobody said."""
    for at in range(len(turns) - 1, -1, -1):
        if turns[at].role == "user" and (cue := _cue_in(turns[at].text)) is not None:
            steps = [cue, *cue.get("then", [])]
            round_ = sum(turn.role == "assistant" for turn in turns[at + 1 :])
            return _answer(steps[round_]) if round_ < len(steps) else None
    return None


def plain_answer(turns: Sequence[Turn]) -> Answer:
    """What is said without a cue."""
    if turns and turns[-1].role == "tool":
        return Answer(text="The tools say: " + "; ".join(turn.text for turn in turns if turn.role == "tool"))
    heard = [turn.text for turn in turns if turn.role == "user"]
    return Answer(text=f"Heard: {heard[-1] if heard else 'nothing'}")


def failure_in(text: str) -> Failure | None:
    """The failure that a text without turns asks for, as an input to embed."""
    cue = _cue_in(text)
    return None if cue is None else _answer(cue).fail


def _cue_in(text: str) -> dict[str, Any] | None:
    found = _CUE.search(text)
    if found is None:
        return None
    cue, _ = json.JSONDecoder().raw_decode(text, found.end())
    return dict(cue)


def _answer(step: dict[str, Any]) -> Answer:
    fields = {name: value for name, value in step.items() if name not in ("then", "id")}
    calls = [
        ToolCall(call["name"], json.dumps(call["arguments"]), call.get("id", f"call_{at}"))
        for at, call in enumerate(fields.pop("calls", []))
    ]
    fail = fields.pop("fail", None)
    citations = tuple(fields.pop("citations", ()))
    return Answer(calls=tuple(calls), fail=None if fail is None else Failure(**fail), citations=citations, **fields)
