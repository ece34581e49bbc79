"""`kill -9` under load: every answer that was received whole has its entry, once, when the gateway is back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from benchmarks.crashes import crash
from benchmarks.witness import Witness, booked
from gateway.cli.listen import bind
from gateway.settings import Settings
from tests.processes.gateways import all_serve, gateway, gone_within

pytestmark = pytest.mark.timeout(90)


def test_no_entry_is_lost_and_none_is_there_twice_though_the_last_record_is_torn(tmp_path: Path) -> None:
    tally = asyncio.run(crash(tmp_path, 1, 1, random.Random(5)))
    assert tally.answers > 10
    assert (tally.lost, tally.doubled) == (0, 0)
    assert "cannot be read: it breaks off" in (tmp_path / "log").read_text()
    ids = {id_ for id_, *_ in booked(tmp_path / "ledger.db")}
    assert "torn" not in ids and len(ids) >= tally.answers


def test_workers_end_with_a_supervisor_that_is_killed_and_lose_nothing(tmp_path: Path) -> None:
    async def scenario() -> set[str]:
        async with gateway(tmp_path, workers=2) as server:
            workers = await all_serve(server, 2)
            port = int(server.url.rpartition(":")[2])
            async with Witness(server.url, stops_at_failure=True) as witness:
                await witness.answered(20)
                os.kill(server.pid, signal.SIGKILL)
                assert await asyncio.to_thread(gone_within, workers, 30)
            assert "the supervisor has ended, and so does this worker" in server.log.read_text()
            assert list((tmp_path / "spool").iterdir()) == []  # they ended in good order
        bind(Settings(policy=tmp_path, port=port), is_shared=False).close()  # the address is free for the next one
        return witness.whole

    whole = asyncio.run(scenario())
    assert whole == {id_ for id_, *_ in booked(tmp_path / "ledger.db")}
