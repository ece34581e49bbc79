"""What a policy says of rates: how many requests and tokens a key, a team or a model may have in a window. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Per = Literal["key", "team", "model"]
Unit = Literal["requests", "tokens"]
OnError = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` in any window_s seconds."""

    amount: int
    window_s: int


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One of `limits`. place: where it stands in the file, from 0. At least one of `requests` and `tokens` is set.

    of: whom it holds for, each for itself; without names for each that no other rule of its kind names. on_error: whether
    replicas count alone while their shared store is away, or refuse.
    """

    place: int
    per: Per
    requests: Rate | None = None
    tokens: Rate | None = None
    of: frozenset[str] = frozenset()
    on_error: OnError = "open"

    @property
    def rates(self) -> tuple[tuple[Unit, Rate], ...]:
        """What it bounds."""
        given: tuple[tuple[Unit, Rate | None], ...] = (("requests", self.requests), ("tokens", self.tokens))
        return tuple((unit, rate) for unit, rate in given if rate is not None)


def rules_for(rules: tuple[LimitRule, ...], per: Per, name: str) -> list[LimitRule]:
    """Those that hold for this key, team or model: the ones that name it, else the ones that name nobody."""
    named = [rule for rule in rules if rule.per == per and name in rule.of]
    return named or [rule for rule in rules if rule.per == per and not rule.of]
