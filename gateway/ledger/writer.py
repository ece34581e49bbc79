"""Writes entries, and the feedback on them, off the hot path, in batches, and loses none.

A request takes a place in the queue before it is served, so that its entry can always be handed over; when the store
is stuck and all places are taken, new requests are refused instead of served unbilled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import msgspec

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Entry, Feedback, LedgerStore, Record

log = logging.getLogger("turnout.ledger")

PLACES = 10_000
BATCH_MAX = 500
GATHER_S = 0.02  # lets a batch form under load; nobody waits for it
RETRY_MAX_S = 5.0
CLOSE_S = 10.0


class LedgerWriter:
    """Owned by the application's lifespan: start, then aclose, which returns when everything is written."""

    def __init__(self, store: LedgerStore, places: int = PLACES) -> None:
        self._store = store
        self._free = places
        self._pending: deque[Record] = deque()
        self._writing: list[Record] = []
        self._wake = asyncio.Event()
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self.last_error: str | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ledger-writer")

    def reserve(self) -> None:
        """Take a place for one request's entry, or for one feedback; `put` fills it. Raises LedgerUnavailable."""
        if self._free <= 0:
            raise LedgerUnavailable(f"the ledger cannot be written ({self.last_error or 'it is too slow'}); try again later")
        self._free -= 1

    def put(self, record: Record) -> None:
        """Hand a record over; it will be written. Once the writer has ended, to the log."""
        if self._task is not None and self._task.done():
            log.error("%s not written, the ledger is closed: %s", _noun(record), _as_text(record))
            return
        self._pending.append(record)
        self._wake.set()

    async def find(self, request_id: str) -> Entry | None:
        """The latest entry with this id, with the feedback on it, written already or not."""
        waiting = [r for r in [*self._writing, *self._pending] if r.request_id == request_id]
        feedback = [r for r in waiting if isinstance(r, Feedback)]
        found = next((r for r in reversed(waiting) if isinstance(r, Entry)), None)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.find, request_id)
        if found is None or not feedback:
            return found
        # What was waiting may have been written while the store was asked.
        return msgspec.structs.replace(found, feedback=[*found.feedback, *(f for f in feedback if f not in found.feedback)])

    async def aclose(self) -> None:
        """Write what is left, then stop. What cannot be written within CLOSE_S goes to the log, entry by entry."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, CLOSE_S)
            except TimeoutError:
                for record in [*self._writing, *self._pending]:
                    log.error("%s not written: %s", _noun(record), _as_text(record))
        self._thread.shutdown()
        self._store.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if not self._is_closing:
                await asyncio.sleep(GATHER_S)
            self._wake.clear()
            while self._pending:
                self._writing = [self._pending.popleft() for _ in range(min(len(self._pending), BATCH_MAX))]
                await self._write(self._writing)
                self._free += len(self._writing)
                self._writing = []
            if self._is_closing:
                return

    async def _write(self, records: list[Record]) -> None:
        wait_s = 0.1
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._store.append, records)
            except OSError as exc:
                if self.last_error is None:
                    log.error("%s; trying again until it works", exc)
                self.last_error = str(exc)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            except Exception as exc:  # whatever a record may hold, it must not keep all others from being written
                await self._write_apart(records, exc)
                return
            else:
                if self.last_error is not None:
                    log.info("the ledger is written again")
                self.last_error = None
                return

    async def _write_apart(self, records: list[Record], exc: Exception) -> None:
        """One by one; the record that cannot be kept goes to the log."""
        if len(records) > 1:
            for record in records:
                await self._write([record])
        else:
            log.error("%s not written (%s): %s", _noun(records[0]), exc, _as_text(records[0]))


def _noun(record: Record) -> str:
    return "entry" if isinstance(record, Entry) else "feedback"


def _as_text(record: Record) -> str:
    try:
        return msgspec.json.encode(record).decode()
    except (ValueError, TypeError, OverflowError):  # what the store could not keep, JSON may not either
        return repr(record)
