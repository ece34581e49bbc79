"""How long answers are that no request bounds, learned from those that were given. Pure; counts for one process."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

COLD_TOKENS: Final = 1024  # to expect before enough was seen: some 750 words, more than most chat answers have
ENOUGH: Final = 20  # answers, after which shorter ones are believed as well
ANSWERS: Final = 100  # of a generation: the longest of a hundred is about their 99th percentile
AGE_S: Final = 3600.0  # after which a generation ends with fewer: a model that is asked little forgets its one long answer too
MODELS_MAX: Final = 1000  # more than any policy has; those asked longest ago are forgotten first


@dataclass(slots=True)
class _Seen:
    """Two generations of answers to one model's requests. began_at: seconds since 1970."""

    began_at: float
    answers: int = 0
    longest: int = 0
    answers_before: int = 0
    longest_before: int = 0

    def turn(self, at: float) -> None:
        """Let generations end that have had their time."""
        old_s = at - self.began_at
        if old_s >= AGE_S:
            self._end(self.began_at + AGE_S)
        if old_s >= 2 * AGE_S:  # so has the one that was ended just now
            self._end(at)

    def add(self, tokens: int, at: float) -> None:
        if self.answers >= ANSWERS:
            self._end(at)
        self.answers, self.longest = self.answers + 1, max(self.longest, tokens)

    @property
    def expected(self) -> int:
        floor = 0 if self.answers + self.answers_before >= ENOUGH else COLD_TOKENS
        return max(floor, self.longest, self.longest_before)

    def _end(self, at: float) -> None:
        self.longest_before, self.answers_before = self.longest, self.answers
        self.longest, self.answers, self.began_at = 0, 0, at


class UsualOutput:
    """By model the longest of the last hundred or two answers, as far as they are no older than an hour or two.

    A high quantile that takes two numbers a model, and rises with the first answer that is longer than those before.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def wrote(self, model: str, tokens: int, at: float) -> None:
        """An answer that no bound held had so many tokens. at: seconds since 1970."""
        seen = self._seen.setdefault(model, _Seen(at))
        self._seen.move_to_end(model)
        seen.turn(at)
        seen.add(tokens, at)
        if len(self._seen) > MODELS_MAX:
            self._seen.popitem(last=False)

    def of(self, model: str, at: float) -> int:
        """Tokens to expect of an answer that nothing bounds; COLD_TOKENS at least before ENOUGH were seen. at: since 1970."""
        seen = self._seen.get(model)
        if seen is None:
            return COLD_TOKENS
        seen.turn(at)
        return seen.expected
