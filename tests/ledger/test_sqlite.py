"""The embedded ledger: the suite of every ledger, and what is the file's own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.ledger.base import Feedback, LedgerReader, LedgerStore
from gateway.ledger.layout_sqlite import VERSION
from gateway.ledger.sqlite import SqliteLedger, connect
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.dimension import parse
from gateway.report.period import Period
from gateway.report.spend import spend
from gateway.report.uses import last_uses
from tests.contract.ledger_suite import LedgerSuite
from tests.ledger.entries import answered, entry
from tests.ledger.layouts import as_of_layout


class TestSqlite(LedgerSuite):
    @pytest.fixture(autouse=True)
    def new_place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "new" / "ledger.db"  # made by whoever comes first
        self.opener = f"""
from pathlib import Path
from gateway.ledger.sqlite import SqliteLedger
ledger = SqliteLedger(Path({str(self.path)!r}))
"""

    def open(self) -> LedgerStore:
        return SqliteLedger(self.path)

    def reader(self) -> LedgerReader:
        return SqliteReader(self.path)


def test_a_nul_in_a_text_is_kept(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([entry("r-1", error="a\0b")])
    found = ledger.find("r-1")
    ledger.close()
    assert found is not None and found.error == "a\0b"


# Earlier layouts.


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="newer Turnout"):
        SqliteLedger(tmp_path / "ledger.db")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_ledger_of_an_earlier_layout_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(version, path)
    ledger = SqliteLedger(path)
    judged = answered("new", "r", "m", 7, purpose="audit", of="old", verdict="wrong", at=1_000_001.0)
    judged.attempts[0].accept = {"accepted": False, "margin": 0.5}
    said = Feedback("old", 5.0, -1.0)
    ledger.append([judged, said])
    old, new = ledger.find("old"), ledger.find("new")
    assert old is not None and new is not None
    assert (old.purpose, old.of, old.verdict, old.attempts[0].accept) == ("request", None, None, None)
    assert (old.uid, old.prompt_id, old.attempts[0].seam, old.attempts[0].is_hedge) == (None, None, None, False)
    assert (old.usage, old.attempts[0].usage, old.attempts[0].prefill_s) == (new.usage, new.usage, 0.0)
    assert old.feedback == [said]
    assert new == judged
    if version >= 3:
        ledger.append([entry("older")])
        found = ledger.find("older")
        assert found is not None and [(f.value, f.uid) for f in found.feedback] == [(1.0, None)]
    ledger.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_what_an_earlier_layout_held_is_one_part_and_is_summed(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(version, path)
    SqliteLedger(path).close()
    reader = SqliteReader(path)
    assert [(part.entry, part.attempt, part.begin) for part in reader.parts()] == [
        ("entry_until_197001", "attempt_until_197001", 0.0)
    ]
    for table in ("attempt", "attempt_until_197001"):  # reports and the export read the part's own table
        assert reader.rows(f"SELECT at FROM {table}") == [{"at": 1_000_000.0}]
    assert reader.rows("SELECT hour, requests, cost_nusd, saved_nusd FROM rollup") == [
        {"hour": 997_200, "requests": 1, "cost_nusd": 7, "saved_nusd": 2}
    ]
    assert reader.rows("SELECT day, requests, cost_nusd, saved_nusd FROM rollup_day") == [
        {"day": 950_400, "requests": 1, "cost_nusd": 7, "saved_nusd": 2}
    ]
    assert reader.rows("SELECT calls, cost_nusd, is_hedge FROM rollup_attempt") == [{"calls": 1, "cost_nusd": 7, "is_hedge": 0}]
    reader.close()


def test_a_record_that_the_earlier_layout_has_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(4, path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entry SET uid = 'known'")
    db.close()
    ledger = SqliteLedger(path)
    ledger.append([answered("old", "r", "m", 7, uid="known"), answered("next", "r", "m", 7, at=3e6)])
    ledger.close()
    reader = SqliteReader(path)
    assert reader.rows("SELECT sum(requests) AS n FROM rollup") == [{"n": 2}]
    assert [part.entry for part in reader.parts()] == ["entry_until_197001", "entry_197002"]
    ids = [row["id"] for row in reader.rows("SELECT id FROM entry ORDER BY id")]
    assert ids == [1, 197002 * 10**10 + 1]
    reader.close()


def test_an_earlier_layout_without_an_entry_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(4, path)
    with sqlite3.connect(path) as db:
        db.executescript("DELETE FROM entry; DELETE FROM attempt")
    db.close()
    ledger = SqliteLedger(path)
    assert ledger.find("old") is None
    ledger.append([entry("new")])
    ledger.close()
    reader = SqliteReader(path)
    assert [part.entry for part in reader.parts()] == ["entry_197001"]
    reader.close()


def test_several_processes_may_bring_one_ledger_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(2, path)
    code = f"""
