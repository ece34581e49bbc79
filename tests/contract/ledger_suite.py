"""What every ledger must do. A store's test module subclasses LedgerSuite and says how to open it, here and elsewhere."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry, Feedback, GpuUse, LedgerReader, LedgerStore, Template
from gateway.ledger.months import begin_of, end_of
from gateway.ledger.rollups import ATTEMPTS_SUMMED, ENTRIES_SUMMED, HOURS_SUMMED
from gateway.ledger.tables import ROLLUP, ROLLUP_ATTEMPT, ROLLUP_DAY, TABLES, exported, template_of
from gateway.usage import Usage
from tests.contract.ledger_records import entries, grouped
from tests.ledger.entries import answered, entry

PROCESSES = 3
HOUR = 1_799_996_400  # of January 2027
shared = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])


class LedgerSuite:
    """open, reader: of the same ledger, a new one for each test. opener: an expression that is `open` in another process, with
    the imports that it needs before it."""

    opener: str

    def open(self) -> LedgerStore:
        raise NotImplementedError

    def reader(self) -> LedgerReader:
        raise NotImplementedError

    @contextmanager
    def opened(self) -> Iterator[LedgerStore]:
        store = self.open()
        try:
            yield store
        finally:
            store.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        reader = self.reader()
        try:
            return [tuple(row.values()) for row in reader.rows(query, values)]
        finally:
            reader.close()

    def in_processes(self, code: str) -> None:
        """Run the code in several at once, with a ledger in `ledger` and its number in `n`."""
        whole = f"import sys\nfrom tests.ledger.entries import *\n{self.opener}\nn = int(sys.argv[1])\n{code}\nledger.close()\n"
        started = [subprocess.Popen([sys.executable, "-c", whole, str(n)]) for n in range(PROCESSES)]
        assert [process.wait(50) for process in started] == [0] * PROCESSES

    # Entries.

    @given(one=entries)
    @settings(shared, max_examples=40)
    def test_an_entry_comes_back_as_it_went_in(self, one: Entry) -> None:
        assert one.uid is not None
        one.request_id = one.uid  # an example may be tried again
        with self.opened() as ledger:
            ledger.append([one])
            assert ledger.find(one.request_id) == one

    def test_the_latest_of_two_entries_with_one_id_is_found_and_both_are_kept(self) -> None:
        with self.opened() as ledger:
            early = entry("same", route="early", at=5.0)
            ledger.append([entry("same", route="first"), entry("same", route="second"), early])
            found = ledger.find("same")
            assert found is not None and found.route == "second"
            assert ledger.find("other") is None
        assert self.rows("SELECT count(*) FROM entry") == [(3,)]

    def test_what_is_handed_over_twice_is_kept_once_whatever_its_request_id(self) -> None:
        first, namesake = answered("same", "r", "m", 7), answered("same", "r", "m", 7)
        liked, template = Feedback("same", 5.0, 1.0), Template("t-1", 5.0, "Say <*>")
        with self.opened() as ledger:
            ledger.append([first, liked, template])
            ledger.append([first, namesake, liked, template, first, Feedback("same", 5.0, 1.0)])
            found = ledger.find("same")
        assert found is not None and (found.uid, len(found.feedback)) == (namesake.uid, 2)
        assert self.rows("SELECT uid FROM entry ORDER BY id") == [(first.uid,), (namesake.uid,)]
        assert self.rows("SELECT count(*) FROM attempt") == [(2,)]
        assert self.rows("SELECT count(*) FROM template") == [(1,)]
        assert self.rows("SELECT requests, cost_nusd FROM rollup") == [(2, 14)]

    def test_what_was_written_before_records_had_uids_is_kept_each_time(self) -> None:
        with self.opened() as ledger:
            ledger.append([entry("old", uid=None), entry("old", uid=None), Feedback("old", 5.0, 1.0, uid=None)])
            found = ledger.find("old")
        assert found is not None and (found.uid, len(found.feedback)) == (None, 1)
        assert self.rows("SELECT requests FROM rollup") == [(2,)]

    def test_an_id_that_two_keys_gave_is_found_for_each_with_the_feedback_on_its_own(self) -> None:
        hers, his = entry("same", key="ann"), entry("same", key="bob")
        liked, disliked = Feedback("same", 5.0, 1.0, entry=hers.uid), Feedback("same", 6.0, -1.0, entry=his.uid)
        before = Feedback("same", 4.0, 0.5)  # of the time when feedback named no entry
        with self.opened() as ledger:
            ledger.append([before, hers, his, disliked, liked])
            found = {key: ledger.find("same", key) for key in ("ann", "bob", "eve", None)}
        assert found["eve"] is None
        of = {key: (one.key, one.feedback) for key, one in found.items() if one is not None}
        assert of == {"ann": ("ann", [before, liked]), "bob": ("bob", [before, disliked]), None: ("bob", [before, disliked])}

    def test_feedback_is_found_with_its_entry_the_latest_last(self) -> None:
        first = Feedback("r-1", 10.0, -0.5, comment="that is Austria's", tags={"by": "reviewer"})
        last = Feedback("r-1", 9.0, 1.0, tags=["mended", "seen"])  # in the order they came, whatever the clocks say
        with self.opened() as ledger:
            ledger.append([first, entry("r-1"), entry("r-2"), last])
            found, other = ledger.find("r-1"), ledger.find("r-2")
        assert found is not None and found.feedback == [first, last]
        assert other is not None and other.feedback == []

    def test_what_is_known_of_templates_is_kept_in_its_order(self) -> None:
        said = [
            Template("t-2", 5.0, "Say <*>", ["p-1"]),
            Template("t-1", 4.0, "Sing <*>"),
            Template("t-2", 6.0, "Say", ["p-1", "t-3"]),
        ]
        with self.opened() as ledger:
            ledger.append(said)
        reader = self.reader()
        assert [template_of(row) for row in reader.rows("SELECT * FROM template ORDER BY n")] == said
        reader.close()

    # What cannot be kept.

    def test_all_records_of_a_batch_are_kept_or_none(self) -> None:
        broken = answered("broken", "r", "m", 7)
        broken.cost_nusd = "not money"  # type: ignore[assignment]
        with self.opened() as ledger:
            for bad in (broken, Feedback("fine", 1.0, "bad")):  # type: ignore[arg-type]
                with pytest.raises(ValueError, match="not a value that the ledger"):
                    ledger.append([entry("fine"), bad])
                assert ledger.find("fine") is None
            ledger.append([entry("fine")])
            assert ledger.find("fine") is not None
        assert self.rows("SELECT sum(requests) FROM rollup") == [(1,)]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("cost_nusd", 2**63),
            ("cost_nusd", [1]),
            ("duration_ms", math.nan),
            ("ttft_ms", math.nan),
            ("at", math.inf),
            ("at", -1.0),
            ("at", 1e12),
            ("error", "\ud800"),
        ],
    )
    def test_value_that_can_never_be_kept_is_told_from_a_store_that_is_away(self, field: str, value: object) -> None:
        broken = entry("broken")
        setattr(broken, field, value)
        with self.opened() as ledger:
            with pytest.raises(ValueError):
                ledger.append([broken])
            ledger.append([entry("fine")])
            assert ledger.find("fine") is not None

    # Sums.

    @given(batches=st.lists(st.lists(grouped, max_size=8), max_size=4), replayed=st.integers(0, 3))
    @settings(shared, max_examples=25)
    def test_sums_by_the_hour_and_the_day_are_those_over_the_rows(self, batches: list[list[Entry]], replayed: int) -> None:
        with self.opened() as ledger:
            for batch in [*batches, *batches[:replayed]]:  # what may have been written is written again
                ledger.append(batch)
        reader = self.reader()
        try:
            # SQLite rounds to zero, PostgreSQL to the nearest.
            whole = {"sqlite": "CAST({}at AS INTEGER)", "postgres": "CAST(floor({}at) AS bigint)"}[reader.engine]
            summed = {ROLLUP: ENTRIES_SUMMED, ROLLUP_DAY: HOURS_SUMMED, ROLLUP_ATTEMPT: ATTEMPTS_SUMMED}
            for table, query in summed.items():
                for prefix in ("", "e."):
                    query = query.replace(f"CAST({prefix}at AS INTEGER)", whole.format(prefix))
                kept = reader.rows(f"SELECT {', '.join(table.names)} FROM {table.name}")
                assert _sorted(kept) == _sorted(reader.rows(query))
        finally:
            reader.close()

    def test_a_sum_has_what_its_name_says(self) -> None:
        tokens = Usage(100, 20, cached_input=30, reasoning=5, estimated=True)
        known = answered("a", "r", "m", 700, 1000, overhead_nusd=50, duration_ms=5.0, verdict="right", at=HOUR + 1.0)
        known.usage = known.attempts[0].usage = tokens
        known.attempts[0].busy_s, known.attempts[0].prefill_s = 2.0, 0.5
        unpriced = answered("b", "r", "m", None, 1000, duration_ms=7.0, at=HOUR + 3599.9)
        without_baseline = answered("c", "r", "m", 30, None, at=HOUR + 0.0)
        with self.opened() as ledger:
            ledger.append([known, unpriced, without_baseline])
        (sums,) = self.dicts("SELECT * FROM rollup")
        assert {name: sums[name] for name in ROLLUP.names[10:]} == {
            "requests": 3,
            "input_tokens": 120,
            "output_tokens": 30,
            "cached_input_tokens": 30,
            "reasoning_tokens": 5,
            "estimated": 1,
            "cost_nusd": 730,
            "overhead_nusd": 50,
            "baseline_nusd": 2000,
            "saved_nusd": 250,
            "comparable_cost_nusd": 700,
            "comparable_baseline_nusd": 1000,
            "unpriced": 1,
            "not_comparable": 2,
            "duration_ms": 12.0,
            "judged_right": 1,
            "judged_wrong": 0,
            "judged_unsure": 0,
        }
        assert (sums["hour"], sums["team"], sums["provider"]) == (HOUR, "", "p-m")
        (calls,) = self.dicts("SELECT * FROM rollup_attempt")
        assert {name: calls[name] for name in ROLLUP_ATTEMPT.names[11:]} == {
            "calls": 3,
            "input_tokens": 120,
            "output_tokens": 30,
            "cost_nusd": 730,
            "settled_nusd": 730,
            "comparable_nusd": 700,
            "unpriced": 1,
            "busy_s": 2.0,
            "prefill_s": 0.5,
        }

    def dicts(self, query: str) -> list[dict[str, Any]]:
        reader = self.reader()
        try:
            return reader.rows(query)
        finally:
            reader.close()

    # Months.

    def test_an_entry_is_in_the_part_of_its_month_to_the_last_moment(self) -> None:
        turn = begin_of(202601)
        with self.opened() as ledger:
            ledger.append(
                [entry("after", at=turn), entry("before", at=math.nextafter(turn, 0)), entry("leap", at=1_709_164_800.0)]
            )
            assert all(ledger.find(id_) is not None for id_ in ("after", "before", "leap"))
        reader = self.reader()
        parts = reader.parts()
        assert [part.entry for part in parts] == ["entry_202402", "entry_202512", "entry_202601"]
        assert [part.attempt for part in parts] == ["attempt_202402", "attempt_202512", "attempt_202601"]
        assert [(part.begin, part.end) for part in parts[1:]] == [(begin_of(202512), turn), (turn, end_of(202601))]
        assert [reader.rows(f"SELECT request_id FROM {part.entry}") for part in parts] == [
            [{"request_id": "leap"}],
            [{"request_id": "before"}],
            [{"request_id": "after"}],
        ]
        assert {part.entry for part in parts} | {"rollup"} <= set(reader.sizes())
        reader.close()

    def test_ids_differ_over_all_months_and_tie_attempts_to_their_entries(self) -> None:
        with self.opened() as ledger:
            ledger.append([answered(f"r-{n}", "r", f"m-{n}", n, at=begin_of(202501 + n % 12) + n) for n in range(30)])
        assert self.rows("SELECT count(DISTINCT id) FROM entry") == [(30,)]
        query = "SELECT count(*) FROM attempt AS a JOIN entry AS e ON e.id = a.entry AND e.at = a.at AND e.model = a.model"
        assert self.rows(query) == [(30,)]

    def test_months_past_keeping_go_with_their_feedback_and_their_sums_stay(self) -> None:
        old, kept = answered("old", "r", "m", 7, at=begin_of(202501)), answered("kept", "r", "m", 7, at=begin_of(202502))
        with self.opened() as ledger, self.opened() as other:
            ledger.append([old, kept, Feedback("old", begin_of(202501), 1.0), Feedback("kept", begin_of(202502), 1.0)])
            assert list(other.prune(end_of(202501) - 1.0)) == []
            assert [part.entry for part in other.prune(end_of(202502) - 1.0)] == ["entry_202501"]
            assert list(other.prune(end_of(202502) - 1.0)) == []
            found = ledger.find("kept")
            assert ledger.find("old") is None
            assert found is not None and len(found.feedback) == 1
            ledger.append([answered("late", "r", "m", 7, at=begin_of(202501))])  # of a month that this one thinks is there
            assert ledger.find("late") is not None
        assert self.rows("SELECT count(*) FROM feedback") == [(1,)]
        assert self.rows("SELECT count(*) FROM attempt") == [(2,)]
        assert self.rows("SELECT sum(cost_nusd) FROM rollup") == [(21,)]

    def test_the_last_month_can_go_as_well(self) -> None:
        with self.opened() as ledger:
            ledger.append([entry("old")])
            assert len(ledger.prune(2e9)) == 1
            assert ledger.find("old") is None
            assert self.rows("SELECT count(*) FROM entry") == self.rows("SELECT count(*) FROM attempt") == [(0,)]
            ledger.append([entry("new")])
            assert ledger.find("new") is not None

    # Settling an hour.

    def test_settling_is_told_who_used_the_model_and_what_is_booked(self) -> None:
        ours = answered("a", "r", "m", 700, at=HOUR + 5.0, team="t")
        ours.attempts[0].busy_s, ours.attempts[0].prefill_s = 3.0, 1.0
        ours.attempts.append(Attempt("p-other", "other", busy_s=9.0, usage=Usage(1, 1)))
        again = answered("b", "r", "m", 50, at=HOUR + 3599.0, team="t", purpose="audit")
        direct, elsewhen = answered("c", "r", "m", 1, at=HOUR + 1.0), answered("d", "r", "m", 5, at=HOUR + 3600.0)
        direct.route = None
        seen: list[GpuUse] = []

        def share(uses: Any) -> list[Entry]:
            seen[:] = uses
            return [entry("gpu", at=float(HOUR), purpose="gpu", model="m", route="r", team="t", cost_nusd=-30)]

        with self.opened() as ledger:
            ledger.append([ours, again, direct, elsewhen])
            (appended,) = ledger.settle_hour("m", HOUR, share)
            assert seen == [
                GpuUse(None, "anonymous", None, 0.0, 0.0, 10, 5, 1),
                GpuUse("r", "anonymous", "t", 3.0, 1.0, 20, 10, 750),
            ]
            assert ledger.find("gpu") == appended
            ledger.settle_hour("m", HOUR, lambda uses: seen.__setitem__(slice(None), uses) or [])
            assert [use.cost_nusd for use in seen] == [1, 720]
            assert ledger.settle_hour("nobody's", HOUR, lambda uses: list(uses)) == []  # type: ignore[arg-type]

    def test_nothing_is_booked_when_the_sharing_fails(self) -> None:
        def share(uses: Any) -> list[Entry]:
            raise RuntimeError("no share")

        with self.opened() as ledger:
            with pytest.raises(RuntimeError, match="no share"):
                ledger.settle_hour("m", HOUR, share)
            ledger.append([entry("fine")])
            assert ledger.find("fine") is not None

    def test_processes_that_settle_one_hour_book_its_bill_once(self) -> None:
        with self.opened() as ledger:
            ledger.append([answered("a", "r", "m", 300, at=HOUR + 5.0)])
        code = f"""
