"""Two periods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.report.dimension import Dimension
from gateway.report.period import Period
from gateway.report.row import Row, total

Mark = Literal["new", "gone"]


@dataclass(frozen=True, slots=True)
class Change:
    """A line before and now. mark: it is in one of the periods only."""

    before: Row
    now: Row
    mark: Mark | None = None

    @property
    def nusd(self) -> int:
        """How much more was paid."""
        return self.now.paid_nusd - self.before.paid_nusd

    @property
    def share(self) -> float | None:
        """The same, as a share of what was paid before; None if that was nothing."""
        return self.nusd / self.before.paid_nusd if self.before.paid_nusd > 0 else None

    def as_json(self, by: str) -> dict[str, Any]:
        return {
            by: self.now.name,
            "before": {k: v for k, v in self.before.as_json(by).items() if k != by},
            "change_usd": self.nusd / 1e9,
            "change_percent": None if self.share is None else 100 * self.share,
            "mark": self.mark,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """period: the one before. changes: of every line of either, as the report has them, then those that are gone."""

    period: Period
    changes: list[Change]
    whole: Change


def compare(period: Period, before: Sequence[Row], now: Sequence[Row]) -> Comparison:
    """The lines of two periods by their names; those of times have to be `shifted`."""
    known = {row.name: row for row in before}
    named = {row.name for row in now}
    changes = [Change(known.get(row.name, Row(row.name)), row, None if row.name in known else "new") for row in now]
    changes += [Change(row, Row(row.name), "gone") for row in before if row.name not in named]
    return Comparison(period, changes, Change(total(before), total(now)))


def shifted(rows: Sequence[Row], dimension: Dimension, by_s: float) -> list[Row]:
    """Lines of an earlier period under the names of this one's: the second day stands beside the second day."""
    if dimension.length_s is None:
        return list(rows)
    whole_s = round(by_s / dimension.length_s) * dimension.length_s
    label = dimension.label()
    return [replace(row, name=label(round(_begin(row.name) + whole_s))) for row in rows]


def _begin(name: str) -> float:
    """Of a day or an hour, in seconds since 1970."""
    time = datetime.fromisoformat(name)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
