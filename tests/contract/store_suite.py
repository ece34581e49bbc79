"""What every cache store must do. A backend's test module subclasses StoreSuite and says how to make one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Store
from gateway.usage import Usage

MakeStore = Callable[[], Store]


def key(question: str = "q", partition: bytes = b"p") -> CacheKey:
    return CacheKey(partition, partition + b"/" + question.encode(), question)


def answer(text: str = "a", size: int = 0) -> CachedAnswer:
    data = text.encode() + b"x" * size
    return CachedAnswer(id=text, form="whole", data=data, usage=Usage(1, 1), model="m", provider="p", question=text)


def direction(degrees: float) -> Embedding:
    """A unit vector; the cosine of two is that of the angle between them."""
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], np.float32)


class StoreSuite:
    """Every test gets a new store from `make`."""

    def make(self) -> Store:
        raise NotImplementedError

    def test_what_was_put_is_got_by_the_same_key_and_no_other(self) -> None:
        async def scenario() -> None:
            store = self.make()
            await store.put(key("one"), answer("1"), None, 60)
            assert await store.get(key("one")) == answer("1")
            assert await store.get(key("two")) is None
            assert await store.get(key("one", b"elsewhere")) is None

        asyncio.run(scenario())

    def test_a_second_answer_takes_the_place_of_the_first(self) -> None:
        async def scenario() -> None:
            store = self.make()
            await store.put(key(), answer("old"), direction(0), 60)
            await store.put(key(), answer("new"), direction(90), 60)
            assert await store.get(key()) == answer("new")
            assert [a.id for _, a in await store.nearest(key(), direction(0), 5)] == ["new"]

        asyncio.run(scenario())

    def test_the_nearest_come_first_with_their_cosine(self) -> None:
        async def scenario() -> None:
            store = self.make()
            for degrees in (80, 10, 40):
                await store.put(key(str(degrees)), answer(str(degrees)), direction(degrees), 60)
            found = await store.nearest(key(), direction(0), 2)
            assert [a.id for _, a in found] == ["10", "40"]
            np.testing.assert_allclose([s for s, _ in found], np.cos(np.radians([10, 40])), atol=1e-6)

        asyncio.run(scenario())

    def test_neighbours_never_come_from_another_partition(self) -> None:
        async def scenario() -> None:
            store = self.make()
            await store.put(key("same", b"mine"), answer("mine"), direction(0), 60)
            assert await store.nearest(key("same", b"yours"), direction(0), 5) == []

        asyncio.run(scenario())

    def test_an_answer_without_an_embedding_is_found_by_its_key_only(self) -> None:
        async def scenario() -> None:
            store = self.make()
            await store.put(key(), answer(), None, 60)
            assert await store.nearest(key(), direction(0), 5) == []
            assert await store.get(key()) == answer()

        asyncio.run(scenario())