import time
def share(uses):
    lacks = 1000 - sum(use.cost_nusd for use in uses)
    time.sleep(0.02)  # in which another one could read the same
    return [entry("gpu", at={HOUR}.0, purpose="gpu", model="m", cost_nusd=lacks)] if lacks else []
for _ in range(5):
    ledger.settle_hour("m", {HOUR}, share)
"""
        self.in_processes(code)
        assert self.rows("SELECT sum(cost_nusd) AS cost, sum(requests) AS count FROM rollup") == [(1000, 2)]

    # Several at once.

    def test_several_processes_begin_a_ledger_and_nothing_is_lost(self) -> None:
        code = """
for batch in range(12):
    month = 86400.0 * 31 * (batch % 4)
    ledger.append([answered(f"{n}-{batch}-{i}", "r", f"m-{i}", 7, at=month) for i in range(5)])
"""
        self.in_processes(code)
        assert self.rows("SELECT count(*), sum(cost_nusd) FROM entry") == [(180, 1260)]
        assert self.rows("SELECT count(*) FROM attempt") == [(180,)]
        assert self.rows("SELECT sum(requests) AS count, sum(cost_nusd) AS cost FROM rollup") == [(180, 1260)]
        assert self.rows("SELECT sum(calls) AS count, sum(cost_nusd) AS cost FROM rollup_attempt") == [(180, 1260)]

    def test_one_record_that_several_processes_bring_counts_once(self) -> None:
        code = """
