"""How many of the last seconds' calls failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

SLOTS: Final = 10


class Window:
    """Calls of the last `length_s` seconds, to a tenth of it. O(1) in memory, whatever the traffic."""

    def __init__(self, length_s: float, clock: Callable[[], float]) -> None:
        self.length_s = length_s
        self._clock = clock
        self._slot_s = length_s / SLOTS
        self._before: deque[tuple[int, int]] = deque(maxlen=SLOTS - 1)  # calls and failures of the slots before the newest
        self._calls = self._failures = 0  # of the newest
        self._newest = self._number()
        self._newest_ends = 0.0  # on the clock; until then there is nothing to forget

    def note(self, *, is_failure: bool = False) -> None:
        """A call has ended."""
        if self._clock() >= self._newest_ends:
            self._advance()
        self._calls += 1
        if is_failure:
            self._failures += 1

    def count(self) -> tuple[int, int]:
        """Calls, and how many of them failed."""
        self._advance()
        calls, failures = self._calls, self._failures
        for slot_calls, slot_failures in self._before:
            calls += slot_calls
            failures += slot_failures
        return calls, failures

    def clear(self) -> None:
        """Forget them all."""
        self._before.clear()
        self._calls = self._failures = 0

    def _number(self) -> int:
        return int(self._clock() / self._slot_s)

    def _advance(self) -> None:
        now = self._number()
        for _ in range(min(now - self._newest, SLOTS)):
            self._before.append((self._calls, self._failures))
            self._calls = self._failures = 0
        self._newest, self._newest_ends = now, (now + 1) * self._slot_s
