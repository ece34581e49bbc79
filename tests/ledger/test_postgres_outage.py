"""Entries while PostgreSQL is away: all of them are there afterwards, and none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from gateway.errors import ConfigError
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from gateway.ledger.spool import Spool, abandoned
from gateway.ledger.writer import LedgerWriter
from tests.ledger.entries import answered
from tests.ledger.waiting import until
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]

BOUND_S = 1.0
EACH = 400


class Traffic:
    """Requests that are answered one after the other, as fast as they may be."""

    def __init__(self, writer: LedgerWriter) -> None:
        self._writer, self.sent = writer, 0

    async def __call__(self, count: int) -> None:
        for _ in range(count):
            self._writer.reserve()
            self._writer.put(answered(f"r-{self.sent}", "r", "m", 7))
            self.sent += 1
            await asyncio.sleep(0)


def under_traffic(url: str, spool: Path, scenario: Callable[[Traffic, LedgerWriter], Awaitable[None]]) -> int:
    """How many requests were answered in all. The writer has ended then."""

    async def run() -> int:
        writer = LedgerWriter(PostgresLedger(url, BOUND_S), Spool(spool))
        writer.start()
        traffic = Traffic(writer)
        await scenario(traffic, writer)
        await writer.aclose()
        return traffic.sent

    return asyncio.run(run())


def kept(url: str) -> tuple[int, int, int]:
    """Entries, different ones, and what the sums by the hour say."""
    reader = PostgresReader(url)
    (row,) = reader.rows("SELECT count(*) AS n, count(DISTINCT request_id) AS different FROM entry")
    (sums,) = reader.rows("SELECT coalesce(sum(requests), 0) AS n, coalesce(sum(cost_nusd), 0) AS cost FROM rollup")
    reader.close()
    assert sums["cost"] == 7 * sums["n"]
    return row["n"], row["different"], sums["n"]


def test_a_database_that_stops_answering_costs_no_entry(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def scenario(traffic: Traffic, writer: LedgerWriter) -> None:
        await traffic(EACH)
        await asyncio.sleep(0.06)  # a batch is on its way
        postgres.freeze()
        try:
            await traffic(EACH)
            await until(lambda: writer.last_error is not None)
            assert "cannot write the ledger at postgresql://127" in writer.problems[0]
            assert "hush" not in writer.problems[0]
            await traffic(EACH)
        finally:
            postgres.thaw()
        await traffic(EACH)
        await until(lambda: writer.last_error is None)

    sent = under_traffic(url, tmp_path, scenario)
    assert kept(url) == (sent, sent, sent) == (4 * EACH,) * 3
    assert abandoned(tmp_path) == []


def test_a_database_that_is_killed_and_started_again_costs_no_entry(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def scenario(traffic: Traffic, writer: LedgerWriter) -> None:
        for _ in range(3):
            sending = asyncio.create_task(traffic(EACH))
            await asyncio.sleep(0.06)
            postgres.kill()
            await sending
            await traffic(EACH)
            await asyncio.to_thread(postgres.start)
        await until(lambda: writer.last_error is None)

    sent = under_traffic(url, tmp_path, scenario)
    assert kept(url) == (sent, sent, sent) == (6 * EACH,) * 3
    assert abandoned(tmp_path) == []


def test_what_a_gateway_could_not_write_the_next_one_brings(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def ends_alone(traffic: Traffic, writer: LedgerWriter) -> None:
        await traffic(EACH)
        await asyncio.sleep(0.06)
        postgres.kill()
        await traffic(EACH)

    sent = under_traffic(url, tmp_path, ends_alone)
    postgres.start()
    there, different, summed = kept(url)
    assert there == different == summed < sent
    assert abandoned(tmp_path) != []

    async def comes_after(traffic: Traffic, writer: LedgerWriter) -> None:
        await until(lambda: abandoned(tmp_path) == [])

    under_traffic(url, tmp_path, comes_after)
    assert kept(url) == (sent, sent, sent)


def test_no_gateway_starts_while_the_database_is_away(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    PostgresLedger(url).close()
    postgres.kill()
    try:
        with pytest.raises(ConfigError, match=r"cannot open the ledger: .*TURNOUT_LEDGER_URL"):
            PostgresLedger(url)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url).close()
    finally:
        postgres.start()
