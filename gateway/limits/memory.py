"""Limits counted in this process, for itself alone."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.limits.base import BUCKETS, MICROS, Ask, Correction, Counted, Hold, Level, LimitExceeded, Window

WINDOWS_MAX: Final = 20_000
"""Of each length; some 200 MB at most, if all of their buckets are in use. With more of them in use at a time the one counted
in longest ago begins anew."""


class _Counts:
    """What one window holds: [bucket, count] from the oldest to the newest, and their sum."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets: deque[list[int]] = deque()
        self.total = 0

    def age(self, now: int) -> None:
        """Let go of what no longer overlaps the window. now: the current bucket."""
        while self.buckets and self.buckets[0][0] < now - BUCKETS:
            self.total -= self.buckets.popleft()[1]

    def add(self, now: int, amount: int) -> None:
        if not self.buckets or self.buckets[-1][0] != now:
            self.buckets.append([now, 0])
        self.buckets[-1][1] += amount
        self.total += amount

    def take_back(self, bucket: int, amount: int) -> None:
        """What has left the window is not there to be taken."""
        for kept in reversed(self.buckets):
            if kept[0] == bucket:
                taken = min(amount, kept[1])
                kept[1] -= taken
                self.total -= taken
                return

    def freeing(self, amount: int) -> int | None:
        """The bucket that must leave until so much less is counted, with those before it; None if all are not enough."""
        for bucket, count in self.buckets:
            amount -= count
            if amount <= 0:
                return bucket
        return None


class MemoryLimits:
    """A Limiter in this process's memory. clock: seconds that never go back."""

    problem = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[int, OrderedDict[str, _Counts]] = {}  # by the length of their buckets; that counted in last is last

    async def reserve(self, asks: Sequence[Ask]) -> Hold:
        # INVARIANT: nothing is awaited between looking and counting, so no other request comes in between.
        now_us = self._now_us()
        windows = [(ask, self._look(ask.window, now_us)) for ask in asks]
        refused = [
            (_wait_s(counts, over, ask.window, now_us), ask)
            for ask, counts in windows
            if (over := counts.total + ask.amount - ask.window.limit) > 0
        ]
        if refused:
            wait_s, spent = max(refused, key=lambda one: one[0])
            levels = [_level(ask.window, counts, now_us) for ask, counts in windows]
            raise LimitExceeded(spent, None if math.isinf(wait_s) else wait_s, levels)
        counted = [Counted(ask, self._add(ask.window, counts, ask.amount, now_us)) for ask, counts in windows]
        return Hold(self, counted, [_level(ask.window, counts, now_us) for ask, counts in windows])

    def settle(self, corrections: Sequence[Correction]) -> None:
        now_us = self._now_us()
        for correction in corrections:
            counts = self._look(correction.window, now_us)
            if correction.by < 0:
                counts.take_back(correction.bucket, -correction.by)
            else:
                self._add(correction.window, counts, correction.by, now_us)

    async def aclose(self) -> None:
        """Nothing is left to do."""

    def _now_us(self) -> int:
        return round(self._clock() * MICROS)

    def _look(self, window: Window, now_us: int) -> _Counts:
        """The window's counts as they stand now; new ones, not kept yet, if nothing was counted."""
        kept = self._windows.get(window.bucket_us)
        counts = None if kept is None else kept.get(window.id)
        if counts is None:
            return _Counts()
        counts.age(now_us // window.bucket_us)
        return counts

    def _add(self, window: Window, counts: _Counts, amount: int, now_us: int) -> int:
        """Count, and let go of windows in which nothing is left. Returns the bucket."""
        bucket = now_us // window.bucket_us
        if amount == 0:
            return bucket
        kept = self._windows.setdefault(window.bucket_us, OrderedDict())
        counts.add(bucket, amount)
        kept[window.id] = counts
        kept.move_to_end(window.id)
        # Two at most, so that each that comes pays for those that go, and none for all of them.
        for _ in range(2):
            id_, oldest = next(iter(kept.items()))
            oldest.age(bucket)
            if oldest.buckets and len(kept) <= WINDOWS_MAX:
                break
            del kept[id_]
        return bucket


def _wait_s(counts: _Counts, over: int, window: Window, now_us: int) -> float:
    """Seconds until so much has left the window; infinite if there is not so much in it."""
    last = counts.freeing(over)
    return math.inf if last is None else ((last + BUCKETS + 1) * window.bucket_us - now_us) / MICROS


def _level(window: Window, counts: _Counts, now_us: int) -> Level:
    reset_us = (counts.buckets[-1][0] + BUCKETS + 1) * window.bucket_us - now_us if counts.total else 0
    return Level(window, max(window.limit - counts.total, 0), reset_us / MICROS)
