"""The embedded store: the contract, its bound in bytes, and its clock."""

from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.base import Store
from gateway.cache.memory import OVERHEAD_BYTES, MemoryStore
from tests.contract.store_suite import StoreSuite, answer, direction, key


class TestMemoryStore(StoreSuite):
    def make(self) -> Store:
        return MemoryStore(1_000_000)


def test_the_least_recently_used_goes_first_when_the_bytes_are_full() -> None:
    async def scenario() -> None:
        store = MemoryStore(3 * (OVERHEAD_BYTES + 1_100))
        for name in ("a", "b", "c"):
            await store.put(key(name), answer(name, 1_000), None, 60)
        assert await store.get(key("a")) is not None  # used: now `b` is the oldest
        await store.put(key("d"), answer("d", 1_000), None, 60)
        assert [await store.get(key(n)) is not None for n in "abcd"] == [True, False, True, True]

    asyncio.run(scenario())


def test_an_answer_larger_than_the_store_is_not_kept_and_costs_nothing_else_its_place() -> None:
    async def scenario() -> None:
        store = MemoryStore(2_000)
        await store.put(key("a"), answer("a"), None, 60)
        await store.put(key("b"), answer("b", 5_000), None, 60)
        assert await store.get(key("a")) is not None
        assert await store.get(key("b")) is None

    asyncio.run(scenario())


def test_what_is_past_its_time_is_gone_for_both_look_ups() -> None:
    async def scenario() -> None:
        now = [0.0]
        store = MemoryStore(1_000_000, clock=lambda: now[0])
        await store.put(key("short"), answer("short"), direction(0), 10)
        await store.put(key("long"), answer("long"), direction(1), 100)
        now[0] = 10.0
        assert await store.get(key("short")) is None
        assert [a.id for _, a in await store.nearest(key(), direction(0), 5)] == ["long"]
        now[0] = 100.0
        assert await store.nearest(key(), direction(0), 5) == []
        assert (len(store), store.size_bytes) == (0, 0)

    asyncio.run(scenario())


def test_neighbours_past_their_time_do_not_stand_in_front_of_fresh_ones() -> None:
    async def scenario() -> None:
        now = [0.0]
        store = MemoryStore(1_000_000, clock=lambda: now[0])
        for degrees in range(5):
            await store.put(key(str(degrees)), answer(str(degrees)), direction(degrees), 10)
        await store.put(key("fresh"), answer("fresh"), direction(30), 100)
        now[0] = 10.0
        assert [a.id for _, a in await store.nearest(key(), direction(0), 2)] == ["fresh"]
        assert len(store) == 1

    asyncio.run(scenario())


operations = st.lists(
    st.tuples(st.sampled_from(["put", "get", "wait"]), st.integers(0, 6), st.integers(0, 2), st.integers(0, 90))
)


@given(operations)
@settings(deadline=None)
def test_it_behaves_like_a_dictionary_that_forgets_by_time(steps: list[tuple[str, int, int, int]]) -> None:
    """Against a model: no room shortage, so only replacement and expiry matter."""

    async def scenario() -> None:
        now = [0.0]
        store = MemoryStore(10_000_000, clock=lambda: now[0])
        model: dict[tuple[int, int], tuple[int, float]] = {}
        for what, question, partition, degrees in steps:
            k = key(str(question), bytes([partition]))
            if what == "put":
                await store.put(k, answer(str(degrees)), direction(degrees), 5)
                model[question, partition] = (degrees, now[0] + 5)
            elif what == "get":
                kept = model.get((question, partition))
                got = await store.get(k)
                assert (got.id if got else None) == (str(kept[0]) if kept and kept[1] > now[0] else None)
            else:
                now[0] += 1
            live = sorted(np.cos(np.radians(d)) for (_, p), (d, until) in model.items() if p == partition and until > now[0])
            found = await store.nearest(k, direction(0), 100)
            np.testing.assert_allclose(sorted(s for s, _ in found), live, atol=1e-6)

    asyncio.run(scenario())
