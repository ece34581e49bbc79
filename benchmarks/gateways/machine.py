"""What was measured on, and of which commit: a figure without them says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from pathlib import Path

import psutil

from benchmarks.gateways.results import Machine

ROOT = Path(__file__).resolve().parents[2]


def machine() -> Machine:
    """This one, now."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        # Interpreters built with it are a tenth to a third faster.
        is_optimised="--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")),
        load_before=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    """The processor's name; its architecture where the system does not tell."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


class StolenTime:
    """How much of the cores' time the host of a virtual machine gives to others, from when this is made."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()

    def share(self) -> float:
        """Between 0 and 1; 0 where the system does not count it."""
        after = psutil.cpu_times()
        passed = sum(after) - sum(self._before)
        return (getattr(after, "steal", 0.0) - getattr(self._before, "steal", 0.0)) / passed if passed else 0.0


def commit() -> str:
    """The first letters of the commit's name, with "+" where tracked files differ from it; "unknown" without git."""
    try:
        name = _git("rev-parse", "--short=10", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
