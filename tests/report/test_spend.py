"""The report: sums that a reviewer can check by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry, Feedback, Record
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.cache_worth import CacheWorth
from gateway.report.dimension import NAMES, NO_MODEL, parse
from gateway.report.period import Period
from gateway.report.row import Row, total
from gateway.report.spend import spend
from gateway.usage import Usage
from tests.ledger.entries import answered, entry

BY = [*NAMES, "tag:app"]


def report(folder: Path, records: Sequence[Record], by: str, since: float = 0.0) -> dict[str, Row]:
    path = folder / "ledger.db"
    path.unlink(missing_ok=True)
    ledger = SqliteLedger(path)
    ledger.append(records)
    ledger.close()
    reader = SqliteReader(path)
    try:
        rows, by_row = (spend(reader, parse(by), Period(since), from_rows=from_rows) for from_rows in (False, True))
    finally:
        reader.close()
    assert rows == by_row
    return {row.name: row for row in rows}


def test_routes_are_summed_the_dearest_first(tmp_path: Path) -> None:
    rows = report(
        tmp_path,
        [
            answered("1", "easy", "small", 10, baseline=100),
            answered("2", "easy", "small", 20, baseline=100, overhead_nusd=5, cache="miss"),
            answered("3", "hard", "strong", 500, baseline=500),
            entry("4", route="easy", cache="hit-exact", usage=Usage(3, 4), baseline_nusd=50),
            entry("5", route="hard", outcome="error", status=502),
        ],
        "route",
    )
    assert list(rows) == ["hard", "easy"]
    worth = CacheWorth(exact_hits=1, tokens_saved=7, saved_nusd=50, overhead_nusd=5)
    assert rows["easy"] == Row("easy", 3, 1, 0, 23, 14, 30, 5, 250, 215, cache=worth)
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


def background(request_id: str, purpose: str, of: str, model: str, cost: int, **fields: Any) -> Entry:
    """As settle_background leaves it."""
    cost, overhead = (0, cost) if purpose == "audit" else (cost, 0)
    return answered(request_id, "r", model, cost, 0, purpose=purpose, of=of, overhead_nusd=overhead, **fields)


def cached_traffic() -> list[Record]:
    """Two misses, an exact and four semantic hits, an audit of each of the latter, a refresh, and feedback."""
    hit = {"route": "r", "usage": Usage(10, 5), "cost_nusd": 0}
    verdicts = ["right", "right", "wrong", "unsure"]
    records: list[Record] = [answered(f"miss-{i}", "r", "m", 40, 100, cache="miss") for i in range(2)]
    records.append(entry("exact", cache="hit-exact", cache_entry="miss-0", baseline_nusd=100, **hit))
    for i, verdict in enumerate(verdicts):
        records.append(entry(f"hit-{i}", cache="hit-semantic", cache_entry="miss-0", baseline_nusd=100, overhead_nusd=3, **hit))
        audit = background(f"audit-{i}", "audit", f"hit-{i}", "m", 41, cache="hit-semantic", verdict=verdict)
        audit.attempts[0].cost_nusd = 41
        records.append(audit)
    records.append(background("again", "refresh", "exact", "m", 39))
    said = [("hit-2", -1.0), ("hit-0", -1.0), ("hit-0", 0.5), ("hit-1", 0.0), ("exact", -1.0), ("miss-1", -1.0)]
    return records + [Feedback(id_, 1.0, value) for id_, value in said]


def test_what_the_gateway_asked_on_its_own_account_is_paid_but_is_no_request(tmp_path: Path) -> None:
    row = report(tmp_path, cached_traffic(), "route")["r"]
    assert (row.requests, row.cache_hits, row.input_tokens, row.output_tokens) == (7, 5, 70, 35)
    assert (row.cost_nusd, row.overhead_nusd, row.baseline_nusd) == (2 * 40 + 39, 4 * 3 + 4 * 41, 700)
    assert row.saved_nusd == 700 - 119 - 176


def test_what_the_cache_is_worth_can_be_summed_by_hand(tmp_path: Path) -> None:
    worth = report(tmp_path, cached_traffic(), "route")["r"].cache
    assert worth == CacheWorth(
        exact_hits=1,
        semantic_hits=4,
        tokens_saved=75,
        saved_nusd=500,
        overhead_nusd=176,
        refreshes=1,
        refresh_nusd=39,
        audited=4,
        right=2,
        wrong=1,
        unsure=1,
        good=1,
        bad=1,
    )
    assert worth.precision == 2 / 3
    assert worth.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert CacheWorth(right=0).precision is None and CacheWorth(unsure=3).interval is None


def test_by_model_hits_stand_under_no_model_and_audits_with_who_was_asked(tmp_path: Path) -> None:
    rows = report(tmp_path, cached_traffic(), "model")
    assert (rows["m"].requests, rows["m"].cost_nusd, rows["m"].overhead_nusd, rows["m"].cache.audited) == (2, 119, 164, 4)
    none = rows[NO_MODEL]
    assert (none.requests, none.cost_nusd, none.cache.semantic_hits, none.cache.saved_nusd) == (5, 0, 4, 500)


def test_a_failed_attempt_of_an_audit_moves_no_cost(tmp_path: Path) -> None:
    audit = background("audit", "audit", "hit", "good", 140, verdict="right")
    audit.attempts.insert(0, Attempt("p-bad", "bad", outcome="error", usage=Usage(5, 5), cost_nusd=40))
    rows = report(tmp_path, [audit], "model")
    assert list(rows) == ["good"] and (rows["good"].cost_nusd, rows["good"].overhead_nusd) == (0, 140)


def test_an_audit_of_an_unknown_price_is_unpriced(tmp_path: Path) -> None:
    audit = background("audit", "audit", "hit", "m", 0)
    audit.cost_nusd = None
    row = report(tmp_path, [audit], "route")["r"]
    assert (row.requests, row.unpriced, row.cost_nusd, row.saved_nusd) == (0, 1, 0, 0)


def test_feedback_counts_for_the_latest_request_of_its_id(tmp_path: Path) -> None:
    twice = [entry("same", route=route, cache="hit-semantic") for route in ("first", "second")]
    rows = report(tmp_path, [*twice, Feedback("same", 1.0, -1.0), Feedback("nobody", 1.0, -1.0)], "route")
    assert (rows["first"].cache.bad, rows["second"].cache.bad) == (0, 1)


@pytest.mark.parametrize("by", BY)
def test_work_grows_with_the_ledger_and_no_faster(tmp_path: Path, by: str) -> None:
    """Counted in steps of SQLite's machine, a thousand at a time; each request is a hit with feedback."""

    class Counting(SqliteReader):
        steps = 0

        def tick(self) -> int:
            self.steps += 1
            return 0

        def count(self) -> None:
            self._db.set_progress_handler(self.tick, 1_000)

    def thousands_of_steps(count: int) -> int:
        ledger = SqliteLedger(tmp_path / f"{count}.db")
        ledger.append([answered(f"{i}", "r", "m", 1, cache="hit-semantic") for i in range(count)])
        ledger.append([Feedback(f"{i}", 1.0, -1.0) for i in range(count)])
        ledger.close()
        reader = Counting(tmp_path / f"{count}.db")
        reader.count()
        (row,) = spend(reader, parse(by), Period(0.0), from_rows=True)
        reader.close()
        assert row.cache.bad == count
        return reader.steps

    assert thousands_of_steps(2_000) < 6 * thousands_of_steps(500)


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
                purpose=draw(st.sampled_from(["request", "audit", "refresh"])),
            )
        )
    return entries


