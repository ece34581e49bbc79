"""A stretch of time, and its whole days and hours, which are read from the roll-ups; the rest is read from the entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.policy.grammar import seconds

HOUR_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Period:
    """From since to before until, in seconds since 1970. until None: everything that is there, however new."""

    since: float
    until: float | None = None

    @property
    def hours(self) -> Period | None:
        """The whole hours of it, None if there is none."""
        return self._whole(HOUR_S)

    @property
    def days(self) -> Period | None:
        """The whole days (UTC) of it, None if there is none."""
        return self._whole(DAY_S)

    def _whole(self, length_s: int) -> Period | None:
        first = math.ceil(self.since / length_s) * length_s
        end = None if self.until is None else math.floor(self.until / length_s) * length_s
        return Period(first, end) if end is None or first < end else None

    def edges(self, inner: Period | None) -> list[Period]:
        """What is left of it beside a part of it, as its whole hours: what is before and what is after."""
        if inner is None:
            return [self] if self.until is None or self.since < self.until else []
        edges = [Period(self.since, inner.since)]
        if self.until is not None and inner.until is not None:
            edges.append(Period(inner.until, self.until))
        return [edge for edge in edges if edge.until is not None and edge.since < edge.until]

    def within(self, column: str) -> tuple[str, list[float]]:
        """SQL that says that the column's moment is in it, and its values."""
        if self.until is None:
            return f"{column} >= ?", [self.since]
        return f"{column} >= ? AND {column} < ?", [self.since, self.until]

    def before(self, now: float) -> Period:
        """The period of the same length that ended when this one began. now: where one without an end ends."""
        return Period(2 * self.since - self.end(now), self.since)

    def end(self, now: float) -> float:
        """Where it ends; now for one without an end."""
        return now if self.until is None else self.until


def moment(text: str, now: float) -> float:
    """An age before now, as `90m`, `24h` or `7d`, or a date in UTC, as `2026-11-01` or `2026-11-01T18:00`. Raises ValueError."""
    try:
        return max(now - seconds(text), 0.0)  # there was nothing before
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'an age such as "90m", "24h" or "7d", or a date such as "2026-11-01", is expected, not {text!r}'
        ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def day_of(at: float) -> str:
    """`2026-11-22`, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def hour_of(at: float) -> str:
    """`2026-11-22T18:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:00Z")
