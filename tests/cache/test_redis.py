"""The shared store, against a real Redis: the contract, and what replicas see of each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import numpy as np
import pytest

from gateway.cache import redis_wire as wire
from gateway.cache.base import Near, Objection, Observation, Selection, Served, Store
from gateway.cache.redis import RedisStore
from gateway.errors import StoreUnavailable
from tests.contract.store_suite import StoreSuite, answer, direction, ids, key
from tests.redis_server import RedisServer


class TestRedisStore(StoreSuite):
    short_s = 0.3

    @pytest.fixture(autouse=True)
    def server(self, redis: RedisServer) -> None:
        self.redis = redis

    def open(self) -> Store:
        return RedisStore(self.redis.url)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds + 0.02)

    async def now(self) -> float:
        return time.time()


def with_two(redis: RedisServer, scenario: Callable[[RedisStore, RedisStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        one, other = RedisStore(redis.url), RedisStore(redis.url)
        try:
            await scenario(one, other)
        finally:
            await one.aclose()
            await other.aclose()

    asyncio.run(opened())


def test_replicas_share_all(redis: RedisServer) -> None:
    async def scenario(one: RedisStore, other: RedisStore) -> None:
        await one.put(key("a"), answer("a"), direction(0), 60)
        await other.put(key("b"), answer("b"), direction(10), 60)
        assert await other.get(key("a").exact) == answer("a")
        assert ids(await one.nearest(b"p", direction(0), 5)) == ["a", "b"]
        served = Served("request", b"p", key("a").exact, "asked", 0.9)
        assert await one.serve(served) == answer("a")
        assert await other.served("request") == served
        await one.observe(key("a").exact, Observation(0.5, True), 60)
        await other.observe(key("a").exact, Observation(0.6, False), 60)
        assert await one.observations(key("a").exact) == (Observation(0.5, True), Observation(0.6, False))
        await one.oppose(b"p", Objection("asked", "a"), direction(3), 60)
        assert [o.kept for o in (await other.nearest(b"p", direction(0), 5)).objections] == ["a"]
        assert [k.answer.id for k in await other.entries(Selection(id="a"), 5)] == ["a"]
        assert await other.remove(b"p", [key("a").exact]) == 1
        assert await one.get(key("a").exact) is None
        assert ids(await one.nearest(b"p", direction(0), 5)) == ["b"]

    with_two(redis, scenario)


def test_nothing_is_kept_without_an_end(redis: RedisServer) -> None:
    async def scenario(one: RedisStore, _: RedisStore) -> None:
        await one.put(key(), answer(), direction(0), 100)
        await one.put(key("shorter"), answer("shorter"), direction(1), 10)
        await one.serve(Served("request", b"p", key().exact, "asked", 0.9))
        await one.observe(b"route", Observation(0.5, True), 100)
        await one.observe(b"route", Observation(0.5, True), 10)
        await one.oppose(b"p", Objection("asked", "kept"), direction(0), 100)
        await one.oppose(b"p", Objection("asked", "kept too"), direction(0), 10)

    with_two(redis, scenario)
    keys = [line for line in redis.command("KEYS", "*").split(b"\r\n") if line.startswith(b"turnout:")]
    assert {k.split(b":")[3] for k in keys} == {b"e", b"i", b"s", b"o", b"v", b"j", b"x"}
    left = {k: int(redis.command("PTTL", k.decode())[1:]) for k in keys}
    assert all(0 < ms <= 100_000 for ms in left.values())
    # What several share lives as long as the longest of them.
    assert all(ms > 90_000 for k, ms in left.items() if k.split(b":")[3] in (b"v", b"x", b"o"))


def test_what_is_left_over_of_expired_answers_is_removed(redis: RedisServer) -> None:
    """By look-ups that come upon it, and by what is added: else the set of a busy partition would grow for ever."""

    async def scenario(one: RedisStore, _: RedisStore) -> None:
        draw = np.random.default_rng(0)
        set_key = wire.answers_key(b"p")
        for n in range(100):
            await one.put(key(f"short {n}"), answer(f"short {n}"), draw.standard_normal(16).astype(np.float32), 0.05)
        await asyncio.sleep(0.1)
        for n in range(100):
            await one.put(key(f"long {n}"), answer(f"long {n}"), draw.standard_normal(16).astype(np.float32), 60)
        assert int(redis.command("VCARD", set_key)[1:]) < 140
        for _ in range(30):
            near = await one.nearest(b"p", draw.standard_normal(16).astype(np.float32), 5)
            assert len(near.answers) == 5
            assert all(name.startswith("long") for name in ids(near))

    with_two(redis, scenario)


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x93\x01\x02", msgspec.msgpack.encode(["another", "layout"])])
def test_a_value_of_another_layout_is_a_miss_is_told_and_is_deleted(redis: RedisServer, value: bytes) -> None:
    async def scenario(one: RedisStore, _: RedisStore) -> None:
        told: list[str] = []
        one.report_to(lambda fault: told.append(fault.cause))
        await one.put(key(), answer(), direction(0), 60)
        await one.serve(Served("request", b"p", key().exact, "asked", 0.9))
        await one.observe(key().exact, Observation(0.5, True), 60)
        await one.oppose(b"p", Objection("asked", "kept"), direction(0), 60)
        objection = wire.objection_prefix(b"p") + wire.objection_digest(Objection("asked", "kept"))
        for name in (wire.served_key("request"), wire.place_key("a"), objection):
            await one._redis.ask(("SET", name, value))
        await one._redis.ask(("LSET", wire.observations_key(key().exact), 0, value))
        await one._redis.ask(("HSET", wire.entry_key(key().exact), "h", value))
        assert await one.nearest(b"p", direction(0), 5) == Near()
        assert set(told) == {"broken"}
        assert await one.get(key().exact) is None
        assert await one.served("request") is None
        assert await one.find("a") is None
        assert await one.observations(key().exact) == ()
        assert len(told) == 5
        assert redis.command("DBSIZE") == b":0\r\n"

    with_two(redis, scenario)


def test_keys_of_another_type_are_a_miss_and_make_room(redis: RedisServer) -> None:
    async def scenario(one: RedisStore, _: RedisStore) -> None:
        told: list[str] = []
        one.report_to(lambda fault: told.append(fault.cause))
        for name in (wire.answers_key(b"p"), wire.objections_key(b"p"), wire.observations_key(b"route"), wire.entry_key(b"e")):
            redis.command("SET", name, "mine")
        assert await one.get(b"e") is None
        assert await one.nearest(b"p", direction(0), 5) == Near()
        assert await one.observations(b"route") == ()
        assert set(told) == {"foreign"}
        for name in (wire.answers_key(b"p"), wire.objections_key(b"p"), wire.observations_key(b"route")):
            redis.command("SET", name, "mine")
        for _ in range(2):
            await one.put(key(), answer(), direction(0), 60)
            await one.oppose(b"p", Objection("asked", "kept"), direction(0), 60)
            await one.observe(b"route", Observation(0.5, True), 60)
        near = await one.nearest(b"p", direction(0), 5)
        assert (ids(near), len(near.objections)) == (["a"], 1)
        assert await one.observations(b"route") == (Observation(0.5, True),)

    with_two(redis, scenario)


def test_vectors_of_another_dimension_are_told_and_give_way(redis: RedisServer) -> None:
    async def scenario(one: RedisStore, _: RedisStore) -> None:
        told: list[str] = []
        one.report_to(lambda fault: told.append(fault.cause))
        await one.put(key("two"), answer("two"), direction(0), 60)
        await one.put(key("three"), answer("three"), np.ones(3, np.float32), 60)
        assert told == ["dimension"]
        assert await one.get(key("two").exact) == answer("two")
        await one.put(key("three"), answer("three"), np.ones(3, np.float32), 60)
        assert ids(await one.nearest(b"p", np.ones(3, np.float32), 5)) == ["three"]

    with_two(redis, scenario)


def test_databases_are_apart(redis: RedisServer) -> None:
    async def scenario() -> None:
        zero, three = RedisStore(redis.url), RedisStore(redis.url.replace("/0", "/3"))
        await three.put(key(), answer(), direction(0), 60)
        assert await zero.get(key().exact) is None
        assert await three.get(key().exact) == answer()
        await zero.aclose()
        await three.aclose()

    asyncio.run(scenario())


def test_no_more_connections_than_allowed(redis: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(f"{redis.url}?max_connections=3&client_name=bounded")
        await store.put(key(), answer(), None, 60)
        found = await asyncio.gather(*(store.get(key().exact) for _ in range(200)))
        assert found == [answer()] * 200
        assert redis.command("CLIENT", "LIST").count(b"name=bounded") == 3
        await store.aclose()

    asyncio.run(scenario())


def test_a_reply_is_never_read_by_another_question(redis: RedisServer) -> None:
    """Look-ups that are cancelled between question and reply, over one connection: as in a shared client's, the next
    reader would be given the reply to the one before."""

    async def scenario() -> None:
        store = RedisStore(f"{redis.url}?max_connections=1")
        for n in range(40):
            await store.put(key(str(n)), answer(str(n), 50_000), direction(n), 60)
        wrong, cancelled = 0, 0
        for n in range(400):
            task = asyncio.create_task(store.get(key(str(n % 40)).exact))
            for _ in range(n % 9):
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                cancelled += 1
            await asyncio.gather(task, return_exceptions=True)
            other = (n + 7) % 40
            got = await store.get(key(str(other)).exact)
            wrong += got is None or got.id != str(other)
        assert (wrong, cancelled > 100) == (0, True)
        await store.aclose()

    asyncio.run(scenario())


def test_nor_after_a_time_out(redis: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(f"{redis.url}?max_connections=1")
        for name in ("a", "b"):
            await store.put(key(name), answer(name), None, 60)
        redis.freeze()
        try:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await store.get(key("a").exact)
        finally:
            redis.thaw()
        assert await store.get(key("b").exact) == answer("b")
        await store.aclose()

    asyncio.run(scenario())


def test_a_closed_store_leaves_no_connection(redis: RedisServer) -> None:
    async def scenario() -> None:
        store = RedisStore(f"{redis.url}?client_name=closing")
        await asyncio.gather(*(store.get(b"x") for _ in range(5)))
        await store.aclose()
        await asyncio.sleep(0.05)
        assert b"name=closing" not in redis.command("CLIENT", "LIST")

    asyncio.run(scenario())


def test_a_place_where_nobody_listens_is_said_without_the_password() -> None:
    async def scenario() -> None:
        store = RedisStore("redis://me:secret@127.0.0.1:1/0")
        assert store.address == "redis://127.0.0.1:1/0"
        with pytest.raises(StoreUnavailable) as caught:
            await store.get(b"x")
        assert caught.value.cause == "connection"
        assert "secret" not in str(caught.value)

    asyncio.run(scenario())
