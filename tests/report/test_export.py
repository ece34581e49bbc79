"""The export, read back as others read it: by DuckDB, from Hive's folders."""

from __future__ import annotations

import csv
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from gateway.ledger.base import Feedback, LedgerReader, LedgerStore, Record, Template
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.export import Format, export
from gateway.report.period import Period
from tests.ledger.entries import answered
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]
OCTOBER = datetime(2026, 10, 31, 23, 59, tzinfo=UTC).timestamp()
NOVEMBER = OCTOBER + 60


def traffic(count: int = 40) -> list[Record]:
    """Half of it in each month, the cost of the first unknown, another beyond what a float can hold."""
    written: list[Record] = []
    for i in range(count):
        cost = None if i == 0 else 2**53 + 1 if i == 1 else 100 + i
        at = (OCTOBER if i % 2 else NOVEMBER) + i / 100
        one = answered(f"r-{i}", "easy", "small", cost, 1_000, at=at, tags={"app": "ide, the"}, stream=bool(i % 2))
        written += [one, Feedback(one.request_id, at, 1.0, 'good,\n"really"', entry=one.uid)]
    return [*written, Template("t-1", OCTOBER, "Translate <*>", ["p-1"])]


def ledger(folder: Path, written: list[Record]) -> SqliteReader:
    store = SqliteLedger(folder / "ledger.db")
    store.append(written)
    store.close()
    return SqliteReader(folder / "ledger.db")


def sums(reader: Any) -> list[dict[str, Any]]:
    entries = "SELECT count(*) AS n, sum(cost_nusd) AS nusd, count(cost_nusd) AS known, sum(stream) AS streams FROM entry"
    return [*reader.rows(entries), *reader.rows("SELECT count(*) AS n, sum(cost_nusd) AS nusd FROM attempt")]


def read_back(folder: Path, format_: Format) -> list[dict[str, Any]]:
    made = f"read_{format_}('{folder}/entry/*/*.{format_}', hive_partitioning=true)"
    calls = f"read_{format_}('{folder}/attempt/*/*.{format_}', hive_partitioning=true)"
    entries = (
        "count(*) AS n, sum(cost_nusd) AS nusd, count(cost_nusd) AS known, count(*) FILTER (CAST(stream AS INT) = 1) AS streams"
    )
    found = []
    for query in (f"SELECT {entries} FROM {made}", f"SELECT count(*) AS n, sum(cost_nusd) AS nusd FROM {calls}"):
        cursor = duckdb.execute(query)
        names = [column[0] for column in cursor.description or []]
        found += [{name: int(value) for name, value in zip(names, row, strict=True)} for row in cursor.fetchall()]
    return found


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_sums_are_the_same_to_the_nano_dollar(tmp_path: Path, format_: Format) -> None:
    reader = ledger(tmp_path, traffic())
    files = export(reader, tmp_path / "out", format_, Period(0.0))
    assert read_back(tmp_path / "out", format_) == sums(reader)
    reader.close()
    assert [(str(file.path.relative_to(tmp_path / "out")), file.rows) for file in files] == [
        (f"entry/month=2026-10/part-0.{format_}", 20),
        (f"attempt/month=2026-10/part-0.{format_}", 20),
        (f"entry/month=2026-11/part-0.{format_}", 20),
        (f"attempt/month=2026-11/part-0.{format_}", 20),
        (f"feedback/part-0.{format_}", 40),
        (f"template/part-0.{format_}", 1),
    ]


