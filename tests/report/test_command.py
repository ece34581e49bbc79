"""`turnout spend` and `turnout ledger export` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gateway.cli.bars import bar
from gateway.errors import ConfigError, UsageError
from gateway.ledger.base import Entry, Record, Template
from gateway.usage import Usage
from tests.ledger.entries import answered, entry
from tests.report.commands import DOLLAR, command, folder, out, write

__all__ = ["folder"]
DAY_S = 86_400.0


def two_weeks(folder: Path) -> None:
    """This week easy cost 3 and hard 9 dollars, the week before easy 2 and old 1; three templates."""
    now = time.time()
    week = [("easy", 3, 1), ("hard", 9, 2), ("easy", 2, 8), ("old", 1, 9)]
    written: list[Record] = [
        answered(f"{n}", route, "m", dollars * DOLLAR, 10 * DOLLAR, at=now - days * DAY_S, tags={"app": route})
        for n, (route, dollars, days) in enumerate(week)
    ]
    write(folder, *written)


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return {words[0]: words[1:] for words in lines}


def test_two_periods_stand_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    for text in (
        out(capsys, "spend", "--compare"),
        out(capsys, "spend", "--compare", "14d"),
        out(capsys, "spend", "--compare", "14d..7d"),
    ):
        rows = rows_of(text)
        assert rows["easy"] == ["1", "1", "2.000000", "3.000000", "1.000000", "+50.0%"]
        assert rows["hard"] == ["0", "1", "0.000000", "9.000000", "9.000000", "new"]
        assert rows["old"] == ["1", "0", "1.000000", "0.000000", "-1.000000", "-100.0%", "gone"]
        assert rows["total"] == ["2", "2", "3.000000", "12.000000", "9.000000", "+300.0%"]
    found = json.loads(out(capsys, "spend", "--compare", "--json"))["compare"]
    assert [(row["route"], row["change_usd"], row["mark"]) for row in found["rows"]] == [
        ("hard", 9.0, "new"),
        ("easy", 1.0, None),
        ("old", -1.0, "gone"),
    ]
    assert found["total"]["change_percent"] == 300.0
    table = list(csv.DictReader(io.StringIO(out(capsys, "spend", "--compare", "--format", "csv"))))
    assert [(row["route"], row["before_cost_usd"], row["cost_usd"], row["mark"]) for row in table] == [
        ("hard", "0.0", "9.0", "new"),
        ("easy", "2.0", "3.0", ""),
        ("old", "1.0", "0.0", "gone"),
    ]


def test_days_are_compared_in_their_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    found = json.loads(out(capsys, "spend", "--by", "day", "--compare", "--json"))["compare"]["rows"]
    pairs = [(row["before"]["cost_usd"], row["before"]["requests"], row["change_usd"]) for row in found]
    assert pairs == [(1.0, 1, 8.0), (2.0, 1, 1.0)], "the day before last beside the one a week before it"


def test_an_age_beyond_all_times_is_all_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    all_ = json.loads(out(capsys, "spend", "--since", "1970-01-01", "--json"))
    assert json.loads(out(capsys, "spend", "--since", "999999999999d", "--json"))["total"] == all_["total"]


def test_since_and_until_may_be_dates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, *(answered(str(day), "r", "m", day, at=day * DAY_S) for day in (1, 2, 3)))
    found = json.loads(out(capsys, "spend", "--since", "1970-01-02", "--until", "1970-01-03T12:00", "--json"))
    assert (found["total"]["cost_nusd"], found["since"], found["until"]) == (3, "1970-01-02", "1970-01-03T12:00")


def test_tables_are_plain_in_a_pipe_and_end_with_what_was_saved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    text = out(capsys, "spend")
    assert "█" not in text and "\033" not in text
    assert "saved, net of all overhead: not enough data: 2 requests, 30 are needed" in text
    assert "unproven: 8.000000 USD" in text
    assert "unusual days: " in text


def cheap_hour(cost: int, opinions: float | None) -> list[Record]:
    """60 answers of a cheap model in the last hour."""
    from gateway.ledger.base import Feedback

    now = time.time()
    written: list[Record] = []
    for i in range(60):
        one = answered(f"c-{i}", "easy", "small", cost, DOLLAR, at=now - 60 - i)
        written.append(one)
        if opinions is not None:
            written.append(Feedback(one.request_id, now, opinions, entry=one.uid))
    return written


def test_a_proven_saving_has_its_interval(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, *cheap_hour(DOLLAR // 10, 1.0))
    (row,) = (found := json.loads(out(capsys, "spend", "--json")))["rows"]
    saved = found["total"]["savings"]
    assert saved == row["savings"]
    assert saved["saved_usd"] == pytest.approx(54.0) and saved["low_usd"] <= 54.0 <= saved["high_usd"]
    assert (saved["unproven_usd"], saved["requests"]) == (0.0, 60) and "bootstrap" in saved["method"]
    assert "reason" not in saved
    assert "54.000000 USD (95 % interval: " in out(capsys, "spend")


def test_an_unproven_one_is_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, *cheap_hour(DOLLAR // 10, None))
    saved = json.loads(out(capsys, "spend", "--json"))["total"]["savings"]
    assert (saved["saved_usd"], saved["unproven_usd"]) == (None, pytest.approx(54.0))
    assert "net of all overhead: not enough data: whether anything was saved hangs on" in out(capsys, "spend")


def test_prompts_have_their_template_and_their_share(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    costs = [("p-1", 50), ("t-1", 40), ("p-2", 9), ("p-3", 1), (None, 0)]
    written: list[Entry] = [answered(str(n), "r", "m", c * 10**6, at=now, prompt_id=id_) for n, (id_, c) in enumerate(costs)]
    long = "Summarise the following article in three sentences: <*> " * 4
    write(folder, *written, Template("t-0", now, "Say <*>", ["p-1"]), Template("t-1", now, long, ["t-0"]))
    found = json.loads(out(capsys, "spend", "--by", "prompt", "--json"))["rows"]
    head = found[0]
    assert (head["prompt"], head["text"], head["share"], head["requests"]) in (("t-1", long, 0.9, 2), ("t-0", "Say <*>", 0.9, 2))
    assert [(row["prompt"], row["text"], row["share"]) for row in found[1:]] == [
        ("p-2", None, 0.09),
        ("(other prompts)", None, 0.01),
        ("(no prompt)", None, 0.0),
    ]
    text = out(capsys, "spend", "--by", "prompt")
    assert "90.0%" in text and max(map(len, text.splitlines())) <= 135


def test_what_callers_wrote_gives_a_terminal_no_orders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    one = answered("1", "r", "m", DOLLAR, at=now, prompt_id="t-1", tags={"app": "x\x1b[2J"})
    write(folder, one, Template("t-1", now, "Say\x1b]0;title\x07 <*>", []))
    for by in ("prompt", "tag:app"):
        assert "\x1b" not in out(capsys, "spend", "--by", by)


def test_by_model_shows_what_machines_cost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hour = int(time.time() // 3600 - 3) * 3600.0
    own = answered("1", "r", "own", 10 * 10**6, 50 * 10**6, at=hour + 60)
    own.attempts[0].busy_s, own.attempts[0].prefill_s = 900.0, 90.0
    own.attempts[0].usage = own.usage = Usage(10_000, 5_000)
    idle = entry("gpu", at=hour, purpose="gpu", model="own", provider="p-own", key="(idle)", cost_nusd=990 * 10**6)
    running = entry("gpu-2", at=hour + 3 * 3600, purpose="gpu", model="own", provider="p-own", key="(idle)", cost_nusd=0)
    write(folder, own, idle, running)
    found = json.loads(out(capsys, "spend", "--by", "model", "--json"))
    (machine,) = found["gpu"]
    assert machine == {
        "model": "own",
        "hours": 1,
        "bill_usd": 1.0,
        "busy_share": 0.25,
        "input_tokens": 10_000,
        "output_tokens": 5_000,
        "usd_per_million_input": pytest.approx(10.0),
        "usd_per_million_output": pytest.approx(180.0),
        "requests": 1,
        "requests_per_day": 24.0,
        "baseline_usd": 0.05,
        "break_even_requests_per_day": pytest.approx(480.0),
    }
    assert (found["total"]["requests"], found["total"]["cost_usd"]) == (1, 1.0)
    text = out(capsys, "spend", "--by", "model")
    line = text.split("self-hosted\n")[1].splitlines()[2].split()
    assert line == ["own", "1", "1.000000", "25.0%", "10.0000", "180.0000", "0.050000", "24", "480"]
    assert rows_of(out(capsys, "spend", "--by", "route"))["(idle)"][5] == "0.990000"


def test_parquet_and_csv_have_the_same_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    for format_ in ("csv", "parquet"):
        assert command("spend", "--by", "tag:app", "--format", format_, "--output", str(folder / f"x.{format_}")) == 0
        read = f"SELECT \"tag:app\", requests, cost_nusd, cost_usd FROM read_{format_}('{folder}/x.{format_}')"
        assert duckdb.execute(read).fetchall() == [("hard", 1, 9 * DOLLAR, 9.0), ("easy", 1, 3 * DOLLAR, 3.0)]
    types = duckdb.execute(f"DESCRIBE SELECT * FROM '{folder}/x.parquet'").fetchall()
    kinds = {row[0]: row[1] for row in types}
    assert (kinds["cost_nusd"], kinds["cost_usd"], kinds["cache_precision"], kinds["savings_reason"]) == (
        *("BIGINT", "DOUBLE", "DOUBLE", "VARCHAR"),
    )
    assert capsys.readouterr().out == ""


def test_a_ledger_without_entries_says_so_and_has_the_same_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    assert out(capsys, "spend") == "nothing was asked and nothing spent in this time; an earlier --since looks further back\n"
    empty = out(capsys, "spend", "--format", "csv").splitlines()
    two_weeks(folder)
    assert empty == out(capsys, "spend", "--format", "csv").splitlines()[:1]


def start(folder: Path, *args: str, **fields: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli.main", *args],
        env={**os.environ, "TURNOUT_DATA_DIR": str(folder), "PYTHONIOENCODING": "utf-8"},
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **fields,
    )


def test_watching_prints_again_and_ends_with_ctrl_c_in_good_order(folder: Path) -> None:
    two_weeks(folder)
    with start(folder, "spend", "--watch", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        first = json.loads(process.stdout.readline())
        write(folder, answered("new", "easy", "m", DOLLAR, at=time.time()))
        second = json.loads(process.stdout.readline())
        while second["total"]["requests"] == 2:  # it may have been read before
            second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert (first["total"]["requests"], second["total"]["requests"]) == (2, 3)
    assert (process.returncode, said) == (0, "")


def test_a_terminal_gets_bars_and_no_parquet(folder: Path) -> None:
    two_weeks(folder)
    master, slave = pty.openpty()
    with start(folder, "spend", stdout=slave, stdin=slave, stderr=slave) as process:
        process.wait(30)
    text = os.read(master, 65_536).decode()
    hard, easy = (next(line for line in text.splitlines() if line.startswith(name)) for name in ("hard", "easy"))
    assert hard.count("█") == 12 and 0 < easy.count("█") < 6
    with start(folder, "spend", "--format", "parquet", stdout=slave, stdin=slave, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2 and "not for a terminal" in said
    os.close(master)
    os.close(slave)


def test_bars_are_as_long_as_their_share() -> None:
    assert [bar(n, 8, 2) for n in (8, 4, 1, 0, -3)] == ["██", "█", "▎", "", ""]
    assert bar(1, 1, 4, "ascii") == "####" and bar(1, 0, 4) == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("spend", "--since", "yesterday"), "--since"),
        (("spend", "--since", "2026-13-01"), "2026-11-01"),
        (("spend", "--since", "1d", "--until", "2d"), "not after"),
        (("spend", "--compare", "7d..14d"), "BEGIN..END"),
        (("spend", "--compare", "x"), "--compare"),
        (("spend", "--watch", "--output", "x"), "--watch"),
        (("export", "--output", "x", "--until", "soon"), "--until"),
    ],
)
def test_wrong_usage_is_named(folder: Path, args: tuple[str, ...], said: str) -> None:
    write(folder)
    with pytest.raises(UsageError, match=said):
        command(*args)


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    two_weeks(folder)
    (folder / "taken").write_text("")
    with pytest.raises(ConfigError, match="not complete"):
        command("export", "--output", str(folder / "taken"), "--format", "csv")
    with pytest.raises(ConfigError, match="nowhere"):
        command("spend", "--output", str(folder / "nowhere" / "x"), "--format", "csv")


def test_export_says_which_files_it_wrote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_weeks(folder)
    text = out(capsys, "export", "--output", str(folder / "out"), "--since", "30d")
    files = [line.split()[-1] for line in text.splitlines()]
    assert files and all(Path(file).is_file() for file in files)
    assert sum(int(line.split()[0]) for line in text.splitlines() if "/entry/" in line) == 4
    assert "nothing was written" in out(capsys, "export", "--output", str(folder / "none"), "--until", "1971-01-01")
