"""How much of its machine's time each call took."""

from __future__ import annotations

import time
from collections.abc import Callable


class BusyMeter:
    """How long a machine was busy with each of the calls it works on at the same time.

    While n calls run, each is charged 1/n of the time, so that the charges add up to the busy time.
    Kept as the virtual time of a processor-sharing queue: O(1) a call, however many overlap.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._virtual_s = 0.0
        self._since = clock()

    @property
    def running(self) -> int:
        return self._running

    def start(self) -> float:
        """A call begins; hand what this returns to `stop`."""
        # As `_advance` has it, here and in `stop`, which each call comes through.
        now, running = self._clock(), self._running
        if running:
            self._virtual_s += (now - self._since) / running
        self._since, self._running = now, running + 1
        return self._virtual_s

    def so_far(self, started: float) -> float:
        """The seconds of machine time that a call which still runs is charged by now: never more than `stop` will say."""
        return self._advance() - started

    def stop(self, started: float) -> float:
        """A call ends: the seconds of machine time that it is charged."""
        now, running = self._clock(), self._running
        self._virtual_s += (now - self._since) / running
        self._since, self._running = now, running - 1
        return self._virtual_s - started

    def _advance(self) -> float:
        """The virtual time, now."""
        now, running = self._clock(), self._running
        if running:
            self._virtual_s += (now - self._since) / running
        self._since = now
        return self._virtual_s
