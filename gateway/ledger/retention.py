"""Drops the months of the ledger that are past keeping, once a day. Each gateway does it; the first to come finds something."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.ledger.writer import LedgerWriter

log = logging.getLogger("turnout.ledger")

EVERY_S = 86_400.0
AGAIN_S = 600.0  # after it could not be done: somebody may have read those months for longer than it waits


class Retention:
    """problem: why the last round dropped nothing, None if it did what there was to do."""

    def __init__(self, ledger: LedgerWriter, age_s: float, now: Callable[[], float] = time.time) -> None:
        """age_s: months that ended so long ago go. now: seconds since 1970."""
        self._ledger, self._age_s, self._now = ledger, age_s, now
        self.problem: str | None = None

    async def run(self) -> None:
        """At once and then every day, until cancelled."""
        while True:
            await self._once()
            await asyncio.sleep(EVERY_S if self.problem is None else AGAIN_S)

    async def _once(self) -> None:
        try:
            dropped = await self._ledger.prune(self._now() - self._age_s)
        except OSError as exc:
            self.problem = f"months past keeping are still in the ledger: {exc}"
            log.error("%s; trying again in %g s", self.problem, AGAIN_S)
            return
        self.problem = None
        if dropped:
            log.info("dropped from the ledger: %s", ", ".join(part.entry for part in dropped))
