"""The task that opens hours and settles them, in virtual time: by the end of a day its entries are its bill."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.gpu.hour import GRACE_S, IDLE
from gateway.gpu.settling import LOOK_BACK_S, STEP_S, HourlySettlement
from gateway.ledger.base import Entry
from gateway.ledger.rollups import HOUR_S, hour_of
from gateway.policy.compile import Policy
from gateway.usage import Usage
from tests.gpu.memory_ledger import MemoryLedger
from tests.policy.sample import compiled
from tests.virtual_time import run

START = 1_790_000_000 // HOUR_S * HOUR_S  # the loop's clock begins at 0
HOUR_NUSD = 2_000_000_000
SOON_S = HOUR_S + GRACE_S + 2 * STEP_S


def policy_with(gpu: str, name: str = "own") -> Policy:
    text = f"""version: 1
providers: {{rack: {{kind: fake}}}}
models:
  {name}: {{provider: rack, id: own, {gpu}}}
routes: [{{name: all, model: {name}}}]
"""
    return compiled(text)


OWN = policy_with("gpu: {usd_per_hour: 2}")


def asked(at: float, busy_s: float, key: str = "app", cost: int | None = None) -> Entry:
    """A request that the machine answered; charged its share of the busy time unless another cost is given."""
    cost = round(HOUR_NUSD * busy_s / HOUR_S) if cost is None else cost
    attempt = Attempt("rack", "own", busy_s=busy_s, prefill_s=busy_s / 4, usage=Usage(input=100, output=20), cost_nusd=cost)
    return Entry(
        request_id="r",
        at=START + at,
        dialect="openai",
        requested_model="auto",
        stream=False,
        key=key,
        policy_hash="p",
        draw=0.0,
        route="all",
        model="own",
        provider="rack",
        attempts=[attempt],
        cost_nusd=cost,
    )


class Gateway:
    """One process that settles, and the policy that it has."""

    def __init__(self, ledger: MemoryLedger, policy: Policy = OWN, step_s: float = STEP_S) -> None:
        self.policy, self.told = policy, 0
        clock = asyncio.get_running_loop().time
        self.settlement = HourlySettlement(
            ledger, lambda: self.policy, ledger.billed, self._tell, lambda: START + clock(), step_s
        )
        self.settlement.start()

    def _tell(self, entries: object) -> None:
        assert isinstance(entries, list)
        self.told += sum(entry.cost_nusd for entry in entries)

    async def up(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.settlement.aclose()


def play(scenario: Coroutine[Any, Any, None]) -> None:
    run(scenario)


def test_an_idle_hour_is_paid_for_when_it_is_over() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        gateway = Gateway(ledger)
        await asyncio.sleep(HOUR_S + GRACE_S - 1)
        assert ledger.of_gpu() == [(None, IDLE, 0), (None, IDLE, 0)], "two hours are open"
        await gateway.up(2 * STEP_S)
        assert ledger.of_gpu()[2:] == [(None, IDLE, HOUR_NUSD)]
        assert gateway.told == HOUR_NUSD

    play(scenario())


def test_who_used_the_hour_pays_for_it() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        ledger.entries = [asked(10, 30.0), asked(3599, 90.0, "batch")]
        await Gateway(ledger).up(SOON_S)
        paid = {use.key: use.cost_nusd for use in ledger.uses("own", START)}
        assert paid == {IDLE: 0, "app": HOUR_NUSD // 4, "batch": HOUR_NUSD * 3 // 4}

    play(scenario())


def test_what_reaches_the_ledger_late_is_settled_as_well() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        gateway = Gateway(ledger)
        await asyncio.sleep(SOON_S)
        ledger.entries.append(asked(60, 5.0))  # it had waited in a spool
        await gateway.up(HOUR_S)
        assert {use.key: use.cost_nusd for use in ledger.uses("own", START)} == {IDLE: 0, "app": HOUR_NUSD}

    play(scenario())


def test_a_restart_settles_what_was_open() -> None:
    """An idle hour as well: that the gateway was up in it is in the ledger. The hours in which none was are not paid for."""

    async def scenario() -> None:
        ledger = MemoryLedger()
        await Gateway(ledger).up(HOUR_S - 60)
        assert ledger.paid("own") == 0
        await asyncio.sleep(5 * HOUR_S)
        await Gateway(ledger).up(1)
        assert ledger.paid("own") == HOUR_NUSD
        assert [key for _, key, cost in ledger.of_gpu() if cost] == [IDLE]

    play(scenario())


def test_nobody_settles_what_is_older_than_the_last_week() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        await Gateway(ledger).up(60)
        await asyncio.sleep(LOOK_BACK_S + 2 * HOUR_S)
        await Gateway(ledger).up(1)
        assert ledger.paid("own") == 0

    play(scenario())


def test_an_hour_keeps_the_price_that_it_began_with() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        gateway = Gateway(ledger)
        await asyncio.sleep(600)
        gateway.policy = policy_with("gpu: {usd_per_hour: 5, count: 2}")
        await gateway.up(2 * HOUR_S + GRACE_S)
        by_hour = [sum(use.cost_nusd for use in ledger.uses("own", START + n * HOUR_S)) for n in range(3)]
        assert by_hour == [HOUR_NUSD, 10_000_000_000, 0]
        await asyncio.sleep(60)
        await Gateway(ledger, policy_with("gpu: {usd_per_hour: 7}")).up(60)
        assert ledger.paid("own") == HOUR_NUSD + 10_000_000_000, "the start with another price changes nothing that was"

    play(scenario())


@pytest.mark.parametrize("gpu", ["gpu: {usd_per_hour: 2, utilisation: 0.4}", "price: {input: 1, output: 2}", None])
def test_a_model_that_is_settled_no_more_is_until_then(gpu: str | None) -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        gateway = Gateway(ledger)
        await asyncio.sleep(600)
        gateway.policy = policy_with("price: unknown", name="other") if gpu is None else policy_with(gpu)
        ledger.entries.append(asked(HOUR_S + 5, 1.0, cost=7))
        await gateway.up(3 * HOUR_S)
        assert ledger.paid("own") == HOUR_NUSD + 7

    play(scenario())


def test_a_ledger_that_is_away_is_tried_again() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        gateway = Gateway(ledger)
        await asyncio.sleep(60)
        ledger.is_away = True
        await asyncio.sleep(2 * HOUR_S)
        assert ledger.paid("own") == 0
        assert gateway.settlement.problem is not None and "the database is away" in gateway.settlement.problem
        ledger.is_away = False
        await gateway.up(2 * STEP_S)
        assert gateway.settlement.problem is None
        assert ledger.paid("own") == HOUR_NUSD

    play(scenario())


def test_an_hour_is_opened_as_soon_as_the_ledger_takes_entries() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        ledger.is_full = True
        gateway = Gateway(ledger)
        await asyncio.sleep(1800)
        assert gateway.settlement.problem is not None and ledger.entries == []
        ledger.is_full = False
        await gateway.up(SOON_S)
        assert ledger.paid("own") == HOUR_NUSD

    play(scenario())


def test_a_mistake_is_said_and_does_not_pass_for_work() -> None:
    async def scenario() -> None:
        class Broken(MemoryLedger):
            async def find(self, request_id: str, key: str | None = None) -> Entry | None:
                raise TypeError("no such thing")

        gateway = Gateway(Broken())
        await asyncio.sleep(1)
        assert gateway.settlement.problem is not None and "start the gateway anew" in gateway.settlement.problem
        await gateway.settlement.aclose()

    play(scenario())


def test_a_machine_that_costs_nothing_leaves_no_entries() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        ledger.entries = [asked(10, 30.0, cost=0)]
        await Gateway(ledger, policy_with("gpu: {usd_per_hour: 0}")).up(SOON_S)
        assert ledger.of_gpu() == []

    play(scenario())


def test_two_gateways_settle_an_hour_once() -> None:
    async def scenario() -> None:
        ledger = MemoryLedger()
        ledger.entries = [asked(10, 30.0)]
        first, second = Gateway(ledger), Gateway(ledger)
        await asyncio.gather(first.up(SOON_S), second.up(SOON_S))
        assert ledger.paid("own") == HOUR_NUSD
        assert len(ledger.of_gpu()) == 3, "two hours opened, one settled"
        assert first.told + second.told == HOUR_NUSD - round(HOUR_NUSD * 30 / HOUR_S)

    play(scenario())


@pytest.mark.timeout(60)  # some thousand hours are settled
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 24 * HOUR_S - 1),  # when it came
            st.floats(0, 900),  # how long the machine was busy with it
            st.sampled_from(["app", "batch", "night"]),
            st.none() | st.integers(0, 10**10),  # what it was charged, by a given speed
            st.floats(0, 4 * HOUR_S),  # how long it waited for the ledger
        ),
        max_size=40,
    ),
    st.lists(st.floats(60, 6 * HOUR_S), max_size=6),
    st.integers(0, 1000),
)
def test_the_entries_of_a_day_are_its_bill(
    requests: list[tuple[float, float, str, int | None, float]], runs: list[float], seed: int
) -> None:
    """Whatever is asked, however late it is written, whenever the gateway is started anew, alone or two of them."""

    async def scenario() -> None:
        ledger, chance = MemoryLedger(), random.Random(seed)
        for at, busy_s, key, cost, late_s in requests:
            entry = asked(at, busy_s, key, cost)
            asyncio.get_running_loop().call_later(at + late_s, ledger.put, entry)
        up_s = 0.0
        for run_s in runs:
            gateways = [Gateway(ledger, step_s=300) for _ in range(chance.choice([1, 2]))]
            await asyncio.gather(*(gateway.up(run_s) for gateway in gateways))
            up_s += run_s
        await Gateway(ledger, step_s=300).up(max(31 * HOUR_S - up_s, 8 * HOUR_S))
        day = [START + n * HOUR_S for n in range(24)]
        by_hour = [sum(use.cost_nusd for use in ledger.uses("own", hour)) for hour in day]
        assert by_hour == [HOUR_NUSD] * 24
        booked = sum(e.cost_nusd or 0 for e in ledger.entries if hour_of(e.at) in day)
        assert booked == 24 * HOUR_NUSD

    play(scenario())
