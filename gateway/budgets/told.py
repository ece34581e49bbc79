"""Which alerts were sent: kept in a file, which outlives the process."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

log = logging.getLogger("turnout.budgets")


class Told(Protocol):
    """Remembers alerts."""

    async def is_first(self, id_: str, until: float) -> bool:
        """Whether nobody has sent it, or is about to; the caller then is. until: seconds since 1970, when it may be forgotten."""
        ...

    async def sent(self, id_: str, until: float) -> None:
        """It is out, or given up: it counts as sent from now on."""
        ...

    async def not_sent(self, id_: str) -> None:
        """The caller stops before it is out, so the next process may send it."""
        ...


class FileTold:
    """In a file, for one process after the other. A file that cannot be read or written: it remembers as long as it lives."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now
        self._until: dict[str, float] | None = None

    async def is_first(self, id_: str, until: float) -> bool:
        told = {one: end for one, end in self._read().items() if end > self._now()}
        is_first = id_ not in told
        self._until = told | {id_: until}
        return is_first

    async def sent(self, id_: str, until: float) -> None:
        self._until = self._read() | {id_: until}
        self._write(self._until)  # only now: a process that is killed before leaves it to the next

    async def not_sent(self, id_: str) -> None:
        self._until = {one: end for one, end in self._read().items() if one != id_}

    def _read(self) -> dict[str, float]:
        if self._until is not None:
            return self._until
        try:
            found = json.loads(self._path.read_bytes())
            return {str(id_): float(until) for id_, until in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as exc:
            log.warning("cannot read '%s', so alerts may come twice: %s", self._path, exc)
            return {}

    def _write(self, told: dict[str, float]) -> None:
        """Whole or not at all, whenever the process ends."""
        beside = self._path.with_suffix(f".{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(told))
            beside.replace(self._path)
        except OSError as exc:
            log.warning("cannot write '%s', so alerts may come twice: %s", self._path, exc)
