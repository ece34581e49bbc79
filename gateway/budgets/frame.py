"""Time as budgets see it: days, weeks and months of UTC, or a time that rolls, in buckets that money is counted in.

Both kinds are buckets of the same length, counted from 1970: a bucket is its begin divided by that length. They differ only in
which is the oldest that still counts. Lengths go into hours, or hours into them, so that the ledger's hourly sums fall into
whole buckets wherever a bucket is an hour or more.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.policy.budgets import Period

HOUR_S: Final = 3600
DAY_S: Final = 86_400
BUCKETS: Final = 60  # of a time that rolls, at most
_MONDAY: Final = 3  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class Frame:
    """Which buckets of a period count at a moment: from oldest to now. ends_at: of the calendar's; None for one that rolls."""

    bucket_s: int
    oldest: int
    now: int
    ends_at: int | None

    @property
    def begins_at(self) -> int:
        """Seconds since 1970 of the first that counts."""
        return self.oldest * self.bucket_s

    def leaves_at(self, bucket: int) -> int:
        """When a bucket no longer counts."""
        return self.ends_at if self.ends_at is not None else (bucket + self.now - self.oldest + 1) * self.bucket_s


def bucket_s(period: Period) -> int:
    """The length of its buckets: the same at any moment."""
    if period.calendar is not None:
        return HOUR_S if period.calendar == "day" else DAY_S
    hours = period.length_s // HOUR_S
    return period.length_s // BUCKETS if hours < BUCKETS else -(-hours // BUCKETS) * HOUR_S


def frame(period: Period, at: float) -> Frame:
    """What of a period counts at a moment. at: seconds since 1970.

    A time that rolls is up to one bucket longer than it says: never more is spent in it than the budget.
    """
    return _frame(period, int(at // bucket_s(period)))


@functools.lru_cache(maxsize=1024)
def _frame(period: Period, now: int) -> Frame:
    """The same all through a bucket."""
    length_s = bucket_s(period)
    if period.calendar is None:
        return Frame(length_s, now - -(-period.length_s // length_s), now, None)
    begin, end = _bounds(period, now * length_s)
    return Frame(length_s, begin // length_s, now, end)


def _bounds(period: Period, at: int) -> tuple[int, int]:
    """Begin and end of the day, week or month that a moment is in. No clock is ever set forward or back in UTC."""
    day = at // DAY_S
    if period.calendar == "day":
        return day * DAY_S, (day + 1) * DAY_S
    if period.calendar == "week":
        monday = day - (day + _MONDAY) % 7
        return monday * DAY_S, (monday + 7) * DAY_S
    date = datetime.fromtimestamp(day * DAY_S, UTC)
    following = date.replace(year=date.year + date.month // 12, month=date.month % 12 + 1, day=1)
    return int(date.replace(day=1).timestamp()), int(following.timestamp())
