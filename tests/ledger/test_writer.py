"""The writer: nothing lost, nobody waits, and no serving without a ledger."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Entry, Feedback, Record
from gateway.ledger.spool import Spool, encode
from gateway.ledger.writer import DENSE, EXPOSED_MAX, GATHER_S, LedgerWriter
from tests.ledger.entries import entry
from tests.ledger.waiting import until
from tests.virtual_time import run


class Shelf:
    """A store in a list. fails: how many appends fail first. gate: appends wait until it is set."""

    def __init__(self, fails: int = 0, gate: threading.Event | None = None) -> None:
        self.kept: list[Record] = []
        self.batches = 0
        self.fails, self.gate = fails, gate
        self.is_closed = False

    def append(self, records: Sequence[Record]) -> None:
        if self.gate is not None:
            self.gate.wait(10)
        if self.fails > 0:
            self.fails -= 1
            raise OSError("the disk is full")
        if any((r.error if isinstance(r, Entry) else r.comment) == "poison" for r in records):
            raise ValueError("not a value that can be kept")
        self.batches += 1
        self.kept.extend(records)

    def find(self, request_id: str, key: str | None = None) -> Entry | None:
        of_it = [r for r in self.kept if r.request_id == request_id]
        found = next((r for r in reversed(of_it) if isinstance(r, Entry) and key in (None, r.key)), None)
        return found and msgspec.structs.replace(found, feedback=[r for r in of_it if isinstance(r, Feedback)])

    def close(self) -> None:
        self.is_closed = True


def test_closing_writes_everything_in_order_and_in_batches(tmp_path: Path) -> None:
    shelf = Shelf()

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        for i in range(1200):
            writer.reserve()
            writer.put(entry(f"r-{i}"))
        await writer.aclose()

    asyncio.run(scenario())
    assert [e.request_id for e in shelf.kept] == [f"r-{i}" for i in range(1200)]
    assert shelf.batches == 3
    assert shelf.is_closed


@pytest.mark.parametrize(("count", "batches"), [(DENSE - 1, 2), (DENSE, 1)])
def test_a_batch_is_let_grow_where_records_come_thick(tmp_path: Path, count: int, batches: int) -> None:
    shelf = Shelf()

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        for wait_s in (GATHER_S * 2, 0.0):
            for i in range(count):
                writer.reserve()
                writer.put(entry(f"r-{i}"))
            await asyncio.sleep(wait_s)
        await writer.written()
        await writer.aclose()

    run(scenario())
    assert (len(shelf.kept), shelf.batches) == (2 * count, batches)


def test_it_says_when_all_that_was_put_is_written(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path), in_memory_max=3)  # so that some wait in the spool alone
        writer.start()
        await writer.written()
        for i in range(8):
            writer.reserve()
            writer.put(entry(f"r-{i}"))
        written = asyncio.create_task(writer.written())
        await asyncio.sleep(0.2)
        assert not written.done()
        writer.reserve()
        writer.put(entry("later"))
        gate.set()
        async with asyncio.timeout(10):
            await written
        assert {f"r-{i}" for i in range(8)} <= {r.request_id for r in shelf.kept if isinstance(r, Entry)}
        await writer.aclose()

    asyncio.run(scenario())


def test_a_store_that_fails_is_tried_again_until_it_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(fails=2)
    caplog.set_level(logging.INFO, "turnout.ledger")

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        writer.reserve()
        writer.put(entry("r-1"))
        await writer.aclose()
        assert writer.last_error is None

    asyncio.run(scenario())
    assert [e.request_id for e in shelf.kept] == ["r-1"]
    assert [r.message for r in caplog.records] == ["the disk is full; trying again until it works", "the ledger is written again"]


def test_with_no_place_left_requests_are_refused_and_served_again_once_there_is(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path), places=2)
        writer.start()
        for i in range(2):
            writer.reserve()
            writer.put(entry(f"r-{i}"))
        with pytest.raises(LedgerUnavailable) as refused:
            writer.reserve()
        assert (refused.value.status, refused.value.code) == (503, "ledger_unavailable")
        gate.set()
        async with asyncio.timeout(10):
            while True:
                try:
                    writer.reserve()
                    break
                except LedgerUnavailable:
                    await asyncio.sleep(0.001)
        writer.put(entry("r-2"))
        await writer.aclose()

    asyncio.run(scenario())
    assert len(shelf.kept) == 3


def test_an_entry_is_found_before_it_is_written_and_after(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        writer.reserve()
        writer.put(entry("r-1", route="pending"))
        found = await writer.find("r-1")
        assert found is not None and found.route == "pending"
        gate.set()
        again = await writer.find("r-1")
        assert again is not None and await writer.find("nobody") is None
        await writer.aclose()

    asyncio.run(scenario())
    assert shelf.find("r-1") is not None


def test_what_cannot_be_written_at_the_end_waits_in_the_spool_for_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.writer.CLOSE_S", 0.05)
    shelf = Shelf()

    async def scenario(writer: LedgerWriter, *records: Record) -> None:
        writer.start()
        for record in records:
            writer.reserve()
            writer.put(record)
        if not records:
            await until(lambda: len(shelf.kept) == 2 and not any(tmp_path.iterdir()))
        await writer.aclose()

    kept = [entry("r-1"), Feedback("r-1", 1.0, 1.0)]
    asyncio.run(scenario(LedgerWriter(Shelf(fails=1_000_000), Spool(tmp_path)), *kept))
    assert any("waits in" in r.message and str(tmp_path) in r.message for r in caplog.records)
    asyncio.run(scenario(LedgerWriter(shelf, Spool(tmp_path))))
    assert shelf.kept == kept


def test_what_neither_spool_nor_store_can_keep_at_the_end_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.writer.CLOSE_S", 0.05)

    async def scenario() -> None:
        writer = LedgerWriter(Shelf(fails=1_000_000), Spool(tmp_path, bytes_max=0))
        writer.start()
        writer.reserve()
        writer.put(entry("the-lost-one"))
        await writer.aclose()

    asyncio.run(scenario())
    assert any("entry not written" in r.message and "the-lost-one" in r.message for r in caplog.records)


def test_while_neither_spool_nor_store_works_requests_are_refused_and_what_was_accepted_is_written_after_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(fails=3)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path, bytes_max=0))
        writer.start()
        writer.reserve()
        writer.put(entry("r-1"))
        writer.reserve()  # the store has not failed yet
        await until(lambda: len(writer.problems) == 2)
        with pytest.raises(LedgerUnavailable, match=r"the disk is full; cannot write the spool .* it holds 0 bytes"):
            writer.reserve()
        writer.put(entry("r-2"))
        await until(lambda: len(shelf.kept) == 2)
        writer.reserve()  # the store alone is enough
        await writer.aclose()

    asyncio.run(scenario())
    assert [r.request_id for r in shelf.kept] == ["r-1", "r-2"]
    assert sum("records wait in memory" in r.message for r in caplog.records) == 1


def test_what_is_read_from_the_spool_again_takes_nobody_s_place(tmp_path: Path) -> None:
    batches = threading.Semaphore(0)

    class Slow(Shelf):
        def append(self, records: Sequence[Record]) -> None:
            assert batches.acquire(timeout=10)
            super().append(records)

    shelf, kept = Slow(), [entry(f"kept-{i}") for i in range(8)]
    size = max(len(encode(record)) for record in kept)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path, bytes_max=8 * size), in_memory_max=3)
        writer.start()
        for record in kept:  # five of them have no place in memory
            writer.reserve()
            writer.put(record)
        batches.release()
        await until(lambda: len(shelf.kept) == 3)
        await asyncio.sleep(GATHER_S * 3)  # the five are read, and the store has them in its hands
        for n in range(EXPOSED_MAX):
            writer.reserve()
            if n == 0:
                writer.put(entry("bare" * size))  # the spool is full
        with pytest.raises(LedgerUnavailable, match="the limit is"):
            writer.reserve()
        for _ in range(2):
            batches.release()
        await until(lambda: len(shelf.kept) == 9)
        writer.reserve()
        await writer.aclose()

    asyncio.run(scenario())


def test_while_the_spool_cannot_be_written_few_records_are_in_memory_alone(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf, folder = Shelf(gate=gate), tmp_path / "spool"

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(folder, segment_bytes=1))
        writer.start()
        for i in range(150):  # in the spool: no kill loses them, however many
            writer.reserve()
            writer.put(entry(f"kept-{i}"))
        folder.rename(tmp_path / "away")
        for i in range(60):
            writer.reserve()
            writer.put(entry(f"bare-{i}"))
        for _ in range(EXPOSED_MAX - 60):
            writer.reserve()  # under way
        with pytest.raises(LedgerUnavailable, match="cannot write the spool") as refused:
            writer.reserve()
        assert (refused.value.status, refused.value.code) == (503, "ledger_unavailable")
        gate.set()
        await until(lambda: len(shelf.kept) == 210)
        await asyncio.sleep(0.05)
        for _ in range(60):  # the store has those
            writer.reserve()
        with pytest.raises(LedgerUnavailable):
            writer.reserve()
        (tmp_path / "away").rename(folder)
        for _ in range(2 * EXPOSED_MAX):
            writer.reserve()
        await writer.aclose()

    asyncio.run(scenario())


def test_when_the_spool_alone_is_back_requests_are_served_again(tmp_path: Path) -> None:
    shelf, folder = Shelf(fails=1_000_000), tmp_path / "spool"

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(folder, segment_bytes=1))
        writer.start()
        writer.reserve()
        writer.put(entry("r-1"))
        folder.rename(tmp_path / "away")
        writer.reserve()
        writer.put(entry("r-2"))
        await until(lambda: len(writer.problems) == 2)
        with pytest.raises(LedgerUnavailable):
            writer.reserve()
        (tmp_path / "away").rename(folder)
        writer.reserve()
        writer.put(entry("r-3"))
        assert writer.problems == ["the disk is full"]
        shelf.fails = 0
        await until(lambda: len(shelf.kept) == 3)
        await writer.aclose()

    asyncio.run(scenario())
    assert list(folder.iterdir()) == []


def test_while_the_store_is_away_the_spool_takes_more_than_memory_has_places_for(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)
    sent = [entry(f"r-{i}") for i in range(3000)]

    async def scenario() -> None:
        spool = Spool(tmp_path, segment_bytes=100_000)
        writer = LedgerWriter(shelf, spool, places=30, in_memory_max=20)
        writer.start()
        for one in sent[:2000]:
            writer.reserve()
            writer.put(one)
        await asyncio.sleep(0.05)  # the first batch is in the store's hands
        gate.set()
        for one in sent[2000:]:  # while others are read from the spool
            writer.reserve()
            writer.put(one)
            await asyncio.sleep(0)
        await until(lambda: len(shelf.kept) == 3000)
        await writer.aclose()

    asyncio.run(scenario())
    assert sorted(e.uid or "" for e in shelf.kept) == sorted(e.uid or "" for e in sent)
    assert list(tmp_path.iterdir()) == []


def test_entry_that_can_never_be_kept_does_not_hold_up_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        for name in ("a", "bad", "b"):
            writer.reserve()
            writer.put(entry(name, error="poison" if name == "bad" else None, cost_nusd=2**70))
        await writer.aclose()

    asyncio.run(scenario())
    assert [e.request_id for e in shelf.kept] == ["a", "b"]
    (record,) = caplog.records
    assert record.message.startswith("entry not written (not a value that can be kept): ")
    assert "bad" in record.message


def test_feedback_is_found_once_with_its_entry_before_it_is_written_and_after(tmp_path: Path) -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)
    answer = entry("r-1")
    said = [Feedback("r-1", float(n), -1.0) for n in range(3)]

    async def scenario() -> None:
        async def seen() -> list[Feedback]:
            found = await writer.find("r-1")
            assert found is not None
            return found.feedback

        def tell(record: Record) -> None:
            writer.reserve()
            writer.put(record)

        writer = LedgerWriter(shelf, Spool(tmp_path))
        writer.start()
        tell(answer)
        tell(said[0])
        assert await seen() == said[:1]  # neither is written
        gate.set()
        async with asyncio.timeout(10):
            while True:
                if shelf.kept:
                    break
                await asyncio.sleep(0.001)
        gate.clear()
        tell(said[1])
        waiting = asyncio.create_task(seen())  # the store is asked while the second one is on its way
        await asyncio.sleep(0.05)
        gate.set()
        assert await waiting == said[:2]
        tell(said[2])
        assert await seen() == said
        await writer.aclose()

    asyncio.run(scenario())
    assert shelf.kept == [answer, *said]


def test_feedback_takes_a_place_and_is_tried_again_like_an_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(fails=1)
    kept = Feedback("r-1", 1.0, 1.0)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, Spool(tmp_path), places=2)
        writer.start()
        writer.reserve()
        writer.put(kept)
        writer.reserve()
        writer.put(Feedback("r-1", 2.0, 1.0, comment="poison"))
        with pytest.raises(LedgerUnavailable):
            writer.reserve()
        await writer.aclose()

    asyncio.run(scenario())
    assert shelf.kept == [kept]
    assert any(r.message.startswith("feedback not written (not a value that can be kept): ") for r in caplog.records)


def test_what_waits_to_be_written_is_found_for_its_own_key(tmp_path: Path) -> None:
    gate = threading.Event()

    async def scenario() -> None:
        writer = LedgerWriter(Shelf(gate=gate), Spool(tmp_path))
        writer.start()
        hers, his = entry("same", key="ann"), entry("same", key="bob")
        for record in (hers, his, Feedback("same", 1.0, 1.0, entry=hers.uid)):
            writer.reserve()
            writer.put(record)
        found = {key: await writer.find("same", key) for key in ("ann", "bob", None)}
        assert {key: (one.key, len(one.feedback)) for key, one in found.items() if one is not None} == {
            **{"ann": ("ann", 1), "bob": ("bob", 0)},
            **{None: ("bob", 0)},
        }
        gate.set()
        assert await writer.find("same", "eve") is None
        await writer.aclose()

    asyncio.run(scenario())
