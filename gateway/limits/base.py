"""The nouns of limits, and the port of what counts: reserve what a request may need, settle what it did.

A window slides: what was counted leaves it when it is older than the window is long. It is kept in buckets of a 60th of
that length, and each bucket that overlaps the window counts in full, so that in no time of that length is more let through
than the limit says, and at worst a 60th of the length longer is waited than need be. After Cloudflare, "How we built rate
limiting capable of scaling to millions of domains" (2017), with buckets instead of its estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import Refused
from gateway.policy.limits import LimitRule, OnError, Per, Unit

BUCKETS: Final = 60
MICROS: Final = 1_000_000

UNCOUNTABLE_S: Final = 5.0  # to wait when limits cannot be counted: a store that is away is asked again within that


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted together: the requests, or the tokens, of one key, team or model, over one length of time.

    holder: the name to count under. name: the one to show. place: of its rule in the policy, None for a key's own limit.
    """

    per: Per
    holder: str
    name: str
    unit: Unit
    limit: int
    length_s: int
    place: int | None
    on_error: OnError = "open"

    @property
    def id(self) -> str:
        """The same for all who count this together; with another limit it is still the same count."""
        return f"{self.per}:{self.unit}:{self.length_s}s:{self.holder}"

    @property
    def bucket_us(self) -> int:
        """Length of a bucket in µs; BUCKETS of them are no shorter than the window."""
        return -(-self.length_s * MICROS // BUCKETS)


@dataclass(frozen=True, slots=True)
class Ask:
    """So much of a window is wanted."""

    window: Window
    amount: int


@dataclass(frozen=True, slots=True)
class Level:
    """How a window stands. remaining: what is left of its limit. reset_s: until all of it is, if nothing more comes."""

    window: Window
    remaining: int
    reset_s: float

    @property
    def share(self) -> float:
        """What is left of the limit, from 0 to 1."""
        return self.remaining / self.window.limit


@dataclass(frozen=True, slots=True)
class Counted:
    """An ask that was counted. bucket: in which."""

    ask: Ask
    bucket: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What was counted was not the truth. by: below 0 what is given back, of that bucket; else what comes on top, now."""

    window: Window
    bucket: int
    by: int


class LimitExceeded(Refused):
    """A limit is spent. window: the one to wait for longest. levels: how all that were asked stand; nothing was counted."""

    def __init__(self, spent: Ask, wait_s: float | None, levels: Sequence[Level] = ()) -> None:
        """wait_s: until all that was asked would be let through, None if never: it is more than the limit."""
        super().__init__(_said(spent, wait_s), status=429, code="rate_limit_exceeded", retry_after_s=wait_s)
        self.window, self.levels = spent.window, tuple(levels)


class LimitsUnavailable(Refused):
    """The limits cannot be counted, and the policy says to refuse then."""

    def __init__(self, window: Window) -> None:
        what = f"the {window.unit} of {window.per} '{window.name}' cannot be counted just now"
        message = f"{what}, and limits[{window.place}] of the policy says `on_error: closed`; try again later"
        super().__init__(message, status=503, code="limits_unavailable", retry_after_s=UNCOUNTABLE_S)


class Settles(Protocol):
    """Whoever counted is told the truth."""

    def settle(self, corrections: Sequence[Correction]) -> None:
        """Count these, soon. Never fails, never waits."""
        ...


class Hold:
    """What was reserved for one request. levels: how its windows stood then, in the order that was asked for."""

    def __init__(self, counts: Settles, counted: Sequence[Counted], levels: Sequence[Level]) -> None:
        self._counts, self._counted = counts, counted
        self.levels = tuple(levels)
        self._is_settled = False

    def settle(self, tokens: int) -> None:
        """Say how many tokens it was in truth; once. One that is never settled counts as what was reserved."""
        assert not self._is_settled, "a hold is settled once"
        self._is_settled = True
        corrections = [
            Correction(counted.ask.window, counted.bucket, tokens - counted.ask.amount)
            for counted in self._counted
            if counted.ask.window.unit == "tokens" and tokens != counted.ask.amount
        ]
        if corrections:
            self._counts.settle(corrections)


class Limiter(Protocol):
    """Counts what is let through."""

    async def reserve(self, asks: Sequence[Ask]) -> Hold:
        """Count all that is asked for, or none of it, in one step.

        asks: each of another window. Returns a Hold to settle exactly once. Raises LimitExceeded, or LimitsUnavailable if it
        cannot be counted and one of the windows may not be passed over.
        """
        ...

    @property
    def problem(self) -> str | None:
        """Why limits are not what they should be just now, with the remedy; None when all is well."""
        ...

    async def aclose(self) -> None:
        """Count what is still to be settled, and stop."""
        ...


def windows_of(rules: Sequence[LimitRule], holder: str, name: str) -> list[Window]:
    """The windows of these rules for one key, team or model."""
    return [
        Window(rule.per, holder, name, unit, rate.amount, rate.window_s, rule.place, rule.on_error)
        for rule in rules
        for unit, rate in rule.rates
    ]


def asks_for(windows: Sequence[Window], tokens: int) -> list[Ask]:
    """What one request wants of them. tokens: the most that it may need."""
    return [Ask(window, 1 if window.unit == "requests" else tokens) for window in windows]


_TIMES: Final = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}


def _said(spent: Ask, wait_s: float | None) -> str:
    window, asked = spent.window, spent.amount
    verb = {"requests": "be sent" if window.per == "model" else "send", "tokens": "use"}[window.unit]
    time = _TIMES.get(window.length_s) or f"in {window.length_s} s"
    whose = "a limit of its own" if window.place is None else f"limits[{window.place}] of the policy"
    units = window.unit if window.limit > 1 else window.unit.removesuffix("s")
    limit = f"{window.per} '{window.name}' may {verb} {window.limit} {units} {time} ({whose})"
    need = "" if window.unit == "requests" else f", and this request may need {asked}"
    if wait_s is None:
        return f"{limit}{need}; send less, or ask for fewer with `max_tokens`"
    return f"{limit}{need}; try again in {math.ceil(wait_s)} s"
