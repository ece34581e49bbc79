"""What is known of each model just now: its breaker, and how much of its machine's time each call took.

Outlives a reload of the policy. Logs state changes only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

log = logging.getLogger("turnout.health")

Clock = Callable[[], float]

FAILURES_TO_OPEN = 3
COOLDOWN_S = 5.0
COOLDOWN_MAX_S = 60.0


class Breaker:
    """Stops calls to a failing model for a while, then lets one through to see.

    Opens after FAILURES_TO_OPEN failures in a row, or at once for as long as the provider asks (retry-after);
    of two cooldowns the longer wins. Each failed probe doubles the cooldown, up to COOLDOWN_MAX_S.
    After M. Nygard, "Release It!" (2007), chapter 5.
    """

    def __init__(self, name: str, clock: Clock = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._failures = 0
        self._cooldown_s = COOLDOWN_S
        self._open_until = 0.0
        self.is_probing = False
        self.last_error = ""

    @property
    def is_open(self) -> bool:
        return self._failures > 0 and self._clock() < self._open_until

    @property
    def cooling_s(self) -> float:
        """Seconds until a call is let through, 0 if one is now."""
        return max(self._open_until - self._clock(), 0.0)

    def admits(self) -> bool:
        """Whether a call may go now. After a cooldown one may, the probe, and the only one until it is known how it goes.

        The caller that gets True while `is_probing` holds the probe, and says so when its call fails or is abandoned.
        """
        if self._open_until == 0.0:
            return True
        if self.is_open or self.is_probing:
            return False
        self.is_probing = True
        return True

    def answers(self) -> None:
        """The probe got content: others may go, however long the rest of its answer takes."""
        if self._open_until:
            log.info("%s answers again", self._name)
        self._open_until, self.is_probing = 0.0, False

    def succeeded(self) -> None:
        """A call was answered to the end."""
        self.answers()
        self._failures, self._cooldown_s = 0, COOLDOWN_S

    def failed(self, error: str, retry_after_s: float | None = None, *, is_probe: bool = False) -> None:
        """One call failed in a way that says something about the model.

        error: the kind of failure. Not the provider's words, which may quote one caller's text to the next one.
        """
        self._failures += 1
        self.last_error = error
        was_cooling = self._open_until > 0.0
        wait_s = 0.0
        if is_probe:
            self._cooldown_s = min(self._cooldown_s * 2, COOLDOWN_MAX_S)
            self.is_probing = False
        if is_probe or self._failures >= FAILURES_TO_OPEN:
            wait_s = self._cooldown_s
        wait_s = max(wait_s, min(retry_after_s or 0.0, COOLDOWN_MAX_S))
        if wait_s:
            self._open_until = max(self._open_until, self._clock() + wait_s)
            if not was_cooling:
                log.warning("%s fails (%s): no calls for %.1f s", self._name, error, wait_s)

    def abandoned(self) -> None:
        """The probe ended without saying anything about the model: the caller left."""
        self.is_probing = False


class BusyMeter:
    """How long a machine was busy with each of the calls it works on at the same time.

    While n calls run, each is charged 1/n of the time, so that the charges add up to the busy time.
    Kept as the virtual time of a processor-sharing queue: O(1) a call, however many overlap.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._virtual_s = 0.0
        self._since = clock()

    @property
    def running(self) -> int:
        return self._running

    def start(self) -> float:
        """A call begins; hand what this returns to `stop`."""
        self._advance()
        self._running += 1
        return self._virtual_s

    def stop(self, started: float) -> float:
        """A call ends: the seconds of machine time that it is charged."""
        self._advance()
        self._running -= 1
        return self._virtual_s - started

    def _advance(self) -> None:
        now = self._clock()
        if self._running:
            self._virtual_s += (now - self._since) / self._running
        self._since = now


@dataclass
class ModelHealth:
    """One model's state."""

    breaker: Breaker
    busy: BusyMeter


@dataclass
class Health:
    """Of every model, by what makes its adapter: with another address or key it is another model, and starts well."""

    clock: Clock = time.monotonic
    _models: dict[Hashable, ModelHealth] = field(default_factory=dict)

    def of(self, key: Hashable, name: str) -> ModelHealth:
        """The state under this key, new if there is none. name: for the log."""
        if key not in self._models:
            self._models[key] = ModelHealth(Breaker(name, self.clock), BusyMeter(self.clock))
        return self._models[key]

    def forget(self, key: Hashable) -> None:
        """Nobody asks for it any more."""
        self._models.pop(key, None)
