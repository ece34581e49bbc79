"""Stops calls to what fails, for a while. Logs state changes only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from gateway.errors import Fault, UpstreamError
from gateway.health.window import Window
from gateway.policy.failover import BreakerRule

log = logging.getLogger("turnout.health")

# A provider knows when its limit is over, and to ask earlier earns another refusal: its word may exceed the rule's longest
# cooldown, which bounds our own guesses. Not without end: a call that finds out costs little, a day without the model much.
RETRY_AFTER_MAX_S: Final = 300.0

OURS: Final[frozenset[Fault]] = frozenset({"slow", "busy", "limited"})
"""Faults by a decision of the gateway's, which say nothing of whether the model works."""


class Breaker:
    """Stops calls for a cooldown, then lets one through, the probe, to see.

    Opens after so many failures in a row, or when too large a share of the last calls failed (see BreakerRule), or at once
    for as long as the provider asks (retry-after); of two cooldowns the longer wins. Each failed probe doubles the cooldown.
    After M. Nygard, "Release It!" (2007), chapter 5.

    is_closed: calls go as they come.
    name: for the log. shared_as: what replicas of the gateway know it by. changed: is called after each change of state that
    was not told from elsewhere, and when a probe has ended. opened: is called with the name each time it opens.
    """

    def __init__(
        self, name: str, clock: Callable[[], float] = time.monotonic, rule: BreakerRule | None = None, shared_as: str = ""
    ) -> None:
        self.name, self._clock, self.shared_as = name, clock, shared_as
        self._rule = rule or BreakerRule()
        self._failures = 0  # in a row
        self._window = Window(self._rule.window_s, clock)
        self._cooldown_s = self._rule.cooldown_s
        self._open_until: float | None = None  # None: closed
        self.is_closed = True
        self._is_well = True  # nothing failed since a call was answered to the end, here or elsewhere
        self._opened_at = 0.0
        self._is_as_asked = False
        self.is_probing = False
        self.probes = 0
        self.last_error = ""
        self.changed: Callable[[Breaker], None] = _nobody_listens
        self.opened: Callable[[str], None] = _nobody_counts

    @property
    def is_open(self) -> bool:
        """Whether it cools down."""
        return self._open_until is not None and self._clock() < self._open_until

    @property
    def is_ready(self) -> bool:
        """Whether `admits` would say yes."""
        return self._open_until is None or not (self.is_probing or self.is_open)

    @property
    def cooling_s(self) -> float:
        """Seconds until a call is let through, 0 if one is now."""
        return 0.0 if self._open_until is None else max(self._open_until - self._clock(), 0.0)

    @property
    def waits_as_asked(self) -> bool:
        """Whether the cooldown is one that the provider asked for."""
        return self._is_as_asked and self.is_open

    @property
    def failed_share(self) -> float:
        """Of the last calls, those that failed; 0 if there were none."""
        calls, failures = self._window.count()
        return failures / calls if calls else 0.0

    def obey(self, rule: BreakerRule) -> None:
        """From now on by this rule. What is known stays."""
        if rule == self._rule:
            return
        if rule.window_s != self._rule.window_s:
            self._window = Window(rule.window_s, self._clock)
        self._rule = rule
        self._cooldown_s = rule.cooldown_s if self.is_closed else min(self._cooldown_s, rule.cooldown_max_s)

    def admits(self) -> bool:
        """Whether a call may go now. After a cooldown one may, the probe, and the only one until it is known how it goes.

        The caller that gets True while `is_probing` holds the probe, and says so when its call fails or is abandoned.
        """
        if self._open_until is None:
            return True
        if not self.is_ready:
            return False
        self.is_probing = True
        self.probes += 1
        return True

    def answers(self) -> None:
        """The probe got content: others may go, however long the rest of its answer takes."""
        self.is_probing = False
        if self._open_until is not None:
            self._close()
            self.changed(self)

    def succeeded(self, began: float | None = None) -> None:
        """A call was answered to the end.

        began: when it was sent, on the clock. One that was sent before the breaker opened does not close it: it says how
        things were, and a provider that wants to be left alone still ends the answers it has begun.
        """
        self._window.note()
        if not self._is_well and (self._open_until is None or began is None or began >= self._opened_at):
            if self._open_until is not None:
                self.answers()
            self._failures, self._cooldown_s, self._is_well = 0, self._rule.cooldown_s, True

    def failed(self, exc: UpstreamError, *, is_probe: bool = False) -> None:
        """One call failed in a way that says something of what is called."""
        if exc.fault in OURS:
            if is_probe:
                self.abandoned()
            return
        self._failures += 1
        self._is_well = False
        self._window.note(is_failure=True)
        self.last_error = exc.kind  # not the provider's words, which may quote one caller's text to the next one
        asked_s = min(exc.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
        wait_s = 0.0
        if is_probe:
            self._cooldown_s = min(self._cooldown_s * 2, self._rule.cooldown_max_s)
            self.is_probing = False
        if is_probe or self._failures >= self._rule.failures or self._mostly_fails():
            wait_s = self._cooldown_s
        if wait_s or asked_s:
            if max(wait_s, asked_s) >= self.cooling_s:
                self._is_as_asked = asked_s >= wait_s
            self._open(max(wait_s, asked_s))
            if asked_s:
                self._opened_at = self._clock()  # of what was sent before it asked, nothing closes it
            self.changed(self)

    def abandoned(self) -> None:
        """The probe ended without saying anything: the caller left."""
        if self.is_probing:
            self.is_probing = False
            self.changed(self)

    # What others have found out.

    def told_open(self, cooling_s: float, error: str) -> None:
        """Another replica's is open for so long; it may be 0, and a probe is due."""
        if self._open_until is None:
            self.last_error = error
        self._open(cooling_s)

    def told_closed(self) -> None:
        """Another replica's call was answered."""
        if self._open_until is not None:
            self.is_probing = False
            self._failures, self._cooldown_s = 0, self._rule.cooldown_s
            self._close()

    def _mostly_fails(self) -> bool:
        calls, failures = self._window.count()
        return calls >= self._rule.min_calls and failures >= self._rule.share * calls

    def _open(self, wait_s: float) -> None:
        now = self._clock()
        self.is_closed = self._is_well = False
        if self._open_until is None:
            self._open_until, self._opened_at = now + wait_s, now
            self.opened(self.name)
            log.warning("%s fails (%s): no calls for %.1f s", self.name, self.last_error, wait_s)
        else:
            self._open_until = max(self._open_until, now + wait_s)

    def _close(self) -> None:
        self._open_until, self.is_closed = None, True
        self._window.clear()  # else what was before would open it again
        log.info("%s answers again", self.name)


def _nobody_listens(breaker: Breaker) -> None:
    """It is not shared."""


def _nobody_counts(name: str) -> None:
    """It opens, and no metric says so."""
