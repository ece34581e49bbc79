"""How much of its machine's time each call took."""

from __future__ import annotations


class BusyMeter:
    """How long a machine was busy with each of the calls it works on at the same time.

    While n calls run, each is charged 1/n of the time, so that the charges add up to the busy time.
    Kept as the virtual time of a processor-sharing queue: O(1) a call, however many overlap. `now` is in seconds of one
    clock throughout.
    """

    def __init__(self) -> None:
        self.running = 0
        self._virtual_s = self._since = 0.0

    def start(self, now: float) -> float:
        """A call begins; hand what this returns to `stop`."""
        running = self.running
        if running:
            self._virtual_s += (now - self._since) / running
        self._since, self.running = now, running + 1
        return self._virtual_s

    def so_far(self, started: float, now: float) -> float:
        """The seconds of machine time that a call which still runs is charged by now: never more than `stop` will say."""
        self._virtual_s += (now - self._since) / self.running
        self._since = now
        return self._virtual_s - started

    def stop(self, started: float, now: float) -> float:
        """A call ends: the seconds of machine time that it is charged."""
        charged_s = self.so_far(started, now)
        self.running -= 1
        return charged_s
