"""Names that callers choose: in tables, which they must not spoil, and in CSV, where they must not be computed."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path

import pytest

from gateway.cli.table import clipped, padded, width_of
from tests.ledger.entries import answered
from tests.report.commands import DOLLAR, folder, out, write

__all__ = ["folder"]


def tagged(folder: Path, **values: int) -> None:
    """A request for each value of the tag `app`, which cost so many dollars."""
    now = time.time() - 60
    write(folder, *(answered(v, "r", "m", usd * DOLLAR, at=now, tags={"app": v}) for v, usd in values.items()))


def test_names_are_cut_in_tables_alone_and_their_columns_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long, wide, wider = "x" * 61, "\u5ba2\u670d", "\u5ba2" * 40
    tagged(folder, **{"x" * 60: 5, long: 4, wide: 3, wider: 2, "cafe\u0301": 1})
    head, _, *lines = out(capsys, "spend", "--by", "tag:app").splitlines()
    names = [line.split()[0] for line in lines[:5]]
    assert names == ["x" * 60, "x" * 59 + "\u2026", wide, "\u5ba2" * 29 + "\u2026", "cafe\u0301"]
    ends = [width_of(line[: line.index(f"{usd}.000000") + 8]) for line, usd in zip(lines, (5, 4, 3, 2, 1), strict=False)]
    assert ends == [head.index("cost USD") + 8] * 5
    for format_ in ("json", "csv"):
        whole = out(capsys, "spend", "--by", "tag:app", "--format", format_)
        assert all(name in whole for name in (long, wider))


def test_bars_begin_in_one_column_whatever_the_names_are(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged(folder, plain=8, **{"\u5ba2\u670d": 8})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = out(capsys, "spend", "--by", "tag:app").splitlines()[2:4]
    assert len({width_of(line[: line.index("\u2588")]) for line in lines}) == 1


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab\u2026"),
        ("\u5ba2\u670d", 4, "\u5ba2\u670d"),
        ("\u5ba2\u670d", 3, "\u5ba2\u2026"),
        ("\u5ba2\u670d!", 4, "\u5ba2\u2026"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301\u2026"),
    ],
)
def test_a_text_is_cut_to_columns(text: str, width: int, cut: str) -> None:
    assert clipped(text, width) == cut and width_of(cut) <= width
    assert padded(cut, width).rstrip() == padded(cut, width, is_left=False).lstrip() == cut


def test_no_name_is_a_formula_to_a_spreadsheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"]
    tagged(folder, **dict.fromkeys([*formulas, "a=1", "'b"], 1))
    rows = list(csv.DictReader(io.StringIO(out(capsys, "spend", "--by", "tag:app", "--format", "csv"), newline="")))
    assert {row["tag:app"] for row in rows} == {*(f"'{text}" for text in formulas), "a=1", "'b"}
    assert {row["saved_nusd"] for row in rows} == {str(-DOLLAR)}, "a number is one"
    found = json.loads(out(capsys, "spend", "--by", "tag:app", "--json"))["rows"]
    assert {row["tag:app"] for row in found} == {*formulas, "a=1", "'b"}
