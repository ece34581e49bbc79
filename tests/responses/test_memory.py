"""Responses in memory: the port's suite, and the bound."""

from __future__ import annotations

import asyncio
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.responses.base import Kept, ResponseStore
from gateway.responses.memory import ITEM_BYTES, RECORD_BYTES, MemoryResponses
from tests.contract.responses_suite import HOUR_S, ResponsesSuite

MB = 1024 * 1024


class TestMemoryResponses(ResponsesSuite):
    now_s = 0.0

    def open(self) -> ResponseStore:
        return MemoryResponses(lambda: 64 * MB, lambda: self.now_s)

    async def wait(self, seconds: float) -> None:
        self.now_s += seconds


def kept(size: int) -> Kept:
    return Kept(b"{}" + b" " * (size - 2), b"")


def test_the_oldest_give_way_and_what_is_too_large_costs_nobody_its_place() -> None:
    async def scenario() -> None:
        store = MemoryResponses(lambda: 3 * (RECORD_BYTES + 1000))
        for n in range(5):
            await store.put("k", f"resp_{n}", kept(1000), [], HOUR_S)
        await store.put("k", "too_large", kept(10_000), ["msg"], HOUR_S)
        found = [n for n in range(5) if await store.get("k", f"resp_{n}") is not None]
        assert found == [2, 3, 4]
        assert await store.holder("k", "msg") is None

    asyncio.run(scenario())


def test_a_smaller_bound_holds_from_the_next_one_on() -> None:
    bytes_max = MB

    async def scenario() -> None:
        nonlocal bytes_max
        store = MemoryResponses(lambda: bytes_max)
        for n in range(10):
            await store.put("k", f"resp_{n}", kept(1000), [], HOUR_S)
        bytes_max = 2 * (RECORD_BYTES + 1000)
        await store.put("k", "last", kept(1000), [], HOUR_S)
        assert len(store) == 2
        assert store.size_bytes <= bytes_max

    asyncio.run(scenario())


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(2, 3000), st.floats(0.1, 10.0)), max_size=40))
def test_it_never_holds_more_than_its_bound_and_forgets_all_of_what_it_forgets(steps: list[tuple[str, int, int, float]]) -> None:
    now_s = 0.0

    async def scenario() -> None:
        nonlocal now_s
        store = MemoryResponses(lambda: 10_000, lambda: now_s)
        for owner, n, size, ttl_s in steps:
            await store.put(owner, f"resp_{n}", kept(size), [f"msg_{n}", f"fc_{n}"], ttl_s)
            assert store.size_bytes <= 10_000
            now_s += ttl_s / 3
        for owner in "abc":
            for n in range(10):
                await store.remove(owner, f"resp_{n}")
                if await store.get(owner, f"resp_{n}") is None:
                    assert await store.holder(owner, f"msg_{n}") is None
        assert (store.size_bytes, len(store)) == (0, 0)

    asyncio.run(scenario())


def test_what_it_counts_is_about_what_it_takes() -> None:
    async def scenario() -> None:
        store = MemoryResponses(lambda: 64 * MB)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for n in range(2000):
            output_ids = [f"msg_{n:040d}_{i}" for i in range(3)]
            await store.put("key_" + "x" * 20, f"resp_{n:048d}", Kept(bytes(300), bytes(200)), output_ids, HOUR_S)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        took = after - before
        assert 0.7 < store.size_bytes / took < 1.6, f"counts {store.size_bytes}, takes {took}"
        assert store.size_bytes == 2000 * (RECORD_BYTES + 500 + 3 * ITEM_BYTES)

    asyncio.run(scenario())
