"""Responses in a real Redis: the port's suite, and what happens while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.errors import Refused, StoreUnavailable
from gateway.policy.responses import ResponsesRule
from gateway.redis_link import RedisLink
from gateway.responses.base import ResponseStore
from gateway.responses.conversations import Conversations
from gateway.responses.memory import MemoryResponses
from gateway.responses.redis import PREFIX, RedisResponses
from gateway.responses.shared import SharedResponses
from tests.contract.responses_suite import HOUR_S, KEPT, ResponsesSuite
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def unexpected(cause: str) -> None:
    raise AssertionError(f"Redis failed: {cause}")


class TestSharedResponses(ResponsesSuite):
    """deadline_s: long enough for a machine that is busy with other things."""

    @pytest.fixture(autouse=True)
    def _redis(self, redis_server: RedisServer) -> None:
        redis_server.command("FLUSHALL")
        self.redis = redis_server

    def open(self) -> ResponseStore:
        return SharedResponses(RedisResponses(RedisLink(self.redis.url)), unexpected, deadline_s=5.0)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def test_two_replicas_have_the_same(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            other = self.open()
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], HOUR_S)
            assert await other.get("key_a", "resp_1") == KEPT
            await other.aclose()

        self.check(scenario)

    def test_every_key_has_its_time_and_its_prefix_and_no_name_in_it(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], HOUR_S)
            link = RedisLink(self.redis.url)
            [keys] = await link.run(("KEYS", "*"))
            assert len(keys) == 2
            for key in keys:
                assert key.decode().startswith(PREFIX)
                assert b"key_a" not in key
                [left_s] = await link.run(("TTL", key))
                assert 3500 < left_s <= 3600
            await link.aclose()

        self.check(scenario)

    def test_a_key_that_somebody_else_wrote_is_a_fault_and_no_answer(self) -> None:
        async def scenario() -> None:
            causes: list[str] = []
            store = SharedResponses(RedisResponses(RedisLink(self.redis.url)), causes.append, deadline_s=5.0)
            await store.put("key_a", "resp_1", KEPT, [], HOUR_S)
            link = RedisLink(self.redis.url)
            [[key]] = await link.run(("KEYS", "*"))
            await link.run(("SET", key, "something else"))
            with pytest.raises(StoreUnavailable):
                await store.get("key_a", "resp_1")
            assert causes == ["broken"]
            await link.aclose()
            await store.aclose()

        asyncio.run(scenario())


def test_while_redis_is_away_nothing_waits_and_nothing_is_pretended() -> None:
    async def scenario(server: RedisServer) -> None:
        causes: list[str] = []
        shared = SharedResponses(RedisResponses(RedisLink(server.url)), causes.append, deadline_s=2.0, probe_s=0.05)
        conversations = Conversations(lambda: ResponsesRule("shared"), MemoryResponses(lambda: 0), shared, is_alone=True)
        response = b'{"id":"resp_1","output":[{"id":"msg_1","type":"message"}]}'
        await conversations.keep("key_a", response, b"[]")
        assert await conversations.items("key_a", ["msg_1", "msg_2"]) == {"msg_1": {"id": "msg_1", "type": "message"}}
        server.stop()
        await conversations.keep("key_a", b'{"id":"resp_2","output":[]}', b"[]")  # the answer goes out all the same
        assert conversations.problem is not None
        assert "responses' store" in conversations.problem
        for asked in (conversations.find("key_a", "resp_1"), conversations.items("key_a", ["msg_1"])):
            with pytest.raises(Refused) as caught:
                await asked
            assert (caught.value.status, caught.value.code) == (503, "response_store_unavailable")
            assert caught.value.retry_after_s
        with pytest.raises(Refused):
            await conversations.remove("key_a", "resp_1")
        assert set(causes) == {"connection"}
        server.start()
        async with asyncio.timeout(10):
            while conversations.problem is not None:  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0.02)
        await conversations.keep("key_a", response, b"[]")
        assert await conversations.find("key_a", "resp_1") is not None
        await conversations.aclose()

    with RedisServer() as server:
        asyncio.run(scenario(server))
