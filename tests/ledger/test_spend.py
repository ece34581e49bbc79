"""The report: sums that a reviewer can check by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.spend import DIMENSIONS, NO_MODEL, Row, spend, total
from gateway.ledger.sqlite import SqliteLedger, connect
from gateway.usage import Usage
from tests.ledger.entries import answered, entry


def report(folder: Path, entries: list[Entry], by: str, since: float = 0.0) -> dict[str, Row]:
    path = folder / "ledger.db"
    path.unlink(missing_ok=True)
    ledger = SqliteLedger(path)
    ledger.append(entries)
    ledger.close()
    db = connect(path, read_only=True)
    try:
        return {row.name: row for row in spend(db, by, since)}
    finally:
        db.close()


def test_routes_are_summed_the_dearest_first(tmp_path: Path) -> None:
    rows = report(
        tmp_path,
        [
            answered("1", "easy", "small", 10, baseline=100),
            answered("2", "easy", "small", 20, baseline=100, overhead_nusd=5),
            answered("3", "hard", "strong", 500, baseline=500),
            entry("4", route="easy", cache="hit-exact", usage=Usage(3, 4), baseline_nusd=50),
            entry("5", route="hard", outcome="error", status=502),
        ],
        "route",
    )
    assert list(rows) == ["hard", "easy"]
    assert rows["easy"] == Row("easy", 3, 1, 0, 23, 14, 30, 5, 250, 215)
    assert rows["hard"] == Row("hard", 2, 0, 1, 10, 5, 500, 0, 500, 0)


def test_a_loss_is_shown_as_a_loss(tmp_path: Path) -> None:
    assert report(tmp_path, [answered("1", "r", "m", 300, baseline=100)], "route")["r"].saved_nusd == -200


def test_what_is_unknown_is_counted_and_left_out_of_the_sums(tmp_path: Path) -> None:
    entries = [
        answered("1", "r", "m", None, baseline=100),
        answered("2", "r", "m", 10, baseline=None),
        answered("3", "r", "m", 10, baseline=30),
    ]
    row = report(tmp_path, entries, "route")["r"]
    assert (row.cost_nusd, row.saved_nusd, row.unpriced, row.not_comparable) == (20, 20, 1, 2)


def test_by_model_a_failed_attempt_is_paid_by_the_model_that_failed(tmp_path: Path) -> None:
    rescued = answered("1", "r", "good", 100, baseline=200)
    rescued.attempts.insert(0, Attempt("p-bad", "bad", outcome="error", usage=Usage(5, 5, estimated=True), cost_nusd=40))
    rescued.cost_nusd = 140
    rows = report(tmp_path, [rescued, entry("2", route="faq", baseline_nusd=70)], "model")
    assert (rows["good"].cost_nusd, rows["good"].saved_nusd, rows["good"].requests) == (100, 100, 1)
    assert (rows["bad"].cost_nusd, rows["bad"].saved_nusd, rows["bad"].requests) == (40, -40, 0)
    assert rows[NO_MODEL].saved_nusd == 70


def test_what_is_not_comparable_moves_its_cost_but_no_saving(tmp_path: Path) -> None:
    rescued = answered("1", "r", "good", 140, baseline=None)
    rescued.attempts.insert(0, Attempt("p-bad", "bad", outcome="error", usage=Usage(5, 5), cost_nusd=40))
    rows = report(tmp_path, [rescued], "provider")
    assert (rows["p-good"].cost_nusd, rows["p-good"].saved_nusd) == (100, 0)
    assert (rows["p-bad"].cost_nusd, rows["p-bad"].saved_nusd) == (40, 0)


def test_only_what_is_young_enough_counts(tmp_path: Path) -> None:
    rows = report(tmp_path, [answered("1", "r", "m", 10, at=100.0), answered("2", "r", "m", 20, at=200.0)], "route", since=150.0)
    assert rows["r"].cost_nusd == 20


def test_days_and_hours_are_utc_and_in_order(tmp_path: Path) -> None:
    entries = [answered("1", "r", "m", 1, at=86_400.0 * 2), answered("2", "r", "m", 900, at=86_400.0 + 3_600)]
    assert list(report(tmp_path, entries, "day")) == ["1970-01-02", "1970-01-03"]
    assert list(report(tmp_path, entries, "hour")) == ["1970-01-02T01:00Z", "1970-01-03T00:00Z"]


def test_an_empty_ledger_has_no_rows(tmp_path: Path) -> None:
    assert report(tmp_path, [], "route") == {}


money = st.integers(0, 10**12)
calls = st.builds(
    lambda model, cost, outcome: Attempt(f"p-{model}", model, outcome=outcome, usage=Usage(1, 1), cost_nusd=cost),
    st.sampled_from(["a", "b", "c"]),
    money,
    st.sampled_from(["ok", "error"]),
)


@st.composite
def histories(draw: Any) -> list[Entry]:
    entries = []
    for i in range(draw(st.integers(0, 8))):
        attempts = draw(st.lists(calls, max_size=3))
        last = attempts[-1] if attempts else None
        entries.append(
            entry(
                f"r-{i}",
                route=draw(st.sampled_from(["x", "y"])),
                key=draw(st.sampled_from(["k", "l"])),
                model=last.model if last else None,
                provider=last.provider if last else None,
                attempts=attempts,
                cost_nusd=sum(a.cost_nusd or 0 for a in attempts),
                baseline_nusd=draw(st.none() | money),
                overhead_nusd=draw(money),
            )
        )
    return entries


@given(histories())
@settings(max_examples=25, deadline=None)
def test_the_total_is_the_same_however_it_is_split(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        totals = [total(list(report(Path(folder), entries, by).values())) for by in DIMENSIONS]
    assert totals[0].cost_nusd == sum(e.cost_nusd or 0 for e in entries)
    assert totals[0].saved_nusd == sum(e.saved_nusd or 0 for e in entries)
    for other in totals[1:]:
        assert (other.requests, other.cost_nusd, other.baseline_nusd) == (
            totals[0].requests,
            totals[0].cost_nusd,
            totals[0].baseline_nusd,
        )


@pytest.mark.parametrize("by", DIMENSIONS)
def test_json_has_dollars_beside_nano_usd(tmp_path: Path, by: str) -> None:
    (row,) = report(tmp_path, [answered("1", "r", "m", 1_500_000_000)], by).values()
    fields = row.as_json(by)
    assert (fields[by], fields["cost_nusd"], fields["cost_usd"]) == (row.name, 1_500_000_000, 1.5)
