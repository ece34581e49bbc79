"""What a policy says of money: how much a key, team, tag, route or the whole gateway may spend in a time. Values only."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

Per = Literal["key", "team", "tag", "route", "gateway"]
Calendar = Literal["day", "week", "month"]
Then = Literal["alert", "route", "refuse"]
OnError = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Period:
    """calendar: of UTC, weeks from Monday; None for a time that rolls: the last length_s seconds, whenever it is asked.

    length_s: of a calendar period its longest, a month 31 days.
    """

    length_s: int
    calendar: Calendar | None = None

    def __str__(self) -> str:
        """As in the policy."""
        if self.calendar is not None:
            return self.calendar
        return f"{self.length_s // 86_400}d" if self.length_s % 86_400 == 0 else f"{self.length_s // 3600}h"


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """One of `budgets`. place: where it stands in the file, from 0.

    limit_nusd: the whole budget; it is reached when `at` of it is spent or reserved. tag: its name, for `per: tag:NAME`.
    of: whom it holds for, each for itself; without names for each that no other rule of its kind names. then: what happens;
    route: to which route requests go then. keeps_free: targets that cost nothing more, because their machine is paid anyway,
    are still asked. on_error: whether replicas count alone while their shared store is away, or refuse.
    """

    place: int
    per: Per
    tag: str | None
    limit_nusd: int
    period: Period
    at: float
    then: Then
    route: str | None = None
    keeps_free: bool = False
    of: frozenset[str] = frozenset()
    on_error: OnError = "open"

    @property
    def threshold_nusd(self) -> int:
        """From what sum on the rule does what it says."""
        return _share_of(self.limit_nusd, self.at)

    @property
    def kind(self) -> str:
        """As the policy has it: `team`, `tag:app`."""
        return self.per if self.tag is None else f"{self.per}:{self.tag}"

    def __str__(self) -> str:
        """For people and metrics: the same wherever the rule stands in the file."""
        whole, rest = divmod(self.limit_nusd, 10**9)
        usd = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
        whom = f" of {','.join(sorted(self.of))}" if self.of else ""
        then = f"route {self.route}" if self.then == "route" else self.then
        return f"{self.kind}{whom}: {usd}/{self.period} at {self.at:g} {then}"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Where alerts go. headers: sent with them, as a secret of the receiver's. unavailable: why none can be sent."""

    webhook: str = field(repr=False)  # Slack's are secrets
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    unavailable: str | None = None


@functools.lru_cache(maxsize=1024)
def _share_of(nusd: int, share: float) -> int:
    return round(nusd * Fraction(repr(share)))  # 0.8 is four fifths
