"""How many of the last seconds' calls failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SLOTS: Final = 10


class Window:
    """Calls of the last `length_s` seconds, to a tenth of it. O(1) in memory, whatever the traffic."""

    def __init__(self, length_s: float, clock: Callable[[], float]) -> None:
        self.length_s = length_s
        self._clock = clock
        self._slot_s = length_s / SLOTS
        self._calls, self._failures = [0] * SLOTS, [0] * SLOTS
        self._newest = self._number()
        self._newest_ends = 0.0  # on the clock; until then there is nothing to forget

    def note(self, *, is_failure: bool) -> None:
        """A call has ended."""
        if self._clock() >= self._newest_ends:
            self._advance()
        slot = self._newest % SLOTS
        self._calls[slot] += 1
        if is_failure:
            self._failures[slot] += 1

    def count(self) -> tuple[int, int]:
        """Calls, and how many of them failed."""
        self._advance()
        return sum(self._calls), sum(self._failures)

    def clear(self) -> None:
        """Forget them all."""
        self._calls, self._failures = [0] * SLOTS, [0] * SLOTS

    def _number(self) -> int:
        return int(self._clock() / self._slot_s)

    def _advance(self) -> None:
        now = self._number()
        for slot in range(max(self._newest + 1, now - SLOTS + 1), now + 1):
            self._calls[slot % SLOTS] = self._failures[slot % SLOTS] = 0
        self._newest, self._newest_ends = now, (now + 1) * self._slot_s
