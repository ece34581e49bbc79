"""What every store of Responses must do. A backend's test module subclasses ResponsesSuite and says how to open one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.responses.base import Kept, ResponseStore

Scenario = Callable[[ResponseStore], Awaitable[None]]

HOUR_S = 3600.0
KEPT = Kept(b'{"id":"resp_1","output":[{"id":"msg_1"}]}', b'[{"role":"user"}]')


class ResponsesSuite:
    """open: a store, called in a running loop; those that a test opens share what they keep or not. wait: let time pass."""

    def open(self) -> ResponseStore:
        raise NotImplementedError

    async def wait(self, seconds: float) -> None:
        raise NotImplementedError

    def check(self, scenario: Scenario) -> None:
        async def opened() -> None:
            store = self.open()
            try:
                await scenario(store)
                assert store.problem is None
            finally:
                await store.aclose()

        asyncio.run(opened())

    def test_what_is_kept_is_found_as_it_was(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            assert await store.get("key_a", "resp_1") is None
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], HOUR_S)
            assert await store.get("key_a", "resp_1") == KEPT

        self.check(scenario)

    def test_to_anybody_else_it_does_not_exist(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "b:resp_1", KEPT, ["msg_1"], HOUR_S)
            for owner, id_ in (("key_b", "b:resp_1"), ("key_a:b", "resp_1"), ("key_a", "resp_1"), ("", "key_a:b:resp_1")):
                assert await store.get(owner, id_) is None
                assert not await store.remove(owner, id_)
            assert await store.holder("key_b", "msg_1") is None
            assert await store.get("key_a", "b:resp_1") == KEPT

        self.check(scenario)

    def test_an_item_of_its_output_leads_to_it(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "resp_1", KEPT, ["rs_1", "msg_1"], HOUR_S)
            assert await store.holder("key_a", "rs_1") == "resp_1"
            assert await store.holder("key_a", "msg_1") == "resp_1"
            assert await store.holder("key_a", "msg_2") is None

        self.check(scenario)

    def test_what_is_removed_is_gone(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], HOUR_S)
            await store.put("key_b", "resp_1", KEPT, ["msg_1"], HOUR_S)
            assert await store.remove("key_a", "resp_1")
            assert await store.get("key_a", "resp_1") is None
            assert not await store.remove("key_a", "resp_1")
            assert await store.get("key_b", "resp_1") == KEPT

        self.check(scenario)

    def test_what_is_kept_again_replaces_what_was(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], HOUR_S)
            other = Kept(b'{"id":"resp_1","output":[]}', b"[]")
            await store.put("key_a", "resp_1", other, [], HOUR_S)
            assert await store.get("key_a", "resp_1") == other

        self.check(scenario)

    def test_nothing_outlives_its_time(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            await store.put("key_a", "resp_1", KEPT, ["msg_1"], 0.2)
            await store.put("key_a", "resp_2", KEPT, ["msg_2"], HOUR_S)
            await self.wait(0.5)
            assert await store.get("key_a", "resp_1") is None
            assert not await store.remove("key_a", "resp_1")
            assert await store.get("key_a", "resp_2") == KEPT

        self.check(scenario)

    def test_a_long_conversation_is_kept_whole(self) -> None:
        async def scenario(store: ResponseStore) -> None:
            long = Kept(KEPT.response, b'["' + b"x" * 1_000_000 + b'"]')
            await store.put("key_a", "resp_1", long, [f"msg_{n}" for n in range(300)], HOUR_S)
            assert await store.get("key_a", "resp_1") == long
            assert await store.holder("key_a", "msg_299") == "resp_1"

        self.check(scenario)