import sys
from pathlib import Path
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.entries import answered
ledger = SqliteLedger(Path({str(path)!r}))
ledger.append([answered(f"{{sys.argv[1]}}-{{i}}", "r", "m", 7) for i in range(20)])
ledger.close()
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [process.wait(50) for process in started] == [0, 0, 0]
    reader = SqliteReader(path)
    assert reader.rows("SELECT count(*) AS n FROM entry") == [{"n": 61}]
    assert reader.rows("SELECT sum(requests) AS n FROM rollup") == [{"n": 61}]
    reader.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_whoever_only_reads_can_read_an_earlier_layout_and_leaves_it_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(version, path)
    reader = SqliteReader(path)
    assert reader.rows("SELECT sum(cost_nusd) AS cost FROM attempt") == [{"cost": 7}]
    assert reader.rows("SELECT cost_nusd, saved_nusd FROM rollup") == [{"cost_nusd": 7, "saved_nusd": 2}]
    for from_rows in (False, True):
        (row,) = spend(reader, parse("route"), Period(0.0), from_rows=from_rows)
        assert (row.name, row.requests, row.cost_nusd, row.saved_nusd) == ("r", 1, 7, 2)
    assert [part.entry for part in reader.parts()] == ["entry"]
    assert list(last_uses(reader)) == ["anonymous"]
    assert reader.rows("SELECT count(*) AS n FROM feedback") == [{"n": int(version >= 3)}]
    assert reader.rows("SELECT count(*) AS n FROM template") == [{"n": 0}]
    assert reader.rows("PRAGMA user_version") == [{"user_version": version}]
    reader.close()
    with sqlite3.connect(path) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")}
    db.close()
    assert names - {"feedback"} == {"entry", "attempt"}


def test_a_file_is_read_with_plain_sql_and_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([answered("a", "r", "m", 7, at=1e9), answered("b", "r", "m", 8, at=2e9)])
    ledger.close()
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("ATTACH ? AS ledger", (str(path),))
    assert db.execute("SELECT sum(cost_nusd) FROM ledger.entry").fetchone() == (15,)
    assert db.execute("SELECT sum(cost_nusd) FROM ledger.attempt").fetchone() == (15,)
    db.close()


# The file.


def test_a_ledger_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE feedback")
    db.close()
    ledger.append([entry("r-1")])
    with pytest.raises(OSError, match=r"cannot read the ledger '.*ledger\.db': no such table: feedback"):
        ledger.find("r-1")
    ledger.close()


def test_a_ledger_that_another_process_holds_is_tried_again_and_not_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.sqlite.BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match="database is locked"):
        ledger.append([entry("r-1")])
    other.close()
    ledger.append([entry("r-1")])
    ledger.close()
    reader = SqliteReader(path)
    assert reader.rows("SELECT sum(requests) AS n FROM rollup") == [{"n": 1}]
    reader.close()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is not a database, " * 100)
    with pytest.raises(ConfigError, match=r"ledger\.db.*TURNOUT_DATA_DIR"):
        SqliteLedger(path)


def test_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot open the ledger '.*file/ledger\.db': .*set TURNOUT_DATA_DIR"):
        SqliteLedger(tmp_path / "file" / "ledger.db")


def test_empty_ledger_that_is_only_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(ConfigError, match=r"ledger\.db' is empty.*start the gateway, or set TURNOUT_DATA_DIR"):
        SqliteReader(path)
    assert path.stat().st_size == 0


def test_ledger_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no ledger at '.*ledger\.db'; start the gateway"):
        SqliteReader(tmp_path / "none" / "ledger.db")
    with pytest.raises(ConfigError, match="cannot open the ledger"):
        connect(tmp_path / "none" / "ledger.db", read_only=True)
    assert not (tmp_path / "none").exists()


def test_a_new_file_is_of_the_present_layout(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "ledger.db").close()
    reader = SqliteReader(tmp_path / "ledger.db")
    assert reader.rows("PRAGMA user_version") == [{"user_version": VERSION}]
    assert reader.rows("SELECT * FROM entry") == reader.rows("SELECT * FROM attempt") == []
    reader.close()