def test_of_postgresql_too(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    store = PostgresLedger(url)
    store.append(traffic())
    store.close()
    reader = PostgresReader(url)
    export(reader, tmp_path, "parquet", Period(0.0))
    assert read_back(tmp_path, "parquet") == sums(reader)
    reader.close()


Opened = tuple[LedgerStore, LedgerReader]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Some traffic in a ledger, open for writing and for reading."""
    store: LedgerStore
    reader: LedgerReader
    if request.param == "sqlite":
        store, reader = SqliteLedger(tmp_path / "ledger.db"), ledger(tmp_path, traffic())
    else:
        url = request.getfixturevalue("postgres").new_database()
        store = PostgresLedger(url)
        store.append(traffic())
        reader = PostgresReader(url)
    yield store, reader
    reader.close()
    store.close()


def test_all_files_are_of_one_moment_whatever_is_written_meanwhile(opened: Opened, tmp_path: Path) -> None:
    store, reader = opened
    before, written = sums(reader), []

    def write(done: float, what: str) -> None:
        """In months that are read already, in one that is not, and in one that is new."""
        n = len(written)
        for month, at in enumerate((OCTOBER, NOVEMBER, NOVEMBER + 86_400 * 31)):
            new = answered(f"new-{n}-{month}", "easy", "small", 7, at=at)
            store.append([new, Feedback(new.request_id, at, 1.0, entry=new.uid), Template(f"t-{n}-{month}", at, "<*>")])
        written.append(what)

    files = export(reader, tmp_path / "out", "parquet", Period(0.0), write)
    assert read_back(tmp_path / "out", "parquet") == before
    assert [file.rows for file in files] == [20, 20, 20, 20, 40, 1] and len(written) == 6
    assert sums(reader)[0]["n"] == 40 + 3 * 6, "what is read after it is of now again"


def test_what_fails_within_a_snapshot_is_told_as_it_is_and_the_reader_goes_on(opened: Opened, tmp_path: Path) -> None:
    _, reader = opened
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"^\[Errno 20\] Not a directory"):
        export(reader, tmp_path / "file", "csv", Period(0.0))
    with pytest.raises(OSError, match="cannot read the ledger"), reader.snapshot():
        reader.rows("SELECT nothing FROM nowhere")
    export(reader, tmp_path / "out", "parquet", Period(0.0))
    assert read_back(tmp_path / "out", "parquet") == sums(reader)


def test_an_entry_whose_transaction_ends_after_a_later_ones_is_there_with_its_attempts_or_not_at_all(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.new_database()
    slow, quick = PostgresLedger(url), PostgresLedger(url)
    slow.append([answered("first", "slow", "m", 1, at=NOVEMBER)])
    with psycopg.connect(url) as hindrance:
        hindrance.execute("SELECT FROM rollup WHERE route = 'slow' FOR UPDATE")  # so the ids are taken and not yet seen
        late = threading.Thread(target=slow.append, args=([answered("late", "slow", "m", 1, at=NOVEMBER)],))
        late.start()
        until(lambda: "transactionid" in {row[0] for row in waits(postgres)})
        quick.append([answered("later", "quick", "m", 1, at=NOVEMBER)])
        reader = PostgresReader(url)

        def let_go(done: float, what: str) -> None:
            hindrance.rollback()
            late.join(10)

        export(reader, tmp_path, "parquet", Period(0.0), let_go)
    for table, id_ in (("entry", "id"), ("attempt", "entry")):
        written = f"read_parquet('{tmp_path}/{table}/*/*.parquet')"
        assert duckdb.execute(f"SELECT {id_} FROM {written} ORDER BY 1").fetchall() == [(1,), (3,)]
    assert reader.rows("SELECT id FROM entry ORDER BY 1") == [{"id": 1}, {"id": 2}, {"id": 3}]
    for one in (reader, slow, quick):
        one.close()


def waits(server: PostgresServer) -> list[tuple[str]]:
    """What the server's connections are waiting for."""
    with psycopg.connect(server.url()) as connection:
        return connection.execute("SELECT wait_event FROM pg_stat_activity WHERE wait_event IS NOT NULL").fetchall()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_parquet_keeps_types_and_unknown_values(tmp_path: Path) -> None:
    reader = ledger(tmp_path, traffic())
    export(reader, tmp_path, "parquet", Period(0.0))
    reader.close()
    query = f"SELECT * FROM read_parquet('{tmp_path}/entry/*/*.parquet', hive_partitioning=true)"
    described = {row[0]: row[1] for row in duckdb.execute(f"DESCRIBE {query}").fetchall()}
    kinds = {"cost_nusd": "BIGINT", "at": "DOUBLE", "stream": "BOOLEAN", "tags": "VARCHAR", "key": "VARCHAR", "id": "BIGINT"}
    assert kinds.items() <= described.items()
    (app,) = duckdb.execute(f"SELECT DISTINCT tags ->> 'app' FROM ({query})").fetchall()
    assert app == ("ide, the",)
    joined = f"SELECT count(*) FROM ({query}) e JOIN read_parquet('{tmp_path}/attempt/*/*.parquet') a ON a.entry = e.id"
    assert duckdb.execute(joined).fetchone() == (40,)


def test_csv_is_read_by_any_reader(tmp_path: Path) -> None:
    reader = ledger(tmp_path, traffic(2))
    export(reader, tmp_path, "csv", Period(0.0))
    reader.close()
    with (tmp_path / "feedback" / "part-0.csv").open(newline="") as file:
        assert [row["comment"] for row in csv.DictReader(file)] == ['good,\n"really"'] * 2
    with (tmp_path / "entry" / "month=2026-11" / "part-0.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["request_id"], row["cost_nusd"], row["baseline_nusd"]) == ("r-0", "", "1000")


def test_texts_are_as_they_were_given_since_programs_join_by_them(tmp_path: Path) -> None:
    reader = ledger(tmp_path, [answered("=1+1", "easy", "small", 1, at=NOVEMBER)])
    export(reader, tmp_path, "csv", Period(0.0))
    reader.close()
    with (tmp_path / "entry" / "month=2026-11" / "part-0.csv").open(newline="") as file:
        assert [row["request_id"] for row in csv.DictReader(file)] == ["=1+1"]


def test_a_period_has_its_own_entries_attempts_and_feedback(tmp_path: Path) -> None:
    reader = ledger(tmp_path, traffic())
    files = export(reader, tmp_path, "csv", Period(NOVEMBER + 0.1, NOVEMBER + 0.2))
    reader.close()
    assert [(file.path.parent.parent.name, file.rows) for file in files[:2]] == [("entry", 5), ("attempt", 5)]
    assert [(file.path.parent.name, file.rows) for file in files[2:]] == [("feedback", 5), ("template", 1)]


def test_a_second_export_replaces_the_first_and_leaves_nothing_half(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for count in (10, 40):
        (tmp_path / f"{count}").mkdir()
        reader = ledger(tmp_path / f"{count}", traffic(count))
        export(reader, out, "parquet", Period(0.0))
        assert read_back(out, "parquet") == sums(reader)
        reader.close()
    assert not [path for path in out.rglob("*") if path.is_file() and path.name != "part-0.parquet"]


def test_what_breaks_off_leaves_the_earlier_file_whole(tmp_path: Path) -> None:
    class Breaks(SqliteReader):
        def batches(self, query: str, values: Any = (), size: int = 10_000) -> Any:
            for batch in super().batches(query, values, 5):
                yield batch
                if "FROM attempt_202611" in query:
                    raise OSError("the disk is gone")

    reader = ledger(tmp_path, traffic())
    export(reader, tmp_path / "out", "parquet", Period(0.0))
    whole = read_back(tmp_path / "out", "parquet")
    reader.close()
    broken = Breaks(tmp_path / "ledger.db")
    with pytest.raises(OSError, match="disk is gone"):
        export(broken, tmp_path / "out", "parquet", Period(0.0))
    broken.close()
    assert read_back(tmp_path / "out", "parquet") == whole
    assert not list((tmp_path / "out").rglob("*.half"))


def test_memory_does_not_grow_with_the_ledger(tmp_path: Path) -> None:
    store = SqliteLedger(tmp_path / "ledger.db")
    for n in range(5):
        store.append([answered(f"{n}-{i}", "easy", "small", 1, at=NOVEMBER) for i in range(800)])
    store.close()
    reader = SqliteReader(tmp_path / "ledger.db")
    peaks = []
    for batch in (200, 2_000):
        tracemalloc.start()
        export(reader, tmp_path / f"{batch}", "csv", Period(0.0), batch=batch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    reader.close()
    assert peaks[0] < peaks[1] / 2, "it is a batch that is held, whatever there is in all"


def test_nothing_secret_and_nothing_said_is_in_it() -> None:
    from gateway.ledger.tables import ATTEMPT, ENTRY, exported

    names = {column.name for table in (ENTRY, ATTEMPT) for column in exported(table)}
    assert not names & {"secret", "digest", "prompt", "answer", "messages", "body", "text"}
