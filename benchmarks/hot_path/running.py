"""Has a scenario counted in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.hot_path.counting import Counts

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0


class CountingFailed(Exception):
    """The scenario was not played to its end. Says what it said."""


def counts_of(name: str) -> Counts:
    """What a request of the scenario costs. Raises CountingFailed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TURNOUT_", "PYTHON", "REDIS_"))}
    env |= {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "benchmarks.hot_path.child", name]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise CountingFailed(f"scenario '{name}' ended with status {done.returncode}:\n{done.stderr}")
    return Counts(**json.loads(done.stdout))
