"""Places for calls in flight: never more than the bound, none lost, and who waits for one gets it in turn."""

import asyncio
import random
from collections import Counter

import pytest

from gateway.errors import UpstreamError
from gateway.health.breaker import Breaker
from gateway.health.gate import PRIORITIES, Gate, Place, enter
from gateway.health.model import Health
from gateway.policy.failover import BreakerRule, Capacity, Priority
from tests.virtual_time import run

LONG = 1e9


def gate(in_flight_max: int | None = 1, length: int = 0, wait_s: float = 5.0) -> Gate:
    return Gate("p/a", Capacity(in_flight_max, length, wait_s), asyncio.get_running_loop().time)


async def settled() -> None:
    """Everything that can run now has run."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_without_a_bound_everybody_enters() -> None:
    async def scenario() -> None:
        free = gate(None)
        assert not free.is_bounded
        for _ in range(100):
            await free.enter("low", 0.0)
        assert free.in_flight == 100

    run(scenario())


def test_without_a_queue_the_next_one_is_refused_at_once() -> None:
    async def scenario() -> None:
        full = gate(2)
        assert full.try_enter() and full.try_enter() and not full.try_enter()
        with pytest.raises(UpstreamError) as caught:
            await full.enter("high", LONG)
        assert caught.value.fault == "busy" and not caught.value.is_retryable
        assert caught.value.retry_after_s == 1.0
        assert caught.value.message.startswith("p/a: there is no queue; 2 calls are in flight, as many as `max_in_flight` allows")
        full.leave()
        assert full.try_enter()

    run(scenario())


def test_who_waits_gets_places_by_priority_and_then_in_the_order_they_came() -> None:
    async def scenario() -> None:
        one = gate(1, length=10, wait_s=60.0)
        assert one.try_enter()
        came: list[str] = []

        async def call(name: str, priority: Priority) -> None:
            await one.enter(priority, LONG)
            came.append(name)
            one.leave()

        async with asyncio.TaskGroup() as group:
            for name, priority in {"l1": "low", "n1": "normal", "h1": "high", "l2": "low", "n2": "normal", "h2": "high"}.items():
                group.create_task(call(name, priority))  # type: ignore[arg-type]
            await settled()
            assert (one.in_flight, one.waiting) == (1, 6)
            one.leave()
        assert came == ["h1", "h2", "n1", "n2", "l1", "l2"]
        assert (one.in_flight, one.waiting) == (0, 0)

    run(scenario())


def test_a_newcomer_cannot_pass_one_who_waits() -> None:
    async def scenario() -> None:
        one = gate(1, length=1)
        assert one.try_enter()
        waiting = asyncio.create_task(one.enter("low", LONG))
        await settled()
        one.leave()
        assert not one.try_enter(), "the place is handed on, not offered"
        await waiting

    run(scenario())


@pytest.mark.parametrize(("wait_s", "until", "waited_s"), [(2.0, 100.0, 2.0), (50.0, 3.0, 3.0)])
def test_the_wait_ends_with_the_queues_limit_or_the_callers_deadline(wait_s: float, until: float, waited_s: float) -> None:
    async def scenario() -> None:
        one = gate(1, length=1, wait_s=wait_s)
        assert one.try_enter()
        with pytest.raises(UpstreamError, match=f"no place within {waited_s:.1f} s"):
            await one.enter("normal", until)
        assert asyncio.get_running_loop().time() == pytest.approx(waited_s)
        assert (one.in_flight, one.waiting) == (1, 0)

    run(scenario())


def test_one_who_cannot_wait_is_refused_at_once_and_pushes_nobody_out() -> None:
    async def scenario() -> None:
        one = gate(1, length=1)
        await one.enter("normal", 0.0)
        waiting = asyncio.create_task(one.enter("low", LONG))
        await settled()
        with pytest.raises(UpstreamError, match="no place just now"):
            await one.enter("high", asyncio.get_running_loop().time())
        one.leave()
        await waiting

    run(scenario())


def test_a_full_queue_sheds_the_last_of_the_lowest_priority() -> None:
    async def scenario() -> None:
        one = gate(1, length=3, wait_s=60.0)
        assert one.try_enter()
        order: tuple[Priority, ...] = ("low", "normal", "low")
        first, second, third = waiting = [asyncio.create_task(one.enter(priority, LONG)) for priority in order]
        await settled()
        with pytest.raises(UpstreamError, match="the queue is full"):
            await one.enter("low", LONG)
        high = asyncio.create_task(one.enter("high", LONG))
        await settled()
        with pytest.raises(UpstreamError, match="pushed out by a request of higher priority") as caught:
            await third
        assert caught.value.fault == "busy"
        assert one.waiting == 3 and not first.done()
        another = asyncio.create_task(one.enter("normal", LONG))
        await settled()
        with pytest.raises(UpstreamError, match="pushed out"):
            await first
        with pytest.raises(UpstreamError, match="the queue is full"):
            await one.enter("normal", LONG)
        for task in (high, second, another):
            one.leave()
            await settled()
            assert task.done() and task.exception() is None
        assert all(task.done() for task in waiting)
        one.leave()
        assert (one.in_flight, one.waiting) == (0, 0)

    run(scenario())


def test_one_who_leaves_while_waiting_holds_nothing() -> None:
    async def scenario() -> None:
        one = gate(1, length=2)
        assert one.try_enter()
        gone = asyncio.create_task(one.enter("normal", LONG))
        stays = asyncio.create_task(one.enter("normal", LONG))
        await settled()
        gone.cancel()
        await settled()
        assert gone.cancelled() and one.waiting == 1
        one.leave()
        await stays
        assert (one.in_flight, one.waiting) == (1, 0)

    run(scenario())


def test_a_place_given_to_one_who_leaves_at_that_moment_goes_to_the_next() -> None:
    async def scenario() -> None:
        one = gate(1, length=2)
        assert one.try_enter()
        gone = asyncio.create_task(one.enter("normal", LONG))
        stays = asyncio.create_task(one.enter("normal", LONG))
        await settled()
        one.leave()  # to the first
        gone.cancel()  # which has not run since
        await settled()
        assert gone.cancelled() and stays.done()
        assert (one.in_flight, one.waiting) == (1, 0)

    run(scenario())


def test_one_who_is_pushed_out_and_leaves_at_that_moment_leaves_once() -> None:
    async def scenario() -> None:
        one = gate(1, length=1)
        assert one.try_enter()
        gone = asyncio.create_task(one.enter("low", LONG))
        await settled()
        high = asyncio.create_task(one.enter("high", LONG))
        gone.cancel()
        await settled()
        assert gone.cancelled() and (one.in_flight, one.waiting) == (1, 1)
        one.leave()
        await high

    run(scenario())


def test_a_reload_lets_more_in_or_waits_until_there_are_fewer() -> None:
    async def scenario() -> None:
        some = gate(1, length=10, wait_s=60.0)
        assert some.try_enter()
        tasks = [asyncio.create_task(some.enter("normal", LONG)) for _ in range(4)]
        await settled()
        some.obey(Capacity(3, 10, 60.0))
        await settled()
        assert [task.done() for task in tasks] == [True, True, False, False]
        some.obey(Capacity(1, 10, 60.0))
        some.leave()
        some.leave()
        await settled()
        assert (some.in_flight, some.waiting) == (1, 2)
        some.obey(Capacity())
        await settled()
        assert (some.in_flight, some.waiting) == (3, 0)

    run(scenario())


def test_retry_after_is_how_long_the_queue_takes_to_be_served() -> None:
    async def scenario() -> None:
        one = gate(1, length=5, wait_s=1000.0)

        async def call() -> None:
            await one.enter("normal", LONG)
            await asyncio.sleep(3.0)
            one.leave()

        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(call())
            await asyncio.sleep(3.5)
            group.create_task(call())
            await asyncio.sleep(3.0)  # two have ended, three seconds apart; four wait
            group.create_task(call())
            await settled()
            with pytest.raises(UpstreamError) as caught:
                await one.enter("normal", LONG)
            assert caught.value.retry_after_s == pytest.approx(3.0 * 6)

    run(scenario())


@pytest.mark.parametrize("seed", range(8))
def test_under_any_traffic_the_bound_holds_and_no_place_is_lost(seed: int) -> None:
    """Calls of every priority come, wait, are shed, are cancelled and end; reloads change the bound."""

    async def scenario() -> None:
        draw = random.Random(seed)
        bound = draw.randint(1, 4)
        gates = [gate(bound, draw.randint(0, 5), 2.0), gate(3, 4, 1.0)]
        ended: Counter[str] = Counter()
        within: Counter[int] = Counter()

        async def call() -> None:
            until = asyncio.get_running_loop().time() + draw.uniform(0.0, 4.0)
            try:
                place = await enter(gates, draw.choice(PRIORITIES), until)
            except UpstreamError as exc:
                assert exc.fault == "busy"
                ended["shed"] += 1
                return
            try:
                for n, one in enumerate(gates):
                    within[n] += 1
                    assert within[n] <= 3 and one.in_flight <= 4
                await asyncio.sleep(draw.expovariate(2.0))
                ended["served"] += 1
            finally:
                within.subtract(range(len(gates)))
                place.leave()
                place.leave()

        tasks = []
        for _ in range(600):
            await asyncio.sleep(draw.expovariate(8.0))
            tasks.append(asyncio.create_task(call()))
            if draw.random() < 0.2:
                draw.choice(tasks).cancel()
            if draw.random() < 0.02:
                gates[0].obey(Capacity(draw.randint(1, 4), draw.randint(0, 5), 2.0))
            assert all(one.waiting == 0 or one.in_flight >= 1 for one in gates)
        await asyncio.wait(tasks)
        assert not [task.exception() for task in tasks if not task.cancelled() and task.exception()]
        assert [(one.in_flight, one.waiting) for one in gates] == [(0, 0), (0, 0)]
        assert ended["served"] > 100 and ended["shed"] > 10

    run(scenario())


def test_a_place_in_several_gates_is_all_or_none() -> None:
    async def scenario() -> None:
        own, providers = gate(5), gate(1)
        place = await enter([own, providers], "normal", LONG)
        with pytest.raises(UpstreamError):
            await enter([own, providers], "normal", LONG)
        assert (own.in_flight, providers.in_flight) == (1, 1)
        place.leave()
        place.leave()
        assert (own.in_flight, providers.in_flight) == (0, 0)
        Place([]).leave()

    run(scenario())


def test_who_waits_for_a_slow_model_leaves_its_providers_places_to_others() -> None:
    async def scenario() -> None:
        health = Health(asyncio.get_running_loop().time)
        provider = health.provider("p", "provider p", BreakerRule(), Capacity(2, 10, 60.0))
        slow = health.of("a", "p/a", provider, capacity=Capacity(1, 10, 60.0))
        other = health.of("b", "p/b", provider, capacity=Capacity())
        assert slow.is_bounded and other.is_bounded
        await slow.enter("normal", LONG)
        waiting = [asyncio.create_task(slow.enter("normal", LONG)) for _ in range(5)]
        await settled()
        place = await other.enter("normal", asyncio.get_running_loop().time())
        assert provider.gate.in_flight == 2
        place.leave()
        for task in waiting:
            task.cancel()
        await settled()
        assert isinstance(slow.breaker.own, Breaker) and slow.gate.waiting == 0

    run(scenario())
