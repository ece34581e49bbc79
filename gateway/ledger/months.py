"""The months (UTC) that a ledger is parted by: which one a time is in, when it begins and ends, what its tables are called."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

FIRST: Final = 1970
LAST: Final = 2261  # the last year whose nanoseconds since 1970 fit in 63 bits, as those who read them may want


def month_of(at: float) -> int:
    """The month of a time in seconds since 1970, as 202611. Raises ValueError for what is no time of a request."""
    if not isinstance(at, int | float) or not 0 <= at < _END:  # so neither what is not a number
        raise ValueError(f"{at!r} is no time that a ledger can keep: not in seconds since {FIRST}")
    time = datetime.fromtimestamp(math.floor(at), UTC)  # not rounded up into the next month
    return time.year * 100 + time.month


def begin_of(month: int) -> float:
    """When the month begins, in seconds since 1970."""
    return datetime(month // 100, month % 100, 1, tzinfo=UTC).timestamp()


def after(month: int) -> int:
    """The next month."""
    return month + 89 if month % 100 == 12 else month + 1


def end_of(month: int) -> float:
    """When it ends and the next begins, in seconds since 1970."""
    return begin_of(after(month))


_END: Final = begin_of(LAST * 100 + 12)
