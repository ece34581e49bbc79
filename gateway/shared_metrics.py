"""One `/metrics` for several workers: each writes what it has counted to a file of its own, and reads those of the others.

Files and not shared memory: a scrape comes every few seconds, and a worker that is killed leaves its file behind. What it
counted in its last second is lost with it; the ledger has the requests all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.metrics import Counted, Metrics

log = logging.getLogger("turnout.metrics")

EVERY_S = 1.0


class SharedMetrics:
    """A worker's part in it. folder: of one supervisor, which makes it. worker: whose place this process takes."""

    def __init__(self, metrics: Metrics, folder: Path, worker: int) -> None:
        self._metrics, self._folder = metrics, folder
        self._own = folder / f"{worker}.json"
        self._problem: str | None = None
        earlier = self._read(self._own)
        if earlier is not None:
            metrics.resume(earlier)
        metrics.peers = self._others

    async def run(self) -> None:
        """Write every EVERY_S until cancelled, and then once more."""
        try:
            while True:
                self._write()
                await asyncio.sleep(EVERY_S)
        finally:
            self._write()

    def _others(self) -> Sequence[Counted]:
        found = [self._read(path) for path in self._folder.glob("*.json") if path != self._own]
        return [counted for counted in found if counted is not None]

    def _write(self) -> None:
        """A few hundred bytes; renamed into place, so that nobody reads half of it."""
        new = self._own.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(self._metrics.counted()))
            os.replace(new, self._own)
        except OSError as exc:
            self._say(f"the metrics of this worker are missing from those of the others: {exc}")
        else:
            self._problem = None

    def _read(self, path: Path) -> Counted | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Counted)
        except FileNotFoundError:  # it has not begun to count
            return None
        except (OSError, ValueError) as exc:
            self._say(f"the metrics of a worker are missing: cannot read '{path}': {exc}")
            return None

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            log.error("%s", problem)
        self._problem = problem
