"""Writes entries, the feedback on them, and what is known of prompt templates, off the hot path, in batches, and loses none.

A record is in the spool when `put` returns, and from then on outlives the process. It waits in memory as well, to be
found and written soon; what has no place there is read from the spool again when its turn comes. While neither the spool
nor the store can be written, new requests are refused instead of served unbilled. While the spool alone cannot be, a kill
would lose what is not in the store: that is kept to a few records.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Entry, Feedback, GpuUse, LedgerStore, Part, Record
from gateway.ledger.replay import replay
from gateway.ledger.spool import Damage, Segment, Spool, read_segment

log = logging.getLogger("turnout.ledger")

PLACES = 10_000  # requests under way, and records in memory
EXPOSED_MAX = 100  # of those, while the spool cannot be written
IN_MEMORY_MAX = 5_000  # records that are in the spool as well; some 10 MB
BATCH_MAX = 500
GATHER_S = 0.05  # lets a batch form; a transaction of its own would cost each entry ten times as much. Nobody waits for it
DENSE = 20  # records in that time; under load a longer wait for a larger batch halves what the store takes for each
GATHER_DENSE_S = 0.2
RETRY_MAX_S = 5.0
CLOSE_S = 5.0

Waiting = tuple[Record, Segment | None]  # None: it is not in the spool


@dataclass
class _Stretch:
    """Records that wait in the spool alone: bytes `start` to `end` of a segment."""

    segment: Segment
    start: int
    end: int


class LedgerWriter:
    """Owned by the application's lifespan: start, then aclose, which returns when everything is written."""

    def __init__(self, store: LedgerStore, spool: Spool, places: int = PLACES, in_memory_max: int = IN_MEMORY_MAX) -> None:
        self._store, self._spool = store, spool
        self._places, self._free, self._in_memory_max = places, places, in_memory_max
        self._pending: deque[Waiting] = deque()
        self._writing: list[Waiting] = []
        self._places_writing = 0  # that those have; what was read from the spool again has none
        self._left: deque[_Stretch] = deque()
        self._wake = asyncio.Event()
        self._put = self._stored = 0  # how many records, since the start
        self._progress, self._replayed = asyncio.Condition(), asyncio.Event()
        self._is_closing = self._has_ended = False
        self._task: asyncio.Task[None] | None = None
        self._replay: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self.last_error: str | None = None

    @property
    def problems(self) -> list[str]:
        """What keeps records from where they belong."""
        return [problem for problem in (self.last_error, self._spool.problem) if problem is not None]

    def start(self) -> None:
        """Begin to write, and to bring in what earlier processes have left."""
        self._task = asyncio.create_task(self._run(), name="ledger-writer")
        self._replay = asyncio.create_task(
            replay(self._spool.folder, self._write, looked=self._replayed.set), name="ledger-replay"
        )

    def reserve(self) -> None:
        """Take a place for one request's entry, or for one other record; `put` fills it. Raises LedgerUnavailable."""
        if self._spool.problem is not None and self._is_bare and not self._spool.has_room():
            raise LedgerUnavailable("; ".join([*self.problems, "try again later"]))
        if self._free <= 0:
            raise LedgerUnavailable(f"the ledger cannot be written ({self.last_error or 'it is too slow'}); try again later")
        self._free -= 1

    def put(self, record: Record) -> None:
        """Hand a record over: when this returns it outlives the process, unless the spool cannot be written.

        Then it waits in memory. Once the writer has ended it waits in the spool for the next start, or goes to the log.
        """
        try:
            segment: Segment | None = self._spool.append(record)
        except (OSError, ValueError):  # the spool has said why, or else the store will say what is wrong with the record
            segment = None
        self._put += 1
        if self._has_ended:
            if segment is None:
                log.error("%s not written, the ledger is closed: %s", _noun(record), _as_text(record))
        elif segment is not None and len(self._pending) + len(self._writing) >= self._in_memory_max:
            self._leave(segment)
        else:
            self._pending.append((record, segment))
            self._wake.set()

    async def written(self) -> None:
        """Returns when the store has all that was put until now, and what earlier processes left. Give it a bound."""
        put = self._put
        await self._replayed.wait()
        async with self._progress:
            await self._progress.wait_for(lambda: self._stored >= put)

    async def find(self, request_id: str, key: str | None = None) -> Entry | None:
        """The latest entry with this id, with the feedback on it, written or in memory. key: of this key's only.

        What waits in the spool alone is not found: that is so only while the store has been failing for thousands of records.
        """
        records = [record for record, _ in [*self._writing, *self._pending]]
        waiting = [r for r in records if isinstance(r, Entry | Feedback) and r.request_id == request_id]
        found = next((r for r in reversed(waiting) if isinstance(r, Entry) and key in (None, r.key)), None)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.find, request_id, key)
        if found is None:
            return None
        feedback = [r for r in waiting if isinstance(r, Feedback) and r.entry in (None, found.uid)]
        if not feedback:
            return found
        # What was waiting may have been written while the store was asked.
        return msgspec.structs.replace(found, feedback=[*found.feedback, *(f for f in feedback if f not in found.feedback)])

    async def settle_hour(self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]) -> Sequence[Entry]:
        """As the store's. share: called in the writer's thread. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.settle_hour, model, hour, share)

    async def prune(self, before: float) -> Sequence[Part]:
        """As the store's. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.prune, before)

    async def aclose(self) -> None:
        """Write what is left, then stop. What cannot be written within CLOSE_S stays in the spool, or goes to the log."""
        self._is_closing = True
        self._wake.set()
        if self._replay is not None:
            self._replay.cancel()
            await asyncio.wait([self._replay])
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, CLOSE_S)
            except TimeoutError:
                self._say_what_is_left()
        self._thread.shutdown()
        self._spool.close()
        self._store.close()

    @property
    def _is_bare(self) -> bool:
        """Whether a kill would lose too much while the spool cannot be written: records in memory alone, and those to come."""
        if self.last_error is not None:
            return True
        under_way = self._places - self._free - len(self._pending) - self._places_writing
        in_memory_alone = sum(segment is None for _, segment in (*self._writing, *self._pending))
        return under_way + in_memory_alone >= EXPOSED_MAX

    def _leave(self, segment: Segment) -> None:
        """The last record of the segment waits there alone, and needs no place in memory."""
        self._free += 1
        last = self._left[-1] if self._left else None
        if last is not None and last.segment is segment and last.end == segment.last:
            last.end = segment.size
        else:
            self._left.append(_Stretch(segment, segment.last, segment.size))

    async def _run(self) -> None:
        try:
            await self._write_all()
        finally:
            self._has_ended = True

    async def _write_all(self) -> None:
        """All that is put, until the end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending or self._left:
                if len(self._pending) < BATCH_MAX and not self._left and not self._is_closing:
                    await self._gather()
                places = min(len(self._pending), BATCH_MAX)
                self._writing = [self._pending.popleft() for _ in range(places)] if places else await self._read_left()
                self._places_writing = places
                if self._writing:
                    await self._write([record for record, _ in self._writing])
                for segment, count in Counter(segment for _, segment in self._writing if segment is not None).items():
                    self._spool.stored(segment, count)
                self._free += places
                self._stored += len(self._writing)
                self._writing, self._places_writing = [], 0
                async with self._progress:
                    self._progress.notify_all()
            if self._is_closing:
                return

    async def _gather(self) -> None:
        """Let a batch form, or most of one."""
        await asyncio.sleep(GATHER_S)
        count = len(self._pending)
        # With a spool that cannot be written, room for more requests is what matters.
        if DENSE <= count < BATCH_MAX and self._spool.problem is None and not self._is_closing:
            await asyncio.sleep(min(GATHER_DENSE_S, GATHER_S * BATCH_MAX / count) - GATHER_S)

    async def _read_left(self) -> list[Waiting]:
        """The next records of those that wait in the spool alone."""
        stretch = self._left[0]
        segment, end = stretch.segment, stretch.end  # while it is read more may be appended
        damage = Damage()
        found = itertools.islice(read_segment(segment.path, damage, stretch.start, end), BATCH_MAX)
        try:
            batch = await asyncio.get_running_loop().run_in_executor(self._thread, list, found)
        except OSError as exc:
            log.error("cannot read the spool's '%s': %s; the next start tries again", segment.path, exc.strerror)
            self._left.popleft()
            return []
        if str(damage):
            log.error("%s: %s; the next start keeps the file", segment.path, damage)
        stretch.start = batch[-1][1] if len(batch) == BATCH_MAX else end
        if stretch.start == stretch.end:
            self._left.popleft()
        return [(record, segment) for record, _ in batch]

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

    def _say_what_is_left(self) -> None:
        waiting = [*self._writing, *self._pending]
        if self._left or any(segment is not None for _, segment in waiting):
            log.error("the ledger cannot be written; what it lacks waits in '%s' for the next start", self._spool.folder)
        for record, segment in waiting:
            if segment is None:
                log.error("%s not written: %s", _noun(record), _as_text(record))


def _noun(record: Record) -> str:
    return type(record).__name__.lower()


def _as_text(record: Record) -> str:
    try:
        return msgspec.json.encode(record).decode()
    except (ValueError, TypeError, OverflowError):  # what the store could not keep, JSON may not either
        return repr(record)
