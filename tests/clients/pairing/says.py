"""What a model says and what a client's user hears of it: one vocabulary for every wire and every SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Stop = Literal["stop", "length", "calls", "refused"]

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2RlbA=="  # of what the model thought; each wire has it where its vendor has such a thing


@dataclass(frozen=True)
class Called:
    """A tool call. given: its arguments; of a custom tool, the text."""

    name: str
    given: Json | str

    @property
    def is_custom(self) -> bool:
        return isinstance(self.given, str)


@dataclass(frozen=True)
class Used:
    """Tokens. input: all of it, what was read from and written to the provider's cache too. reasoning: of the output."""

    input: int = 11
    output: int = 7
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Source:
    """What a text cites."""

    url: str
    title: str


@dataclass(frozen=True)
class Says:
    """A model's answer. thoughts: each signed by itself, where the vendor has that. others: texts of further choices.

    logprobs: whether each word comes with how likely it was. unknown: fields that no vendor's API has today.
    """

    text: str = "Oslo it is."
    thoughts: tuple[str, ...] = ()
    calls: tuple[Called, ...] = ()
    refusal: str = ""
    is_cut: bool = False
    is_filtered: bool = False
    used: Used = Used()
    sources: tuple[Source, ...] = ()
    logprobs: bool = False
    others: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def thinking(self) -> str:
        return "".join(self.thoughts)

    @property
    def stop(self) -> Stop:
        if self.refusal or self.is_filtered:
            return "refused"
        if self.is_cut:
            return "length"
        return "calls" if self.calls else "stop"


@dataclass(frozen=True)
class Fails:
    """An error instead of an answer; after_text: once a stream has said so much."""

    status: int
    message: str
    retry_after_s: int | None = None
    after_text: str = ""


@dataclass(frozen=True)
class Heard:
    """What an SDK hands its user. tokens: those with a log-probability. others: texts of further choices."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Called, ...] = ()
    refusal: str = ""
    stop: Stop = "stop"
    used: Used = Used()
    sources: tuple[Source, ...] = ()
    tokens: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def expected(says: Says) -> Heard:
    """What comes of an answer if nothing is lost on the way."""
    return Heard(
        text=says.text,
        thinking=says.thinking,
        calls=says.calls,
        refusal=says.refusal,
        stop=says.stop,
        used=says.used,
        sources=says.sources,
        tokens=tuple(words(says.text)) if says.logprobs else (),
        others=says.others,
    )


def words(text: str) -> list[str]:
    """A text as a model streams it."""
    return re.findall(r"\S+\s*", text)


def halves(text: str) -> list[str]:
    """Arguments as a model streams them: in pieces that are no JSON by themselves."""
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]
