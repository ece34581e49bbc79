"""The embedded store: the contract, its bound in bytes, and its clock."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.base import Objection, Observation, Served, Store
from gateway.cache.memory import ANSWER_BYTES, MemoryStore
from gateway.cache.vectors import EXACT_MAX, Rows
from tests.contract.store_suite import StoreSuite, answer, direction, ids, key

PLENTY = 50_000_000


class TestMemoryStore(StoreSuite):
    @pytest.fixture(autouse=True)
    def clock(self) -> None:
        self.time = 1e9

    def open(self) -> Store:
        return MemoryStore(PLENTY, clock=lambda: self.time)

    async def wait(self, seconds: float) -> None:
        self.time += seconds

    async def now(self) -> float:
        return self.time


def test_the_least_recently_used_goes_first_when_the_bytes_are_full() -> None:
    async def scenario() -> None:
        store = MemoryStore(3 * (ANSWER_BYTES + 1_100))
        for name in ("a", "b", "c"):
            await store.put(key(name), answer(name, 1_000), None, 60)
        assert await store.get(key("a").exact) is not None  # used: now `b` is the oldest
        await store.put(key("d"), answer("d", 1_000), None, 60)
        assert [await store.get(key(n).exact) is not None for n in "abcd"] == [True, False, True, True]

    asyncio.run(scenario())


def test_what_was_only_near_was_not_used() -> None:
    async def scenario() -> None:
        store = MemoryStore(4 * (ANSWER_BYTES + 1_100))
        for name in ("a", "b", "c"):
            await store.put(key(name), answer(name, 1_000), direction(0) if name == "a" else None, 60)
        assert ids(await store.nearest(b"p", direction(0), 1)) == ["a"]
        for name in ("d", "e"):
            await store.put(key(name), answer(name, 1_000), None, 60)
        assert await store.get(key("a").exact) is None

    asyncio.run(scenario())


def test_an_answer_larger_than_the_store_is_not_kept_and_costs_nothing_else_its_place() -> None:
    async def scenario() -> None:
        store = MemoryStore(2 * ANSWER_BYTES)
        await store.put(key("a"), answer("a"), None, 60)
        await store.put(key("b"), answer("b", 5_000), None, 60)
        assert await store.get(key("a").exact) is not None
        assert await store.get(key("b").exact) is None

    asyncio.run(scenario())


def test_everything_that_it_holds_is_bounded() -> None:
    """Served records, counter-examples and observations of ever new subjects, with one answer that stays in use."""

    async def scenario() -> None:
        store = MemoryStore(200_000)
        await store.put(key(), answer(), direction(0), 1e6)
        for n in range(2_000):
            assert await store.serve(Served(f"r{n}", b"p", key().exact, "asked " * 20, 0.5)) is not None
            await store.oppose(b"%d" % (n % 7), Objection(f"asked {n}", "kept"), direction(n), 1e6)
            await store.observe(b"subject %d" % n, Observation(0.5, True), 1e6)
            assert store.size_bytes <= 200_000
        assert await store.served("r1999") is not None
        assert await store.served("r0") is None
        assert len(await store.observations(b"subject 1999")) == 1
        assert await store.observations(b"subject 0") == ()
        assert (await store.nearest(b"%d" % (1999 % 7), direction(1999), 1)).objections[0].asked == "asked 1999"

    asyncio.run(scenario())


@pytest.mark.parametrize("has_vectors", [False, True])
def test_the_bytes_that_it_counts_are_those_that_it_takes(has_vectors: bool) -> None:
    async def scenario() -> None:
        draw = np.random.default_rng(0)
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            store = MemoryStore(PLENTY)
            for n in range(3_000):
                vector = draw.standard_normal(256).astype(np.float32) if has_vectors else None
                name = f"what is number {n}"
                await store.put(key(name, b"%d" % (n % 3)), answer(name, 700, id=f"id-{n}", tenant=f"t{n}"), vector, 60)
                await store.serve(Served(f"r{n}", b"%d" % (n % 3), key(name, b"%d" % (n % 3)).exact, name + "?", 0.5))
                await store.observe(key(name, b"%d" % (n % 3)).exact, Observation(n / 3_000, True), 60)
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert 0.9 * taken < store.size_bytes < 1.3 * taken, (taken / 3_000, store.size_bytes / 3_000)

    asyncio.run(scenario())


def test_a_store_that_has_forgotten_all_counts_nothing() -> None:
    async def scenario() -> None:
        now = [0.0]
        store = MemoryStore(PLENTY, clock=lambda: now[0])
        for n in range(50):
            await store.put(key(str(n), bytes([n % 4])), answer(str(n)), direction(n), 10)
        now[0] = 10.0
        for n in range(50):
            await store.nearest(bytes([n % 4]), direction(n), 50)
        assert (len(store), store.size_bytes) == (0, 0)

    asyncio.run(scenario())


operations = st.lists(
    st.tuples(st.sampled_from(["put", "get", "wait", "remove"]), st.integers(0, 6), st.integers(0, 2), st.integers(0, 90))
)


@given(operations)
@settings(deadline=None)
def test_it_behaves_like_a_dictionary_that_forgets_by_time(steps: list[tuple[str, int, int, int]]) -> None:
    """Against a model: no room shortage, so only replacement, removal and expiry matter."""

    async def scenario() -> None:
        now = [0.0]
        store = MemoryStore(PLENTY, clock=lambda: now[0])
        model: dict[tuple[int, int], tuple[int, float]] = {}
        for what, question, partition, degrees in steps:
            k = key(str(question), bytes([partition]))
            if what == "put":
                await store.put(k, answer(str(degrees)), direction(degrees), 5)
                model[question, partition] = (degrees, now[0] + 5)
            elif what == "get":
                kept = model.get((question, partition))
                got = await store.get(k.exact)
                assert (got.id if got else None) == (str(kept[0]) if kept and kept[1] > now[0] else None)
            elif what == "remove":
                kept = model.pop((question, partition), None)
                assert await store.remove(k.partition, [k.exact]) == (kept is not None and kept[1] > now[0])
            else:
                now[0] += 1
            live = sorted(np.cos(np.radians(d)) for (_, p), (d, until) in model.items() if p == partition and until > now[0])
            near = await store.nearest(k.partition, direction(0), 100)
            np.testing.assert_allclose(sorted(n.similarity for n in near.answers), live, atol=0.01)

    asyncio.run(scenario())


def test_rows_find_the_nearest_of_many_while_some_come_and_go() -> None:
    """Across the size where codes are made, and back, the true nearest of clustered vectors are found."""
    draw = np.random.default_rng(2)
    centres = draw.standard_normal((300, 128))
    vectors = centres[draw.integers(0, 300, 4 * EXACT_MAX)] + 0.4 * draw.standard_normal((4 * EXACT_MAX, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = Rows[int](128)
    for n, vector in enumerate(vectors):
        rows.add(n, vector)
        if n % 5 == 4:
            rows.remove(n - 2)
    for wanted in (len(rows), EXACT_MAX + 10, EXACT_MAX // 2 - 10):
        for n in list(rows)[wanted:]:
            rows.remove(n)
        kept = np.array(sorted(rows))
        found = 0
        for n in kept[:60]:
            similarity = vectors[kept] @ vectors[n]
            best = rows.nearest(vectors[n], 5)
            found += len({key for _, key in best} & set(kept[np.argsort(-similarity)[:5]].tolist()))
            np.testing.assert_allclose([s for s, _ in best], [vectors[k] @ vectors[n] for _, k in best], atol=0.005)
            assert [s for s, _ in best] == sorted((s for s, _ in best), reverse=True)
        assert found / (60 * 5) > 0.97


def test_rows_give_memory_back() -> None:
    rows = Rows[int](64)
    empty = rows.nbytes
    for n in range(3_000):
        rows.add(n, np.ones(64, np.float32) / 8)
    full = rows.nbytes
    for n in range(3_000):
        rows.remove(n)
    assert (len(rows), rows.nbytes) == (0, empty)
    assert full < 3_000 * (64 + 4 + 32) * 1.3
