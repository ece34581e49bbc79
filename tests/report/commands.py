"""`turnout spend` and `turnout ledger export` as they are typed, over a ledger in a folder of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from gateway.cli import export, spend
from gateway.ledger.base import Record
from gateway.ledger.sqlite import SqliteLedger

DOLLAR = 1_000_000_000


def command(*args: str) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    spend.define(commands.add_parser("spend"))
    export.add(commands)
    parsed = parser.parse_args(args)
    return int(parsed.run(parsed))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TURNOUT_LEDGER_URL", "TURNOUT_REDIS_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    return tmp_path


def write(folder: Path, *written: Record) -> None:
    store = SqliteLedger(folder / "ledger.db")
    store.append(written)
    store.close()


def out(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert command(*args) == 0
    return capsys.readouterr().out
