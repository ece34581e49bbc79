"""Reports say the same whether they are read from roll-ups or from entries, and in every store."""

from __future__ import annotations

import itertools
import math
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.base import Entry, Feedback, LedgerReader, Record, Template
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.dimension import NAMES, parse
from gateway.report.moves import moves
from gateway.report.period import Period
from gateway.report.report import Report, report
from gateway.report.row import total
from gateway.report.savings import Savings
from gateway.report.spend import spend
from gateway.report.uses import last_uses
from tests.ledger.entries import answered
from tests.postgres_server import PostgresServer, postgres
from tests.report.ledgers import BEGIN, LASTS_S, periods, records

__all__ = ["postgres"]
BY = [*NAMES, "tag:app"]


def kept(folder: Path, written: list[Record]) -> SqliteReader:
    ledger = SqliteLedger(folder / "ledger.db")
    ledger.append(written)
    ledger.close()
    return SqliteReader(folder / "ledger.db")


@given(records(), periods)
@settings(max_examples=60, deadline=None)
def test_roll_ups_and_entries_come_to_the_same(written: list[Record], ends: tuple[float, float | None]) -> None:
    period = Period(ends[0], None if ends[1] is None else ends[0] + ends[1])
    with tempfile.TemporaryDirectory() as folder:
        reader = kept(Path(folder), written)
        for by in BY:
            rolled_up, of_rows = (spend(reader, parse(by), period, from_rows=rows) for rows in (False, True))
            assert rolled_up == of_rows, by
        reader.close()


def about_midnights() -> list[Record]:
    """Requests in the last moment of a day, the first of the next and an hour later, on three days."""
    midnights = [ABOUT_MIDNIGHT + 86_400 * day for day in range(3)]
    times = [at for turn in midnights for at in (math.nextafter(turn, 0), turn, turn + 3_600)]
    return [answered(f"r-{n}", f"route-{n % 2}", "m", 10**n, 10 ** (n + 1), at=at) for n, at in enumerate(times)]


ABOUT_MIDNIGHT = 1_696_032_000.0  # a day and its edges: some hours, a part of an hour, nothing
ENDS = [ABOUT_MIDNIGHT + at for at in (-86_400, -3_600, -0.5, 0, 1, 3_600, 86_400, 86_401, 2 * 86_400, 3 * 86_400)]


@pytest.mark.parametrize("by", BY)
def test_a_day_is_told_to_the_moment(tmp_path: Path, by: str) -> None:
    reader = kept(tmp_path, about_midnights())
    for since, until in [*itertools.combinations(ENDS, 2), *((since, None) for since in ENDS)]:
        rolled_up, of_rows = (spend(reader, parse(by), Period(since, until), from_rows=rows) for rows in (False, True))
        assert rolled_up == of_rows, (since, until)
    reader.close()


def test_whole_days_are_read_from_their_own_sums_and_only_the_hours_beside_them_from_the_others(tmp_path: Path) -> None:
    period = Period(ABOUT_MIDNIGHT - 3_600, ABOUT_MIDNIGHT + 86_400 + 3_600)
    reader = kept(tmp_path, about_midnights())
    (whole,) = spend(reader, parse("model"), period)
    reader.close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        inside = (ABOUT_MIDNIGHT, ABOUT_MIDNIGHT + 86_400)
        assert db.execute("DELETE FROM rollup WHERE hour >= ? AND hour < ?", inside).rowcount > 0
        assert db.execute("DELETE FROM rollup_day WHERE day < ? OR day >= ?", inside).rowcount > 0
    db.close()
    reader = SqliteReader(tmp_path / "ledger.db")
    assert spend(reader, parse("model"), period) == [whole]
    reader.close()


