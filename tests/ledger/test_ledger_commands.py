"""`turnout ledger info` and `prune`, and what the doctor says of the ledger, for the file and for a real PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from gateway.cli.ledger_findings import find_ledger
from gateway.cli.main import main
from gateway.ledger.base import Feedback, LedgerStore
from gateway.ledger.months import begin_of
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.spool import Spool
from gateway.settings import load_settings
from tests.ledger.entries import answered, entry
from tests.ledger.layouts import as_of_layout
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]

Opened = Callable[[], LedgerStore]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the ledger that the environment names, in both stores."""
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("TURNOUT_LEDGER_URL", raising=False)
    if request.param == "postgres":
        monkeypatch.setenv("TURNOUT_LEDGER_URL", request.getfixturevalue("postgres").new_database())
    return lambda: open_store(load_settings())


def fill(opened: Opened) -> None:
    ledger = opened()
    hedged = answered("a", "r", "m", 7, at=begin_of(202501) + 60.0)
    hedged.attempts.append(hedged.attempts[0])
    ledger.append([hedged, entry("b", at=begin_of(202502)), Feedback("b", begin_of(202502), 1.0)])
    ledger.close()


def test_info_tells_the_parts_and_what_waits(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    fill(opened)
    settings = load_settings()
    spool = Spool(settings.spool)
    spool.append(entry("waits"))
    spool.close()
    assert main(["ledger", "info", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    first, second = said["parts"]
    assert (first["part"], first["entries"], first["attempts"], first["oldest"]) == ("entry_202501", 1, 2, "2025-01-01T00:01:00Z")
    assert (second["part"], second["entries"], second["attempts"]) == ("entry_202502", 1, 0)
    assert min(first["bytes"], second["bytes"]) > 0
    assert (said["feedback"], said["templates"], said["hours"]) == (1, 0, 2)
    assert said["spool_bytes"] == sum(path.stat().st_size for path in settings.spool.iterdir()) > 0
    assert "hush" not in str(said)
    assert main(["ledger", "info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == said["ledger"]
    assert lines[3].split()[:4] == ["entry_202501", "1", "2", "2025-01-01T00:01:00Z"]
    assert "bytes that a killed process left in" in lines[-1]


def test_prune_names_what_would_go_and_drops_it_when_told(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    fill(opened)
    assert main(["ledger", "prune", "--older-than", "30d"]) == 0
    assert capsys.readouterr().out == "would drop entry_202501, entry_202502; give --yes to do it\n"
    assert main(["ledger", "prune", "--older-than", "9999d", "--yes"]) == 0
    assert capsys.readouterr().out == "no month ended 9999d ago or before\n"
    assert main(["ledger", "prune", "--older-than", "30d", "--yes"]) == 0
    assert capsys.readouterr().out == "dropped entry_202501, entry_202502\n"
    reader = open_reader(load_settings())
    assert reader.rows("SELECT count(*) AS n FROM entry") == [{"n": 0}]
    assert reader.rows("SELECT sum(requests) AS n FROM rollup") == [{"n": 2}]
    reader.close()


@pytest.mark.parametrize(("age", "said"), [("soon", "a duration with its unit"), ("1h", "give at least 1d")])
def test_an_age_that_is_none_is_wrong_usage(age: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "prune", "--older-than", age]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [["info"], ["prune", "--older-than", "30d", "--yes"]])
def test_where_there_is_no_ledger_none_is_made(opened: Opened, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", *command]) == 1
    assert "there is no ledger at" in capsys.readouterr().err
    (finding,) = find_ledger(load_settings())
    assert finding.level in ("ok", "missing")
    assert not load_settings().data_dir.exists()


def test_the_doctor_counts_what_is_there(opened: Opened) -> None:
    fill(opened)
    (finding,) = find_ledger(load_settings())
    assert finding.level == "ok"
    assert "2 entries" in finding.what
    assert "hush" not in str(finding)


def test_the_doctor_changes_no_earlier_layout(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(3, path)
    before = path.read_bytes()
    (finding,) = find_ledger(load_settings({"TURNOUT_DATA_DIR": str(tmp_path)}))
    assert finding.what.endswith("writable, 1 entries")
    assert path.read_bytes() == before


def test_the_doctor_finds_a_database_that_is_away_or_none(tmp_path: Path) -> None:
    for url, said in (("postgresql://u:hush@127.0.0.1:9/d", "127.0.0.1:9"), ("postgresql://u:hush@h:x/d", "no address|not an")):
        (finding,) = find_ledger(load_settings({"TURNOUT_LEDGER_URL": url, "TURNOUT_DATA_DIR": str(tmp_path)}))
        assert finding.level == "broken"
        assert any(word in finding.what for word in said.split("|"))
        assert "hush" not in str(finding)


def test_the_doctor_finds_a_role_that_may_make_no_table(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database().replace("turnout:hush-hush", "nobody_special")
    with psycopg.connect(postgres.url(), autocommit=True) as operator:
        operator.execute("CREATE ROLE nobody_special LOGIN")
    (finding,) = find_ledger(load_settings({"TURNOUT_LEDGER_URL": url, "TURNOUT_DATA_DIR": str(tmp_path)}))
    assert (finding.level, "may create no table" in finding.what) == ("broken", True)
    assert "docs/ledger.md" in finding.remedy


def test_the_doctor_finds_a_clock_that_is_off(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr("gateway.postgres_link.time.time", lambda: now() + 300.0)
    found = list(find_ledger(load_settings({"TURNOUT_LEDGER_URL": postgres.new_database(), "TURNOUT_DATA_DIR": str(tmp_path)})))
    monkeypatch.undo()
    assert [finding.thing for finding in found] == ["ledger", "clock"]
    assert "+300 s off postgresql://127" in found[1].what
