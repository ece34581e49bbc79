"""Months past keeping go by themselves, and it is said when they do not."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.ledger.months import begin_of, end_of
from gateway.ledger.retention import AGAIN_S, EVERY_S, Retention
from gateway.ledger.spool import Spool
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.writer import LedgerWriter
from tests.ledger.entries import entry
from tests.ledger.waiting import until

DAY = 86_400.0


def test_a_gateway_drops_them_and_says_which(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.ledger")
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([entry("old", at=begin_of(202501)), entry("kept", at=begin_of(202502))])

    async def scenario() -> None:
        writer = LedgerWriter(ledger, Spool(tmp_path / "spool"))
        writer.start()
        task = asyncio.create_task(Retention(writer, 400 * DAY, lambda: end_of(202501) + 400 * DAY).run())
        await until(lambda: "dropped from the ledger: entry_202501" in caplog.text)
        task.cancel()
        await asyncio.wait([task])
        await writer.aclose()

    asyncio.run(scenario())
    reader = SqliteReader(path)
    assert [part.entry for part in reader.parts()] == ["entry_202502"]
    reader.close()


def test_what_could_not_be_dropped_is_tried_again_sooner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    troubles: list[str | None] = []

    class Locked(LedgerWriter):
        async def prune(self, before: float) -> list[object]:  # type: ignore[override]
            if len(waited) < 2:
                raise OSError("lock timeout")
            return []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        troubles.append(retention.problem)
        if len(waited) == 3:
            raise asyncio.CancelledError

    retention = Retention(Locked(SqliteLedger(tmp_path / "ledger.db"), Spool(tmp_path / "spool")), 400 * DAY)
    monkeypatch.setattr("gateway.ledger.retention.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(retention.run())
    assert waited == [AGAIN_S, AGAIN_S, EVERY_S]
    said = "months past keeping are still in the ledger: lock timeout"
    assert troubles == [said, said, None]
    assert said in caplog.text
