"""Sees when a model has become slow, by more than chance, and when it is itself again."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Final

from gateway.health.pace import Pace
from gateway.policy.failover import GuardRule

log = logging.getLogger("turnout.health")

# Of requests that are over the bound in a spike. Of those that are over it otherwise, what was learned tells, within these
# limits; UNKNOWN where nothing is known yet, under a bound in seconds.
SLOW_SHARE: Final = 0.8
SHARE_MIN: Final = 0.05
SHARE_MAX: Final = 0.5
UNKNOWN_SHARE: Final = 0.1
# Requests without a spike before it trips for nothing, on average and at least: CUSUM's bound, e ** threshold.
FALSE_TRIP_EVERY: Final = 100_000
STALE_S: Final = 300.0  # without a request, evidence is forgotten

GOOD_TO_CLOSE: Final = 3  # probes in a row
PROBE_LOST_S: Final = 10.0  # after which one that said nothing (its caller left, it failed) is given up


class Guard:
    """Whether a model is slow just now. Trips on a run of slow requests that its usual spread does not explain.

    A cumulative sum of log-likelihood ratios, slow against usual, that starts anew at 0: E. S. Page, "Continuous Inspection
    Schemes" (1954). How often a request is over the bound when all is well comes from what was learned of the model, so that a
    bound near its normal wants more evidence; a model that nearly always keeps it trips it after five that do not.

    `noted` once for each request: when it passes the bound and still waits, or when it is answered before that.
    tripped: to be waited for by requests that could still go elsewhere.
    """

    def __init__(self, name: str, rule: GuardRule, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._rule, self._pace, self._clock = name, rule, pace, clock
        self._evidence = 0.0
        self._noted_at = -math.inf
        self._try_at = 0.0  # while tripped: when probes may go
        self._probe_until = -math.inf  # while one is under way: when it is given up
        self._good = 0  # probes in a row
        self.tripped = asyncio.Event()

    @property
    def is_tripped(self) -> bool:
        return self.tripped.is_set()

    def threshold_s(self, tokens_in: int, is_stream: bool) -> float | None:
        """Seconds beyond which such a request is slow; None while the rule goes by what is normal and that is not known."""
        if self._rule.ratio is None:
            return self._rule.ttft_s
        usual_s = self._pace.quantile_s(0.5, tokens_in, is_stream)
        return None if usual_s is None else usual_s * self._rule.ratio

    def noted(self, first_s: float, tokens_in: int, is_stream: bool, *, is_over: bool = True) -> None:
        """A request had its first content (a stream), or its whole answer (not a stream), after so many seconds.

        is_over: False for one that has passed the bound and still waits.
        """
        bound_s = self.threshold_s(tokens_in, is_stream)
        if bound_s is None:
            return
        is_slow = not is_over or first_s > bound_s
        if self.is_tripped:
            self._probed(is_slow)
        else:
            self._weigh(is_slow, bound_s, tokens_in, is_stream)

    def trying(self) -> bool:
        """Whether this request may see how the model does, while it is tripped: one at a time, once `for_s` have passed."""
        now = self._clock()
        if not self.is_tripped or now < self._try_at or now < self._probe_until:
            return False
        self._probe_until = now + PROBE_LOST_S
        return True

    def abandoned(self) -> None:
        """The request that `trying` let through ended without telling anything: its caller left, or it failed otherwise."""
        self._probe_until = -math.inf

    def _weigh(self, is_slow: bool, bound_s: float, tokens_in: int, is_stream: bool) -> None:
        now = self._clock()
        if now - self._noted_at > STALE_S:
            self._evidence = 0.0
        self._noted_at = now
        normal = self._pace.normal(tokens_in, is_stream)
        usual = UNKNOWN_SHARE if normal is None else min(max(normal.share_over(bound_s), SHARE_MIN), SHARE_MAX)
        ratio = SLOW_SHARE / usual if is_slow else (1.0 - SLOW_SHARE) / (1.0 - usual)
        self._evidence = max(self._evidence + math.log(ratio), 0.0)
        if self._evidence >= math.log(FALSE_TRIP_EVERY):
            self._trip(bound_s)

    def _trip(self, bound_s: float) -> None:
        self._evidence, self._good = 0.0, 0
        self._stay_away()
        self.tripped.set()
        log.warning("%s is slow, over %.3g s: its requests go elsewhere for %g s", self._name, bound_s, self._rule.for_s)

    def _probed(self, is_slow: bool) -> None:
        if is_slow:
            self._good = 0
            self._stay_away()
        elif self._probe_until > self._clock():  # else it was sent before the trip
            self._good += 1
            self._probe_until = -math.inf
            if self._good >= GOOD_TO_CLOSE:
                self.tripped.clear()
                log.info("%s is as quick as usual again", self._name)

    def _stay_away(self) -> None:
        self._try_at, self._probe_until = self._clock() + self._rule.for_s, -math.inf
        # Longer than probes stay away; if nobody asks for this guard any more, as after a reload, the hold is over by itself.
        self._pace.hold(self._clock() + 2 * self._rule.for_s + PROBE_LOST_S)
