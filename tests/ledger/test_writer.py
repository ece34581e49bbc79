"""The writer: nothing lost, nobody waits, and no serving without a ledger."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

import msgspec
import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Entry, Feedback, Record
from gateway.ledger.writer import LedgerWriter
from tests.ledger.entries import entry


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

    def find(self, request_id: str) -> Entry | None:
        of_it = [r for r in self.kept if r.request_id == request_id]
        found = next((r for r in reversed(of_it) if isinstance(r, Entry)), None)
        return found and msgspec.structs.replace(found, feedback=[r for r in of_it if isinstance(r, Feedback)])

    def close(self) -> None:
        self.is_closed = True


def test_closing_writes_everything_in_order_and_in_batches() -> None:
    shelf = Shelf()

    async def scenario() -> None:
        writer = LedgerWriter(shelf)
        writer.start()
        for i in range(1200):
            writer.reserve()
            writer.put(entry(f"r-{i}"))
        await writer.aclose()

    asyncio.run(scenario())
    assert [e.request_id for e in shelf.kept] == [f"r-{i}" for i in range(1200)]
    assert shelf.batches == 3
    assert shelf.is_closed


def test_a_store_that_fails_is_tried_again_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(fails=2)
    caplog.set_level(logging.INFO, "turnout.ledger")

    async def scenario() -> None:
        writer = LedgerWriter(shelf)
        writer.start()
        writer.reserve()
        writer.put(entry("r-1"))
        await writer.aclose()
        assert writer.last_error is None

    asyncio.run(scenario())
    assert [e.request_id for e in shelf.kept] == ["r-1"]
    assert [r.message for r in caplog.records] == ["the disk is full; trying again until it works", "the ledger is written again"]


def test_with_no_place_left_requests_are_refused_and_served_again_once_there_is() -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, places=2)
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


def test_an_entry_is_found_before_it_is_written_and_after() -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)

    async def scenario() -> None:
        writer = LedgerWriter(shelf)
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


def test_what_cannot_be_written_at_the_end_is_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.writer.CLOSE_S", 0.05)

    async def scenario() -> None:
        writer = LedgerWriter(Shelf(fails=1_000_000))
        writer.start()
        writer.reserve()
        writer.put(entry("the-lost-one"))
        await writer.aclose()

    asyncio.run(scenario())
    assert any("entry not written" in r.message and "the-lost-one" in r.message for r in caplog.records)


def test_entry_that_can_never_be_kept_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()

    async def scenario() -> None:
        writer = LedgerWriter(shelf)
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


def test_feedback_is_found_once_with_its_entry_before_it_is_written_and_after() -> None:
    gate = threading.Event()
    shelf = Shelf(gate=gate)
    said = [Feedback("r-1", float(n), -1.0) for n in range(3)]

    async def scenario() -> None:
        async def seen() -> list[Feedback]:
            found = await writer.find("r-1")
            assert found is not None
            return found.feedback

        def tell(record: Record) -> None:
            writer.reserve()
            writer.put(record)

        writer = LedgerWriter(shelf)
        writer.start()
        tell(entry("r-1"))
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
    assert shelf.kept == [entry("r-1"), *said]


def test_feedback_takes_a_place_and_is_tried_again_like_an_entry(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(fails=1)

    async def scenario() -> None:
        writer = LedgerWriter(shelf, places=2)
        writer.start()
        writer.reserve()
        writer.put(Feedback("r-1", 1.0, 1.0))
        writer.reserve()
        writer.put(Feedback("r-1", 2.0, 1.0, comment="poison"))
        with pytest.raises(LedgerUnavailable):
            writer.reserve()
        await writer.aclose()

    asyncio.run(scenario())
    assert shelf.kept == [Feedback("r-1", 1.0, 1.0)]
    assert any(r.message.startswith("feedback not written (not a value that can be kept): ") for r in caplog.records)
