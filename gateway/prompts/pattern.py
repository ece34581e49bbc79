"""What a template is: the words that stay, in their order, and slots between them for anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gateway.lazily import lazily
from gateway.prompts.tokens import weight_of
from gateway.prompts.view import CUT, View

SLOT: Final = "<*>"
USER: Final = "<|user|>"
_BETWEEN: Final = f"\n{USER}\n"  # between the system text and what the user said, where there is a system text
_NEVER_CONSTANT: Final = (SLOT, USER, CUT)


@dataclass(frozen=True)
class Weight:
    """How much constant words say, and so how unlikely it is that people wrote the same by chance. marks: of a layout."""

    words: float
    marks: int

    @property
    def score(self) -> float:
        """A mark counts as two words, as long as there are words that it belongs to."""
        return self.words + 2 * min(self.marks, self.words)

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.words + other.words, self.marks + other.marks)


@dataclass(frozen=True)
class Pattern:
    """A text with slots: its first part begins the text, its last part ends it, a slot stands between any two.

    One part alone is the whole text. ("", "") is any text.
    """

    parts: tuple[str, ...]

    @staticmethod
    def of(parts: list[str]) -> Pattern:
        """The pattern of these parts, with a slot also where a part holds what marks one, or has been cut."""
        for mark in _NEVER_CONSTANT:
            parts = [piece for part in parts for piece in part.split(mark)]
        if len(parts) == 1:
            return Pattern((parts[0],))
        return Pattern((parts[0], *(part for part in parts[1:-1] if part), parts[-1]))

    @lazily
    def is_free(self) -> bool:
        """Whether it says nothing of the text."""
        return not any(self.parts)

    @lazily
    def _ends(self) -> tuple[str, str, int]:
        """How the text begins and how it ends, where there are slots, and how long it is at least for both."""
        begin, end = self.parts[0], self.parts[-1]
        return begin, end, len(begin) + len(end)

    def matches(self, text: str) -> bool:
        parts = self.parts
        if len(parts) == 1:
            return text == parts[0]
        begin, end, chars = self._ends
        if len(text) < chars or not (text.startswith(begin) and text.endswith(end)):
            return False
        return len(parts) == 2 or self._has_between(text)

    def _has_between(self, text: str) -> bool:
        """Whether the parts between the first and the last stand there in their order."""
        start, end = len(self.parts[0]), len(text) - len(self.parts[-1])
        for part in self.parts[1:-1]:
            at = text.find(part, start, end)  # the leftmost place leaves the most for what follows
            if at < 0:
                return False
            start = at + len(part)
        return True

    def slots(self, text: str) -> list[str]:
        """What stands in the slots of a text that matches."""
        found: list[str] = []
        start, end = len(self.parts[0]), len(text) - len(self.parts[-1])
        for part in self.parts[1:-1]:
            at = text.index(part, start, end)
            found.append(text[start:at])
            start = at + len(part)
        return [*found, text[start:end]] if len(self.parts) > 1 else []

    def __str__(self) -> str:
        return SLOT.join(self.parts)


@dataclass(frozen=True)
class Shape:
    """A template: the pattern of the system text, and that of what the user said first."""

    system: Pattern
    user: Pattern

    def matches(self, view: View) -> bool:
        return self.system.matches(view.system) and self.user.matches(view.user)

    @cached_property
    def text(self) -> str:
        """How it is written down and shown."""
        return str(self.user) if self.system.parts == ("",) else f"{self.system}{_BETWEEN}{self.user}"

    @staticmethod
    def parse(text: str) -> Shape:
        """The shape that was written down."""
        system, between, user = text.partition(_BETWEEN)
        if not between:
            system, user = "", text
        return Shape(Pattern(tuple(system.split(SLOT))), Pattern(tuple(user.split(SLOT))))

    @cached_property
    def id(self) -> str:
        """Made of its constant words alone: whoever finds the same template, in any process, gives it the same id."""
        return f"t-{hashlib.blake2b(self.text.encode(), digest_size=8).hexdigest()}"

    @cached_property
    def chars(self) -> int:
        """How many characters of it are constant."""
        return sum(map(len, self.system.parts + self.user.parts))

    @cached_property
    def weight(self) -> Weight:
        return weigh(self.system, is_system=True) + weigh(self.user)


def weigh(pattern: Pattern, *, is_system: bool = False) -> Weight:
    """The weight of a pattern's constant parts.

    A word of a system text counts twice: no person types one anew each time. What only stands somewhere in the middle counts
    half: any long texts have a few words there in common.
    """
    words, marks = weight_of(" ".join(pattern.parts))
    factor = (2.0 if is_system else 1.0) * (1.0 if pattern.parts[0] or pattern.parts[-1] else 0.5)
    return Weight(words * factor, int(marks * min(factor, 1.0)))
