"""One line of a spend report, and lines added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gateway.report.cache_worth import CacheWorth


@dataclass
class Row:
    """One line of the report. Money in nano-USD, over entries whose figure is known.

    Requests, hits, errors and tokens are the callers'; money includes what the gateway asked on its own account, and what
    hours of self-hosted models cost beyond what their requests were booked at.
    unpriced: entries with an unknown cost, whose money is missing from cost_nusd. saved_nusd leaves out entries whose
    cost or baseline is unknown (`not_comparable`).
    """

    name: str
    requests: int = 0
    cache_hits: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0
    overhead_nusd: int = 0
    baseline_nusd: int = 0
    saved_nusd: int = 0
    unpriced: int = 0
    not_comparable: int = 0
    cache: CacheWorth = field(default_factory=CacheWorth)

    @property
    def paid_nusd(self) -> int:
        """All that was paid."""
        return self.cost_nusd + self.overhead_nusd

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell: an hour of a self-hosted model that is still open is money that is not known yet."""
        return not self.cache.is_used and not any(getattr(self, name) for name in NUMBERS)

    def add(self, other: Row) -> None:
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cache.add(other.cache)

    def as_json(self, by: str) -> dict[str, Any]:
        """With dollars beside nano-USD."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        money = {f"{k.removesuffix('_nusd')}_usd": v / 1e9 for k, v in numbers.items() if k.endswith("_nusd")}
        return {by: self.name, **numbers, **money, "cache": self.cache.as_json()}


NUMBERS: Final = tuple(f.name for f in fields(Row) if f.name not in ("name", "cache"))


def total(rows: Iterable[Row]) -> Row:
    """All rows in one."""
    whole = Row("total")
    for row in rows:
        whole.add(row)
    return whole
