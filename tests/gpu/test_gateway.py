"""From the request to the settled hour: what the gateway books, and what becomes of it."""

import asyncio
import time
from pathlib import Path

import pytest

from gateway.gpu.settling import HourlySettlement, billed
from gateway.ledger.base import IDLE
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.rollups import HOUR_S, hour_of
from gateway.ledger.spool import Spool
from gateway.ledger.writer import LedgerWriter
from gateway.loading import load_router
from tests.ledger.waiting import until
from tests.live_gateway import LiveGateway

POLICY = """version: 1
providers:
  rack: {kind: fake, ttft: 100ms, tokens_per_second: 200, words: 20}
models:
  own: {provider: rack, id: own, gpu: {usd_per_hour: 36}}
routes: [{name: all, model: own}]
"""
HOUR_NUSD = 36_000_000_000


def test_what_is_answered_is_booked_by_its_busy_time_and_settled_to_the_bill(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, POLICY) as gateway:
        if time.time() % HOUR_S > HOUR_S - 5:
            time.sleep(5)  # all of it in one hour
        hour = hour_of(time.time())
        gateway.chat()
        gateway.chat(stream=True)
    asyncio.run(settled(gateway, hour))
    reader = open_reader(gateway.settings)
    whole, streamed = reader.rows("SELECT attempt.* FROM attempt JOIN entry ON attempt.entry = entry.id ORDER BY entry.stream")
    rows = reader.rows("SELECT * FROM entry WHERE at >= ? AND at < ?", [hour, hour + HOUR_S])
    reader.close()
    assert whole["prefill_s"] == 0, "the speed of streams is not known yet"
    assert 0.09 <= streamed["prefill_s"] < streamed["busy_s"]
    for attempt in (whole, streamed):
        assert attempt["busy_s"] >= 0.15
        assert attempt["cost_nusd"] == pytest.approx(attempt["busy_s"] * HOUR_NUSD / HOUR_S, abs=1)
    by_key = {row["key"]: row["cost_nusd"] for row in rows if row["purpose"] == "gpu"}
    booked = sum(row["cost_nusd"] for row in rows if row["purpose"] == "request")
    assert by_key == {IDLE: 0, "anonymous": HOUR_NUSD - booked}
    assert booked == whole["cost_nusd"] + streamed["cost_nusd"]


async def settled(gateway: LiveGateway, hour: int) -> None:
    """A gateway that is started some hours later finds the hour open."""
    writer = LedgerWriter(open_store(gateway.settings), Spool(gateway.settings.spool))
    policy, now = load_router(gateway.policy_path).policy, [hour + 1.0]
    told: list[object] = []
    hours = HourlySettlement(
        writer, lambda: policy, billed(lambda: open_reader(gateway.settings)), told.extend, lambda: now[0], 0.01
    )
    writer.start()
    hours.start()
    await asyncio.sleep(0.2)
    now[0] += 2 * HOUR_S + 300
    await until(lambda: bool(told))
    await hours.aclose()
    await writer.aclose()
