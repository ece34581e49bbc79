"""What every cache store must do. A backend's test module subclasses StoreSuite and says how to open one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from msgspec.structs import replace

from gateway.cache.base import (
    OBSERVATIONS_MAX,
    CachedAnswer,
    CacheKey,
    Embedding,
    Near,
    Objection,
    Observation,
    Selection,
    Served,
    Store,
)
from gateway.usage import Usage

Scenario = Callable[[Store], Awaitable[None]]
HOSTILE = {
    "empty": "",
    "half of a surrogate pair": "\ud83d and \udc00",
    "NUL": "a\x00b\r\n*1\r\n",
    "a megabyte": "größe " * 180_000,
}


def key(question: str = "q", partition: bytes = b"p") -> CacheKey:
    return CacheKey(partition, partition + b"/" + question.encode("utf-8", "surrogatepass")[:50], question)


def answer(text: str = "a", size: int = 0, **fields: object) -> CachedAnswer:
    data = text.encode("utf-8", "surrogatepass") + b"x" * size
    kept = CachedAnswer(id=text, form="whole", data=data, usage=Usage(1, 1), model="m", provider="p", question=text)
    return replace(kept, **fields)


def direction(degrees: float) -> Embedding:
    """A unit vector; the cosine of two is that of the angle between them."""
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], np.float32)


def ids(near: Near) -> list[str]:
    return [neighbour.id for neighbour in near.answers]


class StoreSuite:
    """open: a new store, or a shared one's place opened anew; called within a running loop. wait: let time pass.

    short_s: a time to live that can be waited for.
    """

    short_s = 10.0

    def open(self) -> Store:
        raise NotImplementedError

    async def wait(self, seconds: float) -> None:
        raise NotImplementedError

    async def now(self) -> float:
        """Seconds since 1970, as the store sees it."""
        raise NotImplementedError

    def check(self, scenario: Scenario) -> None:
        async def opened() -> None:
            store = self.open()
            try:
                await scenario(store)
            finally:
                await store.aclose()

        asyncio.run(opened())

    def test_what_was_put_is_got_by_the_same_key_and_no_other(self) -> None:
        async def scenario(store: Store) -> None:
            kept = answer("1", tenant="ann", route="easy", space="e", stored_at=12.5, fresh_until=99.5)
            await store.put(key("one"), kept, None, 60)
            assert await store.get(key("one").exact) == kept
            assert await store.get(key("two").exact) is None
            assert await store.get(key("one", b"elsewhere").exact) is None

        self.check(scenario)

    def test_a_second_answer_takes_the_place_of_the_first_and_of_what_was_seen_of_it(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer("old"), direction(0), 60)
            await store.observe(key().exact, Observation(0.5, True), 60)
            await store.put(key(), answer("new"), direction(90), 60)
            assert await store.get(key().exact) == answer("new")
            near = await store.nearest(b"p", direction(0), 5)
            assert [(n.id, n.observations) for n in near.answers] == [("new", ())]
            assert near.answers[0].similarity == pytest.approx(0, abs=0.01)
            assert await store.find("old") is None

        self.check(scenario)

    def test_a_second_answer_without_an_embedding_is_no_neighbour_any_more(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer("old"), direction(0), 60)
            await store.put(key(), answer("new"), None, 60)
            assert await store.nearest(b"p", direction(0), 5) == Near()

        self.check(scenario)

    def test_the_nearest_come_first_with_their_cosine(self) -> None:
        async def scenario(store: Store) -> None:
            for degrees in (80, 10, 40, 170):
                await store.put(key(str(degrees)), answer(str(degrees)), direction(degrees), 60)
            near = await store.nearest(b"p", direction(0), 2)
            assert [(n.id, n.question, n.exact) for n in near.answers] == [("10", "10", b"p/10"), ("40", "40", b"p/40")]
            np.testing.assert_allclose([n.similarity for n in near.answers], np.cos(np.radians([10, 40])), atol=0.01)
            opposite = (await store.nearest(b"p", direction(0), 4)).answers[-1]
            assert opposite.similarity == pytest.approx(np.cos(np.radians(170)), abs=0.01)
            assert await store.nearest(b"p", direction(0), 0) == Near()

        self.check(scenario)

    def test_among_many_the_near_are_found(self) -> None:
        async def scenario(store: Store) -> None:
            draw = np.random.default_rng(1)
            for n in range(1_500):
                vector = draw.standard_normal(64).astype(np.float32)
                await store.put(key(str(n)), answer(str(n)), vector, 60)
                if n % 100 == 7:
                    vector += 0.2 * draw.standard_normal(64).astype(np.float32)
                    near = await store.nearest(b"p", vector, 3)
                    assert near.answers[0].id == str(n)
                    assert 0.95 < near.answers[0].similarity <= 1.0

        self.check(scenario)

    def test_neighbours_never_come_from_another_partition(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("same", b"mine"), answer("mine"), direction(0), 60)
            await store.oppose(b"mine", Objection("a", "b"), direction(0), 60)
            assert await store.nearest(b"yours", direction(0), 5) == Near()

        self.check(scenario)

    def test_an_answer_without_an_embedding_is_found_by_its_key_only(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("no vector"), answer("no vector"), None, 60)
            await store.put(key("no question"), answer("no question", question=None), direction(0), 60)
            assert await store.nearest(b"p", direction(0), 5) == Near()
            assert await store.get(key("no vector").exact) == answer("no vector")
            assert await store.get(key("no question").exact) == answer("no question", question=None)

        self.check(scenario)

    @pytest.mark.parametrize("numbers", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
    def test_an_embedding_without_a_direction_is_no_neighbour_and_has_none(self, numbers: list[float]) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("fine"), answer("fine"), direction(0), 60)
            await store.put(key("odd"), answer("odd"), np.array(numbers, np.float32), 60)
            await store.oppose(b"p", Objection("odd", "fine"), np.array(numbers, np.float32), 60)
            assert await store.get(key("odd").exact) == answer("odd")
            near = await store.nearest(b"p", direction(0), 5)
            assert (ids(near), near.objections) == (["fine"], ())
            assert await store.nearest(b"p", np.array(numbers, np.float32), 5) == Near()

        self.check(scenario)

    def test_the_length_of_an_embedding_does_not_matter(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer(), 40 * direction(0), 60)
            near = await store.nearest(b"p", 0.01 * direction(60), 1)
            assert near.answers[0].similarity == pytest.approx(0.5, abs=0.01)

        self.check(scenario)

    def test_an_embedding_of_another_length_has_no_neighbours(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("two"), answer("two"), direction(0), 60)
            assert await store.nearest(b"p", np.ones(3, np.float32), 5) == Near()
            await store.put(key("three"), answer("three"), np.ones(3, np.float32), 60)
            assert await store.get(key("three").exact) == answer("three")

        self.check(scenario)

    def test_what_is_past_its_time_is_gone_for_every_look_up(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("short"), answer("short"), direction(0), self.short_s)
            await store.put(key("long"), answer("long"), direction(1), 600)
            await store.oppose(b"p", Objection("asked", "kept"), direction(0), self.short_s)
            await store.observe(b"route", Observation(0.5, True), self.short_s)
            assert await store.serve(Served("r1", b"p", key("short").exact, "asked", 0.9)) == answer("short")
            await self.wait(self.short_s)
            near = await store.nearest(b"p", direction(0), 5)
            assert (ids(near), near.objections) == (["long"], ())
            assert await store.get(key("short").exact) is None
            assert await store.find("short") is None
            assert await store.serve(Served("r2", b"p", key("short").exact, "asked", 0.9)) is None
            assert await store.served("r1") is None
            assert await store.observations(b"route") == ()
            assert [kept.answer.id for kept in await store.entries(Selection(), 9)] == ["long"]

        self.check(scenario)

    def test_neighbours_past_their_time_do_not_stand_in_front_of_fresh_ones(self) -> None:
        async def scenario(store: Store) -> None:
            for n in range(20):
                await store.put(key(str(n)), answer(str(n)), direction(n / 10), self.short_s)
            await store.put(key("fresh"), answer("fresh"), direction(30), 600)
            await self.wait(self.short_s)
            assert ids(await store.nearest(b"p", direction(0), 2)) == ["fresh"]

        self.check(scenario)

    @pytest.mark.parametrize("ttl_s", [0.0, -1.0])
    def test_no_time_to_live_keeps_nothing_and_forgets_what_was_there(self, ttl_s: float) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer("old"), direction(0), 60)
            await store.put(key(), answer("new"), direction(0), ttl_s)
            assert await store.get(key().exact) is None
            assert await store.nearest(b"p", direction(0), 5) == Near()

        self.check(scenario)

    def test_what_was_served_is_remembered(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer(), direction(0), 60)
            served = Served("request", b"p", key().exact, "asked", 0.75)
            assert await store.serve(served) == answer()
            assert await store.served("request") == served
            assert await store.served("another") is None

        self.check(scenario)

    def test_an_answer_is_served_to_its_own_partition_only(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key(), answer(), direction(0), 60)
            assert await store.serve(Served("request", b"another", key().exact, "asked", 0.75)) is None

        self.check(scenario)

    def test_an_answer_is_found_by_its_id(self) -> None:
        async def scenario(store: Store) -> None:
            await store.put(key("one"), answer("one"), direction(30), 60)
            await store.put(key("two"), answer("two"), None, 60)
            place = await store.find("one")
            assert place is not None and place.embedding is not None
            assert (place.partition, place.exact, place.question) == (b"p", key("one").exact, "one")
            np.testing.assert_allclose(place.embedding, direction(30), atol=0.02)
            other = await store.find("two")
            assert other is not None and other.embedding is None
            assert await store.find("three") is None

        self.check(scenario)

    def test_what_is_removed_is_gone_with_what_was_seen_of_it(self) -> None:
        async def scenario(store: Store) -> None:
            for name in ("a", "b", "c"):
                await store.put(key(name), answer(name), direction(ord(name)), 60)
                await store.observe(key(name).exact, Observation(0.5, False), 60)
            assert await store.remove(b"p", [key("a").exact, key("b").exact, key("never").exact]) == 2
            assert await store.remove(b"p", [key("a").exact]) == 0
            assert await store.remove(b"p", []) == 0
            assert await store.get(key("a").exact) is None
            assert await store.find("a") is None
            assert await store.observations(key("a").exact) == ()
            assert ids(await store.nearest(b"p", direction(ord("a")), 5)) == ["c"]

        self.check(scenario)

    def test_counter_examples_are_found_by_what_was_asked_once_each(self) -> None:
        async def scenario(store: Store) -> None:
            for _ in range(2):
                await store.oppose(b"p", Objection("near", "kept"), direction(10), 60)
            await store.oppose(b"p", Objection("near", "kept too"), direction(20), 60)
            await store.oppose(b"p", Objection("far", "kept"), direction(120), 60)
            near = await store.nearest(b"p", direction(0), 2)
            assert near.answers == ()
            assert [(o.asked, o.kept) for o in near.objections] == [("near", "kept"), ("near", "kept too")]
            np.testing.assert_allclose([o.similarity for o in near.objections], np.cos(np.radians([10, 20])), atol=0.01)

        self.check(scenario)

    def test_observations_come_in_order_and_only_the_latest_are_kept(self) -> None:
        async def scenario(store: Store) -> None:
            seen = [Observation(n / 100, n % 3 == 0) for n in range(OBSERVATIONS_MAX + 10)]
            for observation in seen:
                await store.observe(key().exact, observation, 60)
            await store.put(key("other"), answer("other"), direction(0), 60)
            assert await store.observations(key().exact) == tuple(seen[10:])
            assert await store.observations(b"route") == ()
            await store.observe(key("other").exact, seen[1], 60)
            assert (await store.nearest(b"p", direction(0), 1)).answers[0].observations == (seen[1],)

        self.check(scenario)

    def test_entries_are_selected_by_id_tenant_route_and_age(self) -> None:
        async def scenario(store: Store) -> None:
            now = await self.now()
            for n, (tenant, route) in enumerate([("ann", "easy"), ("ann", "hard"), ("bob", "easy")]):
                kept = answer(str(n), 100, tenant=tenant, route=route, stored_at=now - 100 * n)
                await store.put(key(str(n)), kept, direction(n), 60)
            await store.observe(key("0").exact, Observation(0.5, True), 60)

            async def chosen(selection: Selection, limit: int = 9) -> list[str]:
                return [kept.answer.id for kept in await store.entries(selection, limit)]

            assert await chosen(Selection()) == ["0", "1", "2"]
            assert await chosen(Selection(), 2) == ["0", "1"]
            assert await chosen(Selection(id="1")) == ["1"]
            assert await chosen(Selection(id="1", tenant="bob")) == []
            assert await chosen(Selection(id="9")) == []
            assert await chosen(Selection(tenant="ann")) == ["0", "1"]
            assert await chosen(Selection(tenant="ann", route="easy")) == ["0"]
            assert await chosen(Selection(older_than_s=50)) == ["1", "2"]
            [kept] = await store.entries(Selection(id="0"), 1)
            assert kept.answer == answer("0", 100, tenant="ann", route="easy", stored_at=now)
            assert kept.size_bytes > 100
            assert kept.expires_at == pytest.approx(now + 60, abs=5)
            assert kept.observations == (Observation(0.5, True),)

        self.check(scenario)

    def test_every_entry_that_matches_is_evicted(self) -> None:
        async def scenario(store: Store) -> None:
            for n in range(30):
                kept = answer(str(n), tenant="ann" if n % 3 else "bob", stored_at=await self.now())
                await store.put(key(str(n), bytes([n % 2])), kept, direction(n), 60)
            assert await store.evict(Selection(tenant="bob", route="elsewhere")) == 0
            assert await store.evict(Selection(tenant="bob")) == 10
            assert await store.evict(Selection(id="1")) == 1
            assert len(await store.entries(Selection(), 99)) == 19
            assert "3" not in ids(await store.nearest(b"\x01", direction(3), 30))
            assert await store.evict(Selection()) == 19
            assert await store.nearest(b"\x01", direction(3), 30) == Near()

        self.check(scenario)

    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    def test_any_text_comes_back_as_it_was(self, text: str) -> None:
        async def scenario(store: Store) -> None:
            kept = answer("id", 0, id=text[:1000], question=text, tenant=text[:1000], data=text.encode("utf-8", "surrogatepass"))
            await store.put(key(text), kept, direction(0), 60)
            assert await store.get(key(text).exact) == kept
            assert (await store.nearest(b"p", direction(0), 1)).answers[0].question == text
            served = Served("request", b"p", key(text).exact, text, 0.5)
            assert await store.serve(served) == kept
            assert await store.served("request") == served
            place = await store.find(text[:1000])
            assert place is not None and place.question == text
            await store.oppose(b"p", Objection(text, text), direction(0), 60)
            [objection] = (await store.nearest(b"p", direction(0), 1)).objections
            assert (objection.asked, objection.kept) == (text, text)
            assert await store.evict(Selection(tenant=text[:1000])) == 1

        self.check(scenario)

    def test_many_may_write_and_read_at_once(self) -> None:
        async def scenario(store: Store) -> None:
            async def one(n: int) -> None:
                name = str(n % 25)
                await store.put(key(name), answer(name), direction(7 * (n % 25)), 60)
                await store.observe(b"route", Observation(n / 200, True), 60)
                got = await store.get(key(name).exact)
                assert got is None or got.id == name
                near = await store.nearest(b"p", direction(7 * (n % 25)), 1)
                assert all(n.id == n.question for n in near.answers)

            await asyncio.gather(*(one(n) for n in range(200)))
            assert sorted(k.answer.id for k in await store.entries(Selection(), 99)) == sorted(str(n) for n in range(25))
            assert ids(await store.nearest(b"p", direction(21), 1)) == ["3"]
            assert len(await store.observations(b"route")) == OBSERVATIONS_MAX

        self.check(scenario)