@given(records())
@settings(max_examples=15, deadline=None)
def test_the_total_is_the_same_by_whatever_it_is_split(written: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = kept(Path(folder), written)
        found = [report(reader, parse(by), Period(0.0), BEGIN + LASTS_S) for by in BY]
        reader.close()
    for other in found[1:]:
        assert total(other.rows) == total(found[0].rows), other.dimension.by
        assert other.saved_in_all == found[0].saved_in_all, other.dimension.by


def dense() -> list[Record]:
    """Enough traffic and feedback for savings to be told: four requests an hour, with a template and what it stands for."""
    written: list[Record] = []
    for hour in range(48):
        for i in range(4):
            model = "small" if (hour + i) % 3 else "strong"
            written.append(
                answered(
                    f"{hour}-{i}",
                    "easy" if i % 2 else "hard",
                    model,
                    100_000 if model == "small" else 900_000,
                    900_000,
                    at=BEGIN + 3_600 * hour + 60 * i,
                    overhead_nusd=1_000_000,  # so much that it is a loss whatever the answers were worth
                    tags={"app": "ide" if i else "bot"},
                    prompt_id="t-1" if i else "p-1",
                )
            )
    said: list[Record] = [Feedback(one.request_id, BEGIN, 1.0) for one in written if isinstance(one, Entry)]
    return [*written, *said, Template("t-1", BEGIN, "Translate <*>", ["p-1"])]


class TestPostgres:
    @pytest.fixture
    def readers(self, postgres: PostgresServer, tmp_path: Path) -> Iterator[tuple[LedgerReader, LedgerReader]]:
        url = postgres.new_database()
        store, embedded = PostgresLedger(url), SqliteLedger(tmp_path / "ledger.db")
        written = dense()
        for ledger in (store, embedded):
            ledger.append(written)
            ledger.close()
        shared, file = PostgresReader(url), SqliteReader(tmp_path / "ledger.db")
        yield shared, file
        shared.close()
        file.close()

    @pytest.mark.parametrize("by", BY)
    def test_reports_are_the_same_as_of_the_embedded_ledger(self, readers: tuple[LedgerReader, LedgerReader], by: str) -> None:
        now = BEGIN + LASTS_S
        for period in (Period(BEGIN - 400), Period(BEGIN + 100, BEGIN + 40_000)):
            shared, file = (self.told(reader, by, period, now) for reader in readers)
            assert shared == file
            for reader in readers:
                assert spend(reader, parse(by), period) == spend(reader, parse(by), period, from_rows=True)

    @staticmethod
    def told(reader: LedgerReader, by: str, period: Period, now: float) -> Report:
        found = report(reader, parse(by), period, now, period.before(now))
        assert found.whole.requests > 0 and found.saved_in_all.saved_nusd is not None
        # Batches of requests go by the ids that a store gives, so the samples drawn are others.
        if found.saved_in_all.method is not None and "batches" not in found.saved_in_all.method:
            return found

        def plain(saved: Savings) -> Savings:
            return replace(saved, low_nusd=0, high_nusd=0, method=None)

        saved = {name: plain(one) for name, one in found.saved.items()}
        return replace(found, saved=saved, saved_in_all=plain(found.saved_in_all))

    def test_so_are_last_uses(self, readers: tuple[LedgerReader, LedgerReader]) -> None:
        shared, file = (last_uses(reader) for reader in readers)
        assert shared == file != {}

    def test_random_ledgers_too(self, postgres: PostgresServer) -> None:
        @given(records(), st.sampled_from(BY))
        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
        def same(written: list[Record], by: str) -> None:
            url = postgres.new_database()
            ledger = PostgresLedger(url)
            ledger.append(written)
            ledger.close()
            reader = PostgresReader(url)
            with tempfile.TemporaryDirectory() as folder:
                file = kept(Path(folder), written)
                assert spend(reader, parse(by), Period(BEGIN)) == spend(file, parse(by), Period(BEGIN))
                for rows in (False, True):
                    if by in ("model", "provider"):
                        moved = [
                            sorted(moves(one, parse(by), Period(BEGIN).hours or Period(BEGIN), from_rows=rows), key=str)
                            for one in (reader, file)
                        ]
                        assert moved[0] == moved[1]
                file.close()
            reader.close()

        same()
