"""docs/spend.md says what is so: its table, its numbers, its query."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.dimension import parse
from gateway.report.period import Period
from gateway.report.said import Answered, opinions
from tests.report.example import BEGIN, example
from tests.report.test_command import out

PAGE = (Path(__file__).parents[2] / "docs/spend.md").read_text()
WEEK = ("--since", "2026-11-08", "--until", "2026-11-15")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TURNOUT_LEDGER_URL", raising=False)
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    store = SqliteLedger(tmp_path / "ledger.db")
    store.append(example())
    store.close()
    return tmp_path


def block(language: str, n: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[n]


def test_the_table_is_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "spend", *WEEK).startswith(block("text"))


def test_the_json_is_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(block("json"))["savings"]
    found = json.loads(out(capsys, "spend", *WEEK, "--json"))["total"]["savings"]
    assert set(told) == set(found) and told["method"] == found["method"]
    assert [told[name] for name in told if name != "method"] == pytest.approx(
        [found[name] for name in told if name != "method"], abs=1e-6
    )


def test_the_saving_is_the_sum_that_is_told(folder: Path) -> None:
    reader = SqliteReader(folder / "ledger.db")
    said = opinions(reader, parse("route"), Period(BEGIN + 7 * 86_400, BEGIN + 14 * 86_400))["easy", Answered("easy", "small")]
    reader.close()
    assert f"({said.good} of {said.good + said.bad})" in PAGE
    share = said.good / (said.good + said.bad)
    assert f"{share:.6f}" in PAGE and f"{269 * 0.004 * share:.6f}" in PAGE and f"{67 * 0.004:.6f}" in PAGE
    assert f"{269 * 0.004 * share + 67 * 0.004 - 0.054136:.6f}" == "1.006706"


def test_the_query_runs(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    out(capsys, "export", "--format", "parquet", "--output", "ledger-files")
    found = duckdb.execute(block("sql")).fetchall()
    assert [route for route, _ in found] == ["hard", "easy"]
    assert found[0][1] == pytest.approx(0.004 * (14 * 24 + 3 * 24))
