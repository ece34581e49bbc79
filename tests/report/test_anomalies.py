"""Days that cost much more than usual: found when they do, and not when they do not, over many simulated ledgers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.ledger.base import Entry
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.anomalies import NUSD_MIN, Watched, anomalies, unusual
from gateway.report.dimension import parse
from gateway.report.period import DAY_S, Period
from tests.ledger.entries import answered, entry

DOLLAR = 1_000_000_000
WEEK = (1.0, 1.1, 1.05, 1.1, 1.0, 0.5, 0.4)  # what weekdays are like
NOW = 20_000.0 * DAY_S


def history(rng: np.random.Generator, days: int, spread: float) -> dict[int, int]:
    """Days of about a dollar, less at weekends, strewn log-normally; the last of them is the one to be judged."""
    return {
        day: int(DOLLAR * WEEK[day % 7] * np.exp(rng.normal(0, spread) - spread**2 / 2)) for day in range(100, 100 + days + 1)
    }


@pytest.mark.parametrize(("spread", "doubled"), [(0.0, 1.0), (0.1, 0.9), (0.2, 0.55)])
def test_doubled_days_are_found_and_ordinary_ones_are_not(spread: float, doubled: float) -> None:
    rng = np.random.default_rng(11)
    alarms = found = 0
    for _ in range(300):
        days = history(rng, 28, spread)
        alarms += bool(unusual({"r": days}, 128, 100))
        found += bool(unusual({"r": days | {128: 2 * days[128]}}, 128, 100))
    assert alarms / 300 <= 0.03 and found / 300 >= doubled, (alarms, found)


@pytest.mark.parametrize("days", [7, 10, 14, 21])
def test_short_histories_raise_few_false_alarms(days: int) -> None:
    rng = np.random.default_rng(12)
    alarms = sum(bool(unusual({"r": history(rng, days, 0.2)}, 100 + days, 100)) for _ in range(300))
    assert alarms / 300 <= 0.08, alarms


def test_constant_spend_is_never_suspect_nor_is_a_little_more() -> None:
    days = dict.fromkeys(range(100, 128), DOLLAR)
    assert unusual({"r": days | {128: DOLLAR}}, 128, 100) == []
    assert unusual({"r": days | {128: DOLLAR * 14 // 10}}, 128, 100) == []
    (found,) = unusual({"r": days | {128: DOLLAR * 16 // 10}}, 128, 100)
    assert (found.nusd, found.usual_nusd, found.excess_nusd) == (DOLLAR * 16 // 10, DOLLAR, DOLLAR * 6 // 10)


def test_small_money_is_not_worth_a_look() -> None:
    assert unusual({"r": {**dict.fromkeys(range(100, 128), 1_000), 128: NUSD_MIN}}, 128, 100) == []
    big = dict.fromkeys(range(100, 129), 100 * DOLLAR)
    assert unusual({"big": big, "small": {128: 5 * DOLLAR}}, 128, 100) == []
    assert [one.name for one in unusual({"big": big, "new": {128: 6 * DOLLAR}}, 128, 100)] == ["new"]


def test_what_costs_something_now_and_then_must_cost_more_than_ever() -> None:
    steady = dict.fromkeys(range(100, 129), 10 * DOLLAR)
    job = dict.fromkeys(range(101, 128, 3), 5 * DOLLAR)
    assert unusual({"steady": steady, "job": job | {128: 5 * DOLLAR}}, 128, 100) == []
    assert [one.name for one in unusual({"steady": steady, "job": job | {128: 9 * DOLLAR}}, 128, 100)] == ["job"]


def test_what_was_out_of_the_ordinary_then_does_not_hide_what_is_so_now() -> None:
    days = dict.fromkeys(range(100, 128), DOLLAR) | {104: 50 * DOLLAR, 111: 40 * DOLLAR}
    assert unusual({"r": days | {128: 3 * DOLLAR}}, 128, 100)


def test_seven_days_with_money_are_needed() -> None:
    days = {**dict.fromkeys(range(100, 107), DOLLAR), 107: 9 * DOLLAR}
    assert unusual({"r": days}, 107, 101) == [] and unusual({"r": days}, 107, 100) != []
    assert unusual({"r": {100: DOLLAR, 102: DOLLAR, 128: 9 * DOLLAR}}, 128, 100) == [], "days without any tell nothing"


def watched(folder: Path, entries: list[Entry], by: str = "route", since: float = NOW - 2 * DAY_S) -> Watched:
    ledger = SqliteLedger(folder / "ledger.db")
    ledger.append(entries)
    ledger.close()
    reader = SqliteReader(folder / "ledger.db")
    try:
        return anomalies(reader, parse(by), Period(since), NOW)
    finally:
        reader.close()


def hourly(days: int, cost: int, hour_costs: dict[int, int] | None = None) -> list[Entry]:
    """An entry in every hour of so many days before NOW. hour_costs: by how many hours ago it was."""
    given = hour_costs or {}
    return [
        answered(f"{ago}", "r", "m", given.get(ago, cost), at=NOW - 3_600 * ago + 60, tags={"app": "ide"})
        for ago in range(24 * days, 0, -1)
    ]


@pytest.mark.parametrize("by", ["route", "model", "key", "tag:app", "day"])
def test_a_dear_day_is_named_with_the_money_it_is_about(tmp_path: Path, by: str) -> None:
    dear = dict.fromkeys(range(1, 25), 3 * DOLLAR)
    found = watched(tmp_path, hourly(20, DOLLAR, dear), by)
    names = {"route": "r", "model": "m", "key": "anonymous", "tag:app": "ide", "day": "all"}
    assert [(one.name, one.nusd, one.excess_nusd) for one in found.found] == [(names[by], 72 * DOLLAR, 48 * DOLLAR)]
    assert (found.days, found.reason) == (2, None)


def test_of_a_day_that_has_only_begun_the_same_hours_are_compared(tmp_path: Path) -> None:
    begun = [e for e in hourly(20, DOLLAR) if e.at < NOW - 18 * 3_600]
    assert watched(tmp_path, begun).found == [], "six hours of a day are no day without its afternoon"
    reader = SqliteReader(tmp_path / "ledger.db")
    ended = anomalies(reader, parse("route"), Period(NOW - 2 * DAY_S), NOW - 18 * 3_600)
    reader.close()
    assert (ended.days, ended.found) == (2, [])


@pytest.mark.parametrize("by", ["route", "tag:app"])
def test_what_was_paid_is_cost_and_overhead(tmp_path: Path, by: str) -> None:
    entries = hourly(20, DOLLAR)
    for one in entries:
        one.overhead_nusd = 5 * DOLLAR if one.at > NOW - DAY_S else DOLLAR
    (found,) = watched(tmp_path, entries, by).found
    assert (found.nusd, found.usual_nusd) == (24 * 6 * DOLLAR, 24 * 2 * DOLLAR)


@pytest.mark.parametrize("by", ["route", "tag:app"])
@pytest.mark.parametrize("begin", [1, 11, 23])
def test_of_a_first_day_only_the_hours_from_the_periods_beginning_are_compared(tmp_path: Path, by: str, begin: int) -> None:
    """Each hour of a day has a price of its own; that of the first day in the period costs four times as much as usual."""
    price = [DOLLAR << (hour % 12) for hour in range(24)]
    first = {48 - hour: 4 * price[hour] for hour in range(24)}
    usual = {ago: price[-ago % 24] for ago in range(1, 24 * 20 + 1)}
    found = watched(tmp_path, hourly(20, 0, usual | first), by, since=NOW - 2 * DAY_S + 3_600 * begin)
    in_it = sum(price[begin:])
    assert [(one.day, one.nusd, one.usual_nusd) for one in found.found] == [(NOW - 2 * DAY_S, 4 * in_it, in_it)]


def test_hours_before_the_period_are_not_its_first_days(tmp_path: Path) -> None:
    dear_morning = dict.fromkeys(range(37, 49), 9 * DOLLAR)
    entries = hourly(20, DOLLAR, dear_morning)
    assert watched(tmp_path, entries, since=NOW - 1.5 * DAY_S).found == []
    reader = SqliteReader(tmp_path / "ledger.db")
    (found,) = anomalies(reader, parse("route"), Period(NOW - 1.5 * DAY_S - 3_600), NOW).found
    reader.close()
    assert (found.nusd, found.usual_nusd) == (21 * DOLLAR, 13 * DOLLAR)


def test_a_young_ledger_is_said_to_be_too_young(tmp_path: Path) -> None:
    found = watched(tmp_path, hourly(5, DOLLAR, {1: 90 * DOLLAR}))
    assert (found.found, found.days) == ([], 0)
    assert found.reason is not None and "not enough history" in found.reason
    empty = tmp_path / "empty"
    empty.mkdir()
    assert watched(empty, []).days == 0


def test_a_period_without_a_whole_hour_has_no_days(tmp_path: Path) -> None:
    assert watched(tmp_path, [entry("1", at=NOW - 60)], since=NOW - 120).days == 0


@pytest.mark.parametrize("by", ["tag:app", "route"])
def test_days_that_were_dropped_are_not_days_on_which_nothing_was_spent(tmp_path: Path, by: str) -> None:
    october, now = 19_997 * DAY_S, 20_007 * DAY_S
    dear = dict.fromkeys(range(24), DOLLAR * 5 // 4)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([
        answered(f"{ago}", "r", "m", dear.get(ago, DOLLAR), at=now - 3_600 * (ago + 1), tags={"app": "ide"})
        for ago in range(24 * 40)
    ])  # fmt: skip
    assert ledger.prune(october)
    ledger.close()
    reader = SqliteReader(tmp_path / "ledger.db")
    found = anomalies(reader, parse(by), Period(now - DAY_S), now)
    reader.close()
    assert (found.found, found.days) == ([], 1), "a quarter more than on other days is nothing unusual"
