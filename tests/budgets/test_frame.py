"""Days, weeks and months of UTC, and times that roll: where they begin and end, and what their buckets are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.frame import bucket_s, frame
from gateway.policy.budgets import Period
from gateway.policy.schema_budgets import money

DAY, WEEK, MONTH = (money(f"1/{word}")[1] for word in ("day", "week", "month"))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "moment", "begins", "ends"),
    [
        (DAY, "2026-11-22T00:00:00", "2026-11-22", "2026-11-23"),
        (DAY, "2026-11-22T23:59:59.999", "2026-11-22", "2026-11-23"),
        (DAY, "2026-03-29T02:30:00", "2026-03-29", "2026-03-30"),  # the clocks of Europe go forward, and UTC does not
        (WEEK, "2026-11-22T23:59:59", "2026-11-16", "2026-11-23"),  # a Sunday
        (WEEK, "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        (WEEK, "2026-01-01T00:00:00", "2025-12-29", "2026-01-05"),
        (MONTH, "2026-01-31T23:59:59", "2026-01-01", "2026-02-01"),
        (MONTH, "2026-02-28T12:00:00", "2026-02-01", "2026-03-01"),
        (MONTH, "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
        (MONTH, "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
    ],
)
def test_calendar(period: Period, moment: str, begins: str, ends: str) -> None:
    found = frame(period, at(moment))
    assert (found.begins_at, found.ends_at) == (at(begins), at(ends))
    assert found.oldest <= found.now < found.ends_at / found.bucket_s


@given(st.sampled_from([DAY, WEEK, MONTH]), st.floats(0, 4e9))
def test_every_moment_is_in_its_calendar_period_and_the_next_begins_where_it_ends(period: Period, moment: float) -> None:
    found = frame(period, moment)
    assert found.ends_at is not None
    assert found.begins_at <= moment < found.ends_at
    assert frame(period, found.ends_at).begins_at == found.ends_at
    assert frame(period, found.ends_at - 0.5).begins_at == found.begins_at
    begin = datetime.fromtimestamp(found.begins_at, UTC)
    if period == MONTH:
        assert (begin.day, (begin + timedelta(days=32)).replace(day=1)) == (1, datetime.fromtimestamp(found.ends_at, UTC))
    assert (found.ends_at - found.begins_at) % 86_400 == 0


@given(st.one_of(st.integers(1, 999).map(lambda n: n * 3600), st.integers(1, 999).map(lambda n: n * 86_400)), st.floats(0, 4e9))
def test_a_time_that_rolls_is_no_shorter_than_it_says_and_at_most_a_bucket_longer(length_s: int, moment: float) -> None:
    period = Period(length_s)
    found = frame(period, moment)
    assert found.ends_at is None
    assert length_s <= moment - found.begins_at <= length_s + 2 * found.bucket_s
    assert found.now - found.oldest <= 60
    assert found.bucket_s % 3600 == 0 or 3600 * 60 % found.bucket_s == 0 or length_s < 60 * 3600
    assert found.leaves_at(found.now) - moment >= length_s


def test_buckets_of_a_day_are_hours_and_those_of_a_month_days() -> None:
    assert [bucket_s(period) for period in (DAY, WEEK, MONTH)] == [3600, 86_400, 86_400]
    assert [bucket_s(Period(hours * 3600)) for hours in (1, 24, 59, 60, 168, 720)] == [60, 1440, 3540, 3600, 10_800, 43_200]
