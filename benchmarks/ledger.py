"""What the ledger costs: a request that is booked, a million entries, reports over them, an export.

    python -m benchmarks.ledger [--entries 1000000] [--postgres URL] [--json OUT]

Into SQLite in a folder of its own; --postgres: into that database, which must be empty. Prints each figure with its goal;
the exit status is 1 when a goal was missed with the full million. benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ledger_entries import DAYS, entries
from benchmarks.server import TURNOUT
from gateway.cli.table import table
from gateway.errors import LedgerUnavailable
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.spool import Spool
from gateway.ledger.writer import BATCH_MAX, LedgerWriter
from gateway.report.dimension import parse
from gateway.report.period import Period
from gateway.report.spend import spend
from gateway.settings import Settings, load_settings

FULL = 1_000_000
WRITES = 20_000  # that are booked as requests are, before the million
DIMENSIONS = ("route", "model", "key", "prompt", "day")
TIMES = 3


@dataclass(frozen=True)
class Figure:
    """One measured number. goal: at most this, None where there is none. cpu_s: of this process, for what took some time."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    cpu_s: float | None = None

    @property
    def is_missed(self) -> bool:
        return self.goal is not None and self.value > self.goal


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=FULL, help=f"how many (default: {FULL:,})")
    parser.add_argument("--postgres", metavar="URL", help="an empty database, as postgresql://user:password@host/name")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="turnout-ledger-") as folder:
        env = {"TURNOUT_DATA_DIR": folder} | ({"TURNOUT_LEDGER_URL": args.postgres} if args.postgres else {})
        figures = measure(load_settings(env), env, args.entries)
    rows = [[f.name, _number(f.value), f.unit, _number(f.cpu_s), "" if f.goal is None else f"<= {f.goal:g}"] for f in figures]
    print(f"{args.entries:,} entries in {'PostgreSQL' if args.postgres else 'SQLite'}, load {os.getloadavg()[0]:.1f}\n")
    print(table(["", "measured", "", "CPU s", "goal"], rows))
    if args.json:
        found = {f.name: {"value": f.value, "unit": f.unit, "goal": f.goal, "cpu_s": f.cpu_s} for f in figures}
        args.json.write_text(json.dumps({"entries": args.entries, "figures": found}, indent=1) + "\n")
    return int(args.entries >= FULL and any(f.is_missed for f in figures))


def measure(settings: Settings, env: dict[str, str], count: int) -> list[Figure]:
    """All figures, in the order in which they are printed. env: what the settings were made of."""
    until = time.time() // 3600 * 3600
    writes = min(WRITES, count)
    figures = asyncio.run(booked(settings, writes, until - DAYS * 86_400))  # of the month before: reports leave it out
    figures += filled(settings, count, until)
    figures += reported(settings, Period(until - DAYS * 86_400, until))
    return figures + exported(env, Path(settings.data_dir) / "exported")


async def booked(settings: Settings, count: int, until: float) -> list[Figure]:
    """What a request pays to have its entry kept, and what all threads do for it together. CPU time."""
    given = list(entries(count, until, seed=2))
    writer = LedgerWriter(open_store(settings), Spool(settings.spool))
    writer.start()
    gc.collect()
    began, spent_ns = time.process_time(), 0
    for n, entry in enumerate(given):
        while True:
            started = time.thread_time_ns()
            try:
                writer.reserve()
            except LedgerUnavailable:  # faster than it can be written, as no traffic is for long
                await asyncio.sleep(0.05)
                continue
            writer.put(entry)
            spent_ns += time.thread_time_ns() - started
            break
        if n % 20 == 0:
            await asyncio.sleep(0)
    reader = open_reader(settings)
    while reader.rows("SELECT sum(requests) AS count FROM rollup")[0]["count"] != count:  # noqa: ASYNC110 - only the ledger tells
        await asyncio.sleep(0.2)
    reader.close()
    await writer.aclose()
    whole_s = time.process_time() - began
    return [
        Figure("a request's part of a write", spent_ns / count / 1e3, "µs CPU", 30.0),
        Figure("a write with all that is done later", whole_s / count * 1e6, "µs CPU"),
    ]


def filled(settings: Settings, count: int, until: float) -> list[Figure]:
    """How fast a store takes entries, in batches as the writer's."""
    store = open_store(settings)
    given = entries(count, until)
    took_s = spent_s = 0.0
    while batch := list(itertools.islice(given, BATCH_MAX)):
        started, before = time.perf_counter(), time.process_time()
        store.append(batch)
        took_s += time.perf_counter() - started
        spent_s += time.process_time() - before
    store.close()
    figures = [Figure("entries stored", count / took_s, "a second", cpu_s=spent_s)]
    size = sum(path.stat().st_size for path in settings.data_dir.glob("ledger.db*"))
    return [*figures, Figure("the file", size / count, "bytes an entry")] if size else figures


def reported(settings: Settings, period: Period) -> list[Figure]:
    """Reports over the month: from the hourly sums, and from the entries themselves."""
    reader = open_reader(settings)
    figures = [
        _timed(f"spend by {by}", lambda by=by: spend(reader, parse(by), period), 0.3 if by == "route" else None)  # type: ignore[misc]
        for by in DIMENSIONS
    ]
    figures.append(_timed("spend by route, from rows", lambda: spend(reader, parse("route"), period, from_rows=True), 2.0))
    figures.append(_timed("spend by tag, from rows", lambda: spend(reader, parse("tag:feature"), period)))
    reader.close()
    return figures


def exported(env: dict[str, str], folder: Path) -> list[Figure]:
    """The export to Parquet by the command, as a user runs it. Memory is that of its process."""
    command = [*TURNOUT, "ledger", "export", "--format", "parquet", "--output", str(folder)]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, env={**os.environ, **env}, stdout=said, stderr=said) as process:
            _, status, used = os.wait4(process.pid, 0)  # which tells its memory
            process.returncode = os.waitstatus_to_exitcode(status)
        took_s = time.perf_counter() - started
        if process.returncode != 0:
            said.seek(0)
            raise RuntimeError(f"the export ended with status {process.returncode}: {said.read().decode()}")
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return [
        Figure("export to Parquet", took_s, "s", cpu_s=used.ru_utime + used.ru_stime),
        Figure("its memory at the most", used.ru_maxrss / 1024, "MB"),
        Figure("its files", size / 1e6, "MB"),
    ]


def _timed(name: str, run: Callable[[], object], goal: float | None = None) -> Figure:
    """The best of TIMES: what else ran on the machine only ever made it slower."""
    times, spent = [], []
    for _ in range(TIMES):
        started, before = time.perf_counter(), time.process_time()
        run()
        times.append(time.perf_counter() - started)
        spent.append(time.process_time() - before)
    return Figure(name, min(times), "s", goal, min(spent))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
