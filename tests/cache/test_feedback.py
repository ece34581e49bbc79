"""What a thumb does to the cache: a bad answer goes with its neighbourhood and is not found again; a good one is evidence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Objection, Observation, Place, Served, Store
from gateway.cache.evidence import route_subject
from gateway.cache.feedback import NEAR, CacheFeedback, Given, retract
from gateway.cache.memory import MemoryStore
from gateway.cache.opening import open_store
from gateway.errors import StoreUnavailable
from gateway.usage import Usage
from tests.redis_server import RedisServer

PARTITION = b"p" * 32
HOUR_S = 3_600.0
# Questions and where they lie, as angles in a plane: the cosine of two is that of the angle between them.
ANGLES = {
    "who won the cup in 1998?": 0.0,
    "who won the cup, in 1998?": 0.1,  # cosine 0.995
    "who got the cup in 1998?": 0.35,  # 0.94
    "who won the cup in 2002?": 0.4,  # 0.92
    "how do I boil an egg?": 1.5,
    "who won it in 1990?": 0.2,
}
KEPT = list(ANGLES)[:5]
ASKED = "who won it in 1990?"


def vector(question: str, dim: int = 8) -> Embedding:
    out = np.zeros(dim, np.float32)
    out[0], out[1] = np.cos(ANGLES[question]), np.sin(ANGLES[question])
    return out


async def embed(text: str) -> Embedding | None:
    return vector(text)


def exact(n: int) -> bytes:
    return bytes([n]) * 32


def answer(n: int, question: str | None, tenant: str = "key:k", id_: str | None = None) -> CachedAnswer:
    return CachedAnswer(id_ or f"kept-{n}", "whole", b"{}", Usage(), "m", "p", question, tenant=tenant, route="r")


async def filled() -> MemoryStore:
    store = MemoryStore(1_000_000)
    for n, question in enumerate(KEPT):
        await store.put(CacheKey(PARTITION, exact(n), question), answer(n, question), vector(question), HOUR_S)
    return store


async def left(store: MemoryStore) -> list[str]:
    """Which of the kept questions are still there."""
    return [question for n, question in enumerate(KEPT) if await store.get(exact(n)) is not None]


async def hit(store: MemoryStore, request_id: str = "hit", n: int = 0) -> Served:
    """ASKED was answered with what is kept for question n."""
    served = Served(request_id, PARTITION, exact(n), ASKED, 0.97)
    assert await store.serve(served) is not None
    return served


def given(request_id: str = "hit", cache: str = "hit-semantic", entry: str | None = "kept-0", **fields: Any) -> Given:
    return Given(request_id, fields.pop("key", "k"), fields.pop("team", None), cache, entry, **fields)


def on_a_filled_store(scenario: Callable[[MemoryStore, CacheFeedback], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await filled()
        await scenario(store, CacheFeedback(store, embed))

    asyncio.run(run())


def test_a_bad_semantic_hit_goes_with_its_neighbourhood_and_leaves_a_counter_example() -> None:
    assert np.cos(0.35) > NEAR > np.cos(0.4)

    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await hit(store)
        assert await feedback.tell(given(), -1.0) == 3
        assert await left(store) == KEPT[3:]
        near = await store.nearest(PARTITION, vector(ASKED), 5)
        (objection,) = near.objections
        assert (objection.asked, objection.kept) == (ASKED, KEPT[0])
        assert objection.similarity == pytest.approx(1.0, abs=0.01)  # it is found where the question lies, not the answer
        assert await store.observations(route_subject("r")) == ()  # which others share: one caller does not decide for them

    on_a_filled_store(scenario)


def test_whatever_is_below_zero_evicts_and_zero_does_nothing() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await hit(store)
        assert await feedback.tell(given(), 0.0) == 0
        assert await left(store) == KEPT
        assert await feedback.tell(given(), -0.01) == 3

    on_a_filled_store(scenario)


def test_a_good_semantic_hit_is_evidence_for_its_entry_and_not_for_the_route() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await hit(store)
        assert await feedback.tell(given(), 1.0) == 0
        assert await left(store) == KEPT
        assert await store.observations(exact(0)) == (Observation(0.97, True),)
        assert await store.observations(route_subject("r")) == ()

    on_a_filled_store(scenario)


def test_what_is_said_again_is_no_new_evidence_but_still_evicts() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await hit(store)
        await feedback.tell(given(is_repeat=True), 1.0)
        assert await feedback.tell(given(is_repeat=True), -1.0) == 3
        assert await store.observations(exact(0)) == await store.observations(route_subject("r")) == ()

    on_a_filled_store(scenario)


@pytest.mark.parametrize("cache", ["hit-exact", "hit-semantic"])
def test_a_hit_that_is_no_longer_remembered_still_takes_its_entry_away(cache: str) -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        assert await feedback.tell(given("unknown", cache), -1.0) == 3
        assert (await store.nearest(PARTITION, vector(ASKED), 5)).objections == ()
        assert await store.observations(route_subject("r")) == ()  # a wrong answer to the same question says nothing of likeness
        assert await feedback.tell(given("unknown", cache), 1.0) == 0

    on_a_filled_store(scenario)


def test_ones_own_answer_is_no_longer_given_to_others() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        assert await feedback.tell(given("kept-4", "miss", None), -1.0) == 1
        assert await left(store) == KEPT[:4]

    on_a_filled_store(scenario)


@pytest.mark.parametrize(
    ("tenant", "team", "evicted"),
    [("key:k", None, 1), ("all", None, 1), ("team:t", "t", 1), ("key:other", None, 0), ("team:t", None, 0), ("team:t", "u", 0)],
)
def test_an_answer_that_somebody_else_kept_under_this_id_stays(tenant: str, team: str | None, evicted: int) -> None:
    async def scenario() -> None:
        store = MemoryStore(1_000_000)
        await store.put(CacheKey(PARTITION, exact(9), None), answer(9, None, tenant, "chosen"), None, HOUR_S)
        feedback = CacheFeedback(store, embed)
        assert await feedback.tell(given("chosen", "miss", None, team=team), -1.0) == evicted
        assert (await store.get(exact(9)) is None) == bool(evicted)

    asyncio.run(scenario())


def test_an_answer_that_was_never_kept_is_no_matter() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        assert await feedback.tell(given("elsewhere", "bypass", None), -1.0) == 0
        assert await feedback.tell(given("elsewhere", "hit-exact", "gone"), -1.0) == 0
        assert await left(store) == KEPT

    on_a_filled_store(scenario)


def test_an_entry_matched_exactly_only_goes_alone() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await store.put(CacheKey(PARTITION, exact(7), None), answer(7, None), None, HOUR_S)
        assert await feedback.tell(given("again", "hit-exact", "kept-7"), -1.0) == 1
        assert await left(store) == KEPT

    on_a_filled_store(scenario)


@pytest.mark.parametrize("embedding", [None, np.ones(3, np.float32)])
def test_without_an_embedding_that_fits_the_kept_ones_stands_in(embedding: Embedding | None) -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        served = await hit(store)
        assert await retract(store, served, "kept-0", embedding) == 3
        near = await store.nearest(PARTITION, vector(KEPT[0]), 5)
        assert [(o.asked, o.kept) for o in near.objections] == [(ASKED, KEPT[0])]
        assert near.objections[0].similarity == pytest.approx(1.0, abs=0.01)

    on_a_filled_store(scenario)


def test_what_took_the_place_of_a_bad_answer_is_not_blamed_for_it() -> None:
    async def scenario(store: MemoryStore, feedback: CacheFeedback) -> None:
        await hit(store)
        fresh = answer(0, KEPT[0], id_="fresh")
        await store.put(CacheKey(PARTITION, exact(0), KEPT[0]), fresh, vector(KEPT[0]), HOUR_S)
        assert await feedback.tell(given(), -1.0) == 0
        assert await left(store) == KEPT
        assert await feedback.tell(given(), 1.0) == 0
        assert await store.observations(exact(0)) == ()  # nor praised
        assert len((await store.nearest(PARTITION, vector(ASKED), 5)).objections) == 1

    on_a_filled_store(scenario)


class Failing(MemoryStore):
    """A store of which one call does not work just now."""

    def __init__(self, fails: str) -> None:
        super().__init__(1_000_000)
        self.fails = fails

    def _check(self, call: str) -> None:
        if call == self.fails:
            raise StoreUnavailable("timeout", "it takes too long")

    async def served(self, request_id: str) -> Served | None:
        self._check("served")
        return await super().served(request_id)

    async def find(self, id_: str) -> Place | None:
        self._check("find")
        return await super().find(id_)

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        self._check("remove")
        return await super().remove(partition, exacts)

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        self._check("oppose")
        await super().oppose(partition, objection, embedding, ttl_s)


@pytest.mark.parametrize("call", ["served", "find", "oppose", "remove"])
def test_a_store_that_fails_is_told_and_a_second_try_does_all_of_it_once(call: str) -> None:
    async def scenario() -> None:
        store = Failing(call)
        await store.put(CacheKey(PARTITION, exact(0), KEPT[0]), answer(0, KEPT[0]), vector(KEPT[0]), HOUR_S)
        await hit(store)
        feedback = CacheFeedback(store, embed)
        with pytest.raises(StoreUnavailable):
            await feedback.tell(given(), -1.0)
        assert await store.get(exact(0)) is not None
        assert await store.observations(route_subject("r")) == ()
        store.fails = ""
        assert await feedback.tell(given(), -1.0) == 1
        assert len((await store.nearest(PARTITION, vector(ASKED), 5)).objections) == 1

    asyncio.run(scenario())


def test_a_store_that_is_full_loses_the_bad_answer_first_and_keeps_the_counter_example_then() -> None:
    class Full(MemoryStore):
        async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
            if len(self):
                raise StoreUnavailable("full", "no room")
            await super().oppose(partition, objection, embedding, ttl_s)

    async def scenario() -> None:
        store = Full(1_000_000)
        await store.put(CacheKey(PARTITION, exact(0), KEPT[0]), answer(0, KEPT[0]), vector(KEPT[0]), HOUR_S)
        await hit(store)
        assert await CacheFeedback(store, embed).tell(given(), -1.0) == 1
        assert len((await store.nearest(PARTITION, vector(ASKED), 5)).objections) == 1

    asyncio.run(scenario())


def test_a_thumb_down_on_one_replica_is_a_miss_on_the_other() -> None:
    async def replicas(url: str) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stores = [await open_store(url, 0, lambda cause: None) for _ in range(2)]
            for store in stores:
                stack.push_async_callback(store.aclose)
            await scenario(*stores)

    async def scenario(here: Store, there: Store) -> None:
        for n, question in enumerate(KEPT):
            await here.put(CacheKey(PARTITION, exact(n), question), answer(n, question), vector(question), HOUR_S)
        await there.serve(Served("hit", PARTITION, exact(0), ASKED, 0.97))
        assert await CacheFeedback(here, embed).tell(given(), -1.0) == 3
        assert [q for n, q in enumerate(KEPT) if await there.get(exact(n)) is not None] == KEPT[3:]
        near = await there.nearest(PARTITION, vector(ASKED), 5)
        assert {n.question for n in near.answers} == set(KEPT[3:])
        assert [(o.asked, o.kept) for o in near.objections] == [(ASKED, KEPT[0])]

    with RedisServer() as redis:
        asyncio.run(replicas(redis.url))


def test_with_redis_gone_nothing_is_pretended() -> None:
    async def scenario() -> None:
        store = await open_store("redis://127.0.0.1:1/0", 0, lambda cause: None)
        for cache, value in (("hit-semantic", -1.0), ("hit-semantic", 1.0), ("hit-exact", -1.0), ("miss", -1.0)):
            with pytest.raises(StoreUnavailable):
                await CacheFeedback(store, embed).tell(given(cache=cache), value)
        await store.aclose()

    asyncio.run(scenario())