@given(histories())
@settings(max_examples=15, deadline=None)
def test_the_total_is_the_same_however_it_is_split(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        totals = [total(list(report(Path(folder), entries, by).values())) for by in BY]
    assert totals[0].cost_nusd == sum(e.cost_nusd or 0 for e in entries)
    assert totals[0].saved_nusd == sum(e.saved_nusd or 0 for e in entries)
    for other in totals[1:]:
        assert other == totals[0]


@pytest.mark.parametrize("by", BY)
def test_json_has_dollars_beside_nano_usd(tmp_path: Path, by: str) -> None:
    (row,) = report(tmp_path, [answered("1", "r", "m", 1_500_000_000)], by).values()
    fields = row.as_json(by)
    assert (fields[by], fields["cost_nusd"], fields["cost_usd"]) == (row.name, 1_500_000_000, 1.5)
    assert fields["cache"] == {
        **dict.fromkeys(CacheWorth.__dataclass_fields__, 0),
        **dict.fromkeys(("saved_usd", "overhead_usd", "refresh_usd"), 0.0),
        "precision": None,
        "precision_interval": None,
    }


def test_json_has_the_measured_precision_with_its_interval(tmp_path: Path) -> None:
    cache = report(tmp_path, cached_traffic(), "route")["r"].as_json("route")["cache"]
    assert (cache["precision"], cache["saved_nusd"], cache["saved_usd"]) == (2 / 3, 500, 5e-7)
    assert cache["precision_interval"] == pytest.approx([0.2077, 0.9385], abs=1e-4)
