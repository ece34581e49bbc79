"""The ledger's benchmark, cut short. What it measures depends on the machine; that it measures everything does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ledger_entries import DAYS, entries

ROOT = Path(__file__).resolve().parents[1]


def test_the_traffic_is_always_the_same_and_adds_up() -> None:
    until = 1_790_000_000.0
    found = list(entries(2_000, until))
    assert [e.at for e in found] == sorted(e.at for e in found)
    assert until - DAYS * 86_400 <= found[0].at and found[-1].at < until
    assert [(e.request_id, e.cost_nusd) for e in found] == [(e.request_id, e.cost_nusd) for e in entries(2_000, until)]
    for entry in found:
        assert entry.cost_nusd == sum(attempt.cost_nusd or 0 for attempt in entry.attempts)
        assert bool(entry.attempts) == (entry.cache == "miss")
    assert len({e.key for e in found}) > 20 and len({e.prompt_id for e in found}) > 40
    assert {len(e.attempts) for e in found} == {0, 1, 2}


@pytest.mark.timeout(60)  # starts a command, and imports what writes Parquet
def test_every_figure_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "benchmarks.ledger", "--entries", "3000", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_bytes())
    assert found["entries"] == 3000
    figures = found["figures"]
    assert all(figure["value"] > 0 for figure in figures.values()), figures
    goals = {name: figure["goal"] for name, figure in figures.items() if figure["goal"] is not None}
    assert goals == {"a request's part of a write": 30.0, "spend by route": 0.3, "spend by route, from rows": 2.0}
    for name in ("entries stored", "spend by prompt", "export to Parquet", "its memory at the most", "the file"):
        assert name in figures and name in done.stdout