for batch in range(12):
    ledger.append([answered(f"{batch}-{i}", "r", "m", 7, uid=f"{batch}-{(i * (n + 1)) % 7}") for i in range(7)])
"""
        self.in_processes(code)
        assert self.rows("SELECT count(*) FROM entry") == [(84,)]
        assert self.rows("SELECT sum(requests) AS count, sum(cost_nusd) AS cost FROM rollup") == [(84, 588)]

    # Readers.

    def test_a_reader_sees_the_columns_that_are_told(self) -> None:
        with self.opened() as ledger:
            ledger.append([answered("a", "r", "m", 7), Feedback("a", 5.0, 1.0), Template("t-1", 5.0, "Say <*>")])
        for table in TABLES:
            (row,) = self.dicts(f"SELECT * FROM {table.name}")
            assert set(row) == {column.name for column in exported(table)}, table.name
            for column in exported(table):
                kinds = {"real": float, "integer": int, "flag": int, "text": str, "json": str}
                assert row[column.name] is None or type(row[column.name]) is kinds[column.kind], column.name
                assert row[column.name] is not None or not column.is_required

    def test_a_query_has_its_values_and_numbers_are_plain(self) -> None:
        with self.opened() as ledger:
            ledger.append([answered(f"r-{n}", "50 % ?", "m", n) for n in range(5)])
        query = "SELECT sum(cost_nusd) AS sum, avg(cost_nusd) AS mean FROM entry WHERE route LIKE '50 % ?' AND cost_nusd < ?"
        ((sum_, mean),) = self.rows(query, 4)
        assert (sum_, mean, type(sum_), type(mean)) == (6, 1.5, int, float)

    def test_many_rows_come_in_batches(self) -> None:
        with self.opened() as ledger:
            ledger.append([entry(f"r-{n:02}") for n in range(25)])
        reader = self.reader()
        batches = list(reader.batches("SELECT request_id FROM entry WHERE at > ? ORDER BY 1", [0.0], size=10))
        assert [len(batch) for batch in batches] == [10, 10, 5]
        assert [row["request_id"] for batch in batches for row in batch] == [f"r-{n:02}" for n in range(25)]
        first = reader.batches("SELECT request_id FROM entry", size=10)
        assert len(next(first)) == 10
        first.close()  # type: ignore[attr-defined]
        assert reader.rows("SELECT count(*) AS n FROM entry") == [{"n": 25}]
        reader.close()

    def test_a_reader_changes_nothing_and_says_what_it_cannot(self) -> None:
        with self.opened() as ledger:
            ledger.append([entry("a")])
        reader = self.reader()
        for query in ("DELETE FROM feedback", "SELECT nothing FROM entry", "no SQL at all"):
            with pytest.raises(OSError, match="cannot read the ledger"):
                reader.rows(query)
        with pytest.raises(OSError, match="cannot read the ledger"):
            list(reader.batches("SELECT nothing FROM entry"))
        assert len(reader.rows("SELECT * FROM entry")) == 1
        reader.close()


def _sorted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in rows)
