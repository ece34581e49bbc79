"""Hours settled in real stores, by several gateways at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.gpu.hour import name_of
from gateway.gpu.settling import HourlySettlement, billed
from gateway.ledger.base import IDLE, Entry, LedgerReader
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.rollups import HOUR_S
from gateway.ledger.spool import Spool
from gateway.ledger.writer import LedgerWriter
from gateway.settings import Settings, load_settings
from tests.gpu.test_settling import HOUR_NUSD, OWN, START, asked
from tests.ledger.waiting import until
from tests.policy.sample import compiled
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]  # a fixture

HOURS = 3


async def is_open(writer: LedgerWriter, hour: int) -> None:
    async with asyncio.timeout(15):
        while await writer.find(name_of("own", START + hour * HOUR_S), IDLE) is None:  # noqa: ASYNC110 - only a ledger tells
            await asyncio.sleep(0.01)


async def settle_beside_each_other(settings: Settings, tmp_path: Path, count: int) -> int:
    """So many gateways, through some hours, in each of which something is asked of each. Returns what they said they wrote."""
    told: list[int] = []
    now = [START + 1.0]
    writers = [LedgerWriter(open_store(settings), Spool(tmp_path / f"spool-{n}")) for n in range(count)]
    hours = [
        HourlySettlement(
            writer,
            lambda: OWN,
            billed(lambda: open_reader(settings)),
            lambda entries: told.extend(entry.cost_nusd or 0 for entry in entries),
            lambda: now[0],
            0.01,
        )
        for writer in writers
    ]
    for writer, one in zip(writers, hours, strict=True):
        writer.start()
        one.start()
    booked = 0
    for hour in range(HOURS):
        now[0] = START + hour * HOUR_S + 1.0
        for writer in writers:
            await is_open(writer, hour)
        if hour != 1:  # nothing is asked in the second
            for n, writer in enumerate(writers):
                request = asked(hour * HOUR_S + 5, 10.0 + n, key=f"app-{n}")
                booked += request.cost_nusd or 0
                writer.reserve()
                writer.put(request)
    reader = open_reader(settings)
    written = "SELECT sum(cost_nusd) AS cost FROM rollup WHERE purpose = 'request'"
    await until(lambda: reader.rows(written)[0]["cost"] == booked)
    reader.close()
    now[0] = START + HOURS * HOUR_S + 301.0
    await until(lambda: sum(told) == HOURS * HOUR_NUSD - booked)
    await asyncio.sleep(0.5)  # in which nobody else may find anything to settle
    for one in hours:
        assert one.problem is None
        await one.aclose()
    for writer in writers:
        await writer.aclose()
    return sum(told)


def check(reader: LedgerReader, told: int, count: int) -> None:
    entries = reader.rows("SELECT at, key, cost_nusd, purpose FROM entry WHERE at < ?", [START + HOURS * HOUR_S])
    for hour in range(HOURS):
        of_hour = [row for row in entries if START + hour * HOUR_S <= row["at"] < START + (hour + 1) * HOUR_S]
        assert sum(row["cost_nusd"] for row in of_hour) == HOUR_NUSD
        assert sum(row["key"] == "(idle)" for row in of_hour) == (2 if hour == 1 else 1), (
            "opened once, and settled if nobody came"
        )
        assert len(of_hour) == (2 if hour == 1 else 1 + 2 * count)
    rolled = reader.rows("SELECT sum(cost_nusd) AS cost FROM rollup WHERE hour < ?", [START + HOURS * HOUR_S])
    assert rolled[0]["cost"] == HOURS * HOUR_NUSD
    assert told == sum(row["cost_nusd"] for row in entries if row["purpose"] == "gpu")


def test_three_gateways_settle_each_hour_once_in_sqlite(tmp_path: Path) -> None:
    settings = load_settings({"TURNOUT_DATA_DIR": str(tmp_path)})
    told = asyncio.run(settle_beside_each_other(settings, tmp_path, 3))
    reader = open_reader(settings)
    check(reader, told, 3)
    reader.close()


def test_three_gateways_settle_each_hour_once_in_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    settings = load_settings({"TURNOUT_DATA_DIR": str(tmp_path), "TURNOUT_LEDGER_URL": postgres.new_database()})
    told = asyncio.run(settle_beside_each_other(settings, tmp_path, 3))
    reader = open_reader(settings)
    check(reader, told, 3)
    reader.close()


def test_a_model_that_the_policy_of_the_next_start_has_no_more_is_settled_by_it(tmp_path: Path) -> None:
    settings = load_settings({"TURNOUT_DATA_DIR": str(tmp_path)})
    without = compiled("""version: 1
providers: {rack: {kind: fake}}
models: {other: {provider: rack, id: x, price: {input: 1, output: 1}}}
routes: [{name: all, model: other}]
""")

    def is_settled() -> bool:
        reader = open_reader(settings)
        try:
            return bool(reader.rows("SELECT sum(cost_nusd) AS cost FROM rollup WHERE hour = ?", [START])[0]["cost"] == HOUR_NUSD)
        finally:
            reader.close()

    async def scenario() -> None:
        now = [START + 1.0]
        for policy in (OWN, without):
            writer = LedgerWriter(open_store(settings), Spool(settings.spool))
            models = billed(lambda: open_reader(settings))
            hours = HourlySettlement(writer, lambda policy=policy: policy, models, now=lambda: now[0], step_s=0.01)
            writer.start()
            hours.start()
            await (is_open(writer, 0) if policy is OWN else until(is_settled))
            await hours.aclose()
            await writer.aclose()
            now[0] += HOUR_S + 300

    asyncio.run(scenario())


def test_what_a_killed_gateway_left_in_its_spool_is_settled_by_the_next(tmp_path: Path) -> None:
    settings = load_settings({"TURNOUT_DATA_DIR": str(tmp_path)})

    async def scenario() -> None:
        left = Spool(settings.spool)
        left.append(asked(5, 10.0))
        left.close()
        now, told = [START + 1.0], [0]

        def tell(entries: Sequence[Entry]) -> None:
            told[0] += sum(entry.cost_nusd or 0 for entry in entries)

        writer = LedgerWriter(open_store(settings), Spool(settings.spool))
        hours = HourlySettlement(writer, lambda: OWN, billed(lambda: open_reader(settings)), tell, lambda: now[0], 0.01)
        hours.start()
        await is_open(writer, 0)
        now[0] += HOUR_S + 300  # and the writer has not begun: what is in the spool comes later
        await asyncio.sleep(0.2)
        writer.start()
        await is_open(writer, 1)
        reader = open_reader(settings)
        await until(lambda: bool(reader.rows("SELECT uid FROM entry WHERE purpose = 'request'")))
        now[0] += HOUR_S
        settled = "SELECT sum(cost_nusd) AS cost FROM rollup WHERE hour = ?"
        await until(lambda: reader.rows(settled, [START])[0]["cost"] == HOUR_NUSD)
        reader.close()
        await hours.aclose()
        await writer.aclose()

    asyncio.run(scenario())
