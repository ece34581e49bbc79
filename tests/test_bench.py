"""`make bench`, cut short. What it measures depends on the machine; that it measures everything does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(60)  # starts four servers and loads them
CONTENDERS = ["direct", "bare", "turnout, pass-through", "turnout, default"]
OURS = CONTENDERS[2:]


def test_overhead_measures_every_contender_in_every_round(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "benchmarks/overhead.py", "--seconds", "0.3", "--rounds", "1", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_bytes())
    assert found["options"] == {"seconds": 0.3, "rounds": 1, "rate": 200.0}
    assert [list(row) for row in found["rounds"]] == [CONTENDERS]
    figures = {"rps", "p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms", "cpu_s_per_1k", "cpu_s_per_1k_chunks", "errors"}
    assert all(set(row) == figures for row in [*found["rounds"][0].values(), *found["medians"].values()])
    for name, row in found["medians"].items():
        assert row["errors"] == 0 and row["rps"] > 0, (name, row)
        assert (row["cpu_s_per_1k"] is None) == (name == "direct")
    assert list(found["ratios_to_bare"]) == OURS
    assert all(ratio > 0 for row in found["ratios_to_bare"].values() for ratio in row.values())
    for name in CONTENDERS:
        assert name in done.stdout
