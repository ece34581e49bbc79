"""Single-flight: one leads, the others wait, and nobody waits for ever."""

import asyncio

from gateway.cache.flights import Flights
from tests.contract.store_suite import answer


def test_followers_get_what_the_leader_brought() -> None:
    async def scenario() -> None:
        flights = Flights()
        leader = flights.lead(b"same")
        followed = flights.of(b"same")
        assert followed is leader
        assert flights.of(b"other") is None
        waiting = [asyncio.create_task(followed.wait(5)) for _ in range(3)]
        await asyncio.sleep(0)
        leader.land(answer("it"))
        assert [a.id for a in await asyncio.gather(*waiting) if a is not None] == ["it"] * 3
        assert len(flights) == 0

    asyncio.run(scenario())


def test_followers_of_a_leader_that_fails_get_nothing() -> None:
    async def scenario() -> None:
        flights = Flights()
        leader = flights.lead(b"same")
        waiting = asyncio.create_task(leader.wait(5))
        await asyncio.sleep(0)
        leader.land(None)
        assert await waiting is None

    asyncio.run(scenario())


def test_the_first_landing_counts() -> None:
    async def scenario() -> None:
        flights = Flights()
        leader = flights.lead(b"same")
        leader.land(answer("it"))
        leader.land(None)
        found = await leader.wait(1)
        assert found is not None and found.id == "it"

    asyncio.run(scenario())


def test_a_follower_does_not_wait_beyond_its_limit() -> None:
    async def scenario() -> None:
        assert await Flights().lead(b"same").wait(0.01) is None

    asyncio.run(scenario())


def test_a_second_leader_of_the_same_request_leaves_the_first_one_to_be_followed() -> None:
    async def scenario() -> None:
        flights = Flights()
        first, second = flights.lead(b"same"), flights.lead(b"same")
        second.land(answer("second"))
        assert flights.of(b"same") is first
        first.land(answer("first"))
        assert flights.of(b"same") is None

    asyncio.run(scenario())
