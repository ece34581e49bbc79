"""What is known of each model just now: its breaker, and how much of its machine's time each call took.

Keyed by provider and model id, so that it outlives a reload of the policy. Logs state changes only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
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
        self._is_probing = False
        self.last_error = ""

    @property
    def is_open(self) -> bool:
        return self._failures > 0 and self._clock() < self._open_until

    @property
    def cooling_s(self) -> float:
        """Seconds until a call is let through, 0 if one is now."""
        return max(self._open_until - self._clock(), 0.0)

    def admits(self) -> bool:
        """Whether a call may go now. One that may after a cooldown is the probe, and the only one until it ends."""
        if self._open_until == 0.0:
            return True
        if self.is_open or self._is_probing:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        if self._open_until:
            log.info("%s answers again", self._name)
        self._failures, self._cooldown_s, self._open_until, self._is_probing = 0, COOLDOWN_S, 0.0, False

    def failed(self, error: str, retry_after_s: float | None = None) -> None:
        """One call failed in a way that says something about the model."""
        self._failures += 1
        self.last_error = error
        was_cooling = self._open_until > 0.0
        wait_s = 0.0
        if self._is_probing:
            self._cooldown_s = min(self._cooldown_s * 2, COOLDOWN_MAX_S)
        if self._is_probing or self._failures >= FAILURES_TO_OPEN:
            wait_s = self._cooldown_s
        wait_s = max(wait_s, min(retry_after_s or 0.0, COOLDOWN_MAX_S))
        self._is_probing = False
        if wait_s:
            self._open_until = max(self._open_until, self._clock() + wait_s)
            if not was_cooling:
                log.warning("%s fails (%s): no calls for %.1f s", self._name, error, wait_s)

    def abandoned(self) -> None:
        """A call ended without saying anything about the model: the caller left."""
        self._is_probing = False


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
    """Of every model that was ever in the policy, by (provider, model id)."""

    clock: Clock = time.monotonic
    _models: dict[tuple[str, str], ModelHealth] = field(default_factory=dict)

    def of(self, provider: str, model_id: str) -> ModelHealth:
        key = (provider, model_id)
        if key not in self._models:
            name = f"{provider}/{model_id}"
            self._models[key] = ModelHealth(Breaker(name, self.clock), BusyMeter(self.clock))
        return self._models[key]
