"""A semantic cache takes the memory that it is given, whatever it is asked: with all that is remembered of questions."""

import asyncio
import time
import tracemalloc

from benchmarks.gateways.prompts import prompt
from classifiers.pairs.blocks import static_embedder
from classifiers.pairs.reading import READINGS_BYTES_MAX
from classifiers.pairs.screen import OUTLINES_BYTES_MAX
from classifiers.pairs.verifier import shipped
from gateway.cache.base import CachedAnswer
from gateway.cache.embedding_local import InlineEmbedder
from gateway.cache.memory import MemoryStore
from gateway.cache.semantic import Matcher
from gateway.policy.model import CacheRule
from tests.contract.store_suite import answer, key

BYTES_MAX = 1024 * 1024
ASKED_BEFORE = 100
ASKED = 900
REMEMBERED_BYTES_MAX = OUTLINES_BYTES_MAX + READINGS_BYTES_MAX


def test_questions_of_many_words_leave_it_within_what_it_is_given() -> None:
    async def scenario() -> None:
        store = MemoryStore(BYTES_MAX)
        matcher = Matcher(InlineEmbedder(static_embedder()), shipped("wordllama"), time.monotonic)

        def is_young(_: CachedAnswer) -> bool:
            return True

        async def ask(n: int) -> None:
            text = prompt(n).decode()
            looked = await matcher.look(store, key(text), CacheRule("semantic"), "easy", f"r{n}", is_young)
            await store.put(key(text), answer(text), looked.embedding, 600)

        for n in range(ASKED_BEFORE):  # words that are met for the first time, and what is made but once
            await ask(n)
        tracemalloc.start()
        try:
            empty = tracemalloc.get_traced_memory()[0] - store.size_bytes
            for n in range(ASKED_BEFORE, ASKED):
                await ask(n)
            taken = tracemalloc.get_traced_memory()[0] - empty
        finally:
            tracemalloc.stop()
        assert store.size_bytes > 0.9 * BYTES_MAX, "it is full"
        assert taken < 1.5 * BYTES_MAX + REMEMBERED_BYTES_MAX

    asyncio.run(scenario())
