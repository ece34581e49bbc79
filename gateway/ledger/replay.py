"""Brings to the store what processes that were killed had left in the spool."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.ledger.base import Record
from gateway.ledger.spool import DAMAGED, Damage, abandoned, claimed, read_segment

log = logging.getLogger("turnout.ledger")

BATCH_MAX = 500
EVERY_S = 60.0  # a process that shares the folder may end at any time


async def replay(
    folder: Path,
    write: Callable[[list[Record]], Awaitable[None]],
    every_s: float = EVERY_S,
    looked: Callable[[], None] = lambda: None,
) -> None:
    """Look at once and then every so often, until cancelled. write: returns when the records are in the store, or logged.

    looked: called after each look. In the background, while requests are served: none of them waits for these records, and
    neither a long spool nor a locked database may keep a gateway that was killed from coming back.
    """
    while True:
        for path in await asyncio.to_thread(abandoned, folder):
            try:
                await _replay_one(path, write)
            except OSError as exc:
                log.error("cannot read the spool's '%s': %s; trying again in %g s", path, exc.strerror or exc, every_s)
        looked()
        await asyncio.sleep(every_s)


async def _replay_one(path: Path, write: Callable[[list[Record]], Awaitable[None]]) -> None:
    with claimed(path) as is_ours:
        if not is_ours:
            return
        count, damage = 0, Damage()
        left = (record for record, _ in read_segment(path, damage))
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(left, BATCH_MAX))):
            await write(batch)
            count += len(batch)
        if damage.lines:  # answers that were sent: somebody may still make out what they cost
            kept = await asyncio.to_thread(path.rename, path.with_suffix(DAMAGED))
            log.error("%s: %s; the file is kept as '%s'", path, damage, kept)
        else:
            if damage.is_torn:
                log.error("%s: %s", path, damage)
            await asyncio.to_thread(path.unlink)
        if count:
            log.info("the ledger has the %d records that a process had left in '%s' when it ended", count, path)
