"""A clock that moves only when it is told to, and randomness that repeats. Install them before the gateway is imported.

Only for a process of its own: it replaces functions of the standard library, of which modules keep references.
"""

from __future__ import annotations

import os
import random
import time
from hashlib import shake_128
from itertools import count

_AHEAD_S = 1.8e9  # the wall clock, of the monotonic one

_serial = count()
_now = 1000.0


def install() -> None:
    """Replace the clocks and the sources of randomness."""
    time.monotonic, time.perf_counter, time.thread_time, time.process_time = now, now, now, now
    time.monotonic_ns, time.perf_counter_ns = now_ns, now_ns
    time.time, time.time_ns = wall, wall_ns
    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]  # the latter is what `secrets` draws from
    random.seed(0)


def go_on(seconds: float) -> None:
    """Let so much time pass at once."""
    global _now
    _now += seconds


def now() -> float:
    return _now


def now_ns() -> int:
    return int(_now * 1e9)


def wall() -> float:
    return _now + _AHEAD_S


def wall_ns() -> int:
    return int((_now + _AHEAD_S) * 1e9)


def urandom(size: int) -> bytes:
    """Other bytes at each call, and the same ones in each process."""
    return shake_128(next(_serial).to_bytes(8, "big")).digest(size)
