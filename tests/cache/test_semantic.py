"""Looking an answer up: the same request first, then the nearest question that survives verification."""

import asyncio

import pytest

from gateway.cache.base import CachedAnswer, CacheKey, Embedding
from gateway.cache.memory import MemoryStore
from gateway.cache.semantic import NEIGHBOURS, Hit, look_up
from gateway.policy.model import CacheMode, CacheRule
from tests.contract.store_suite import answer, direction, key

ASKED = "What is the capital of France?"
ALIKE = "what's the capital of france"
OTHER = "What is the capital of Spain?"


def looked_up(
    kept: dict[str, float],
    mode: CacheMode = "semantic",
    asked: CacheKey | None = None,
    embedding: Embedding | None = direction(0),  # noqa: B008 - never changed
    min_similarity: float = 0.9,
) -> tuple[Hit | None, int]:
    """(hit, how often the embedding was made). kept: questions with the angle between them and the one asked."""
    made = 0

    def embed() -> Embedding | None:
        nonlocal made
        made += 1
        return embedding

    async def scenario() -> Hit | None:
        store = MemoryStore(1_000_000)
        for question, degrees in kept.items():
            await store.put(key(question), answer(question), direction(degrees), 60)
        return await look_up(store, asked or key(ASKED), CacheRule(mode, min_similarity=min_similarity), embed)

    return asyncio.run(scenario()), made


def test_same_request_is_answered_without_an_embedding() -> None:
    assert looked_up({ASKED: 0.0, ALIKE: 0.0}) == (Hit(answer(ASKED), "exact", 1.0), 0)


@pytest.mark.parametrize("mode", ["exact", "off"])
def test_only_a_semantic_rule_looks_at_neighbours(mode: CacheMode) -> None:
    assert looked_up({ALIKE: 0.0}, mode) == (None, 0)


def test_near_question_that_is_the_same_is_answered() -> None:
    hit, made = looked_up({ALIKE: 5.0})
    assert made == 1
    assert hit is not None
    assert (hit.answer.id, hit.kind) == (ALIKE, "semantic")
    assert hit.similarity == pytest.approx(0.9962, abs=1e-4)


def test_near_question_that_is_another_is_not_answered() -> None:
    assert looked_up({OTHER: 1.0})[0] is None


def test_same_question_behind_a_nearer_other_one_is_found() -> None:
    hit, _ = looked_up({OTHER: 1.0, ALIKE: 5.0})
    assert hit is not None
    assert hit.answer.id == ALIKE


def test_question_that_is_not_near_enough_is_not_answered() -> None:
    assert looked_up({ALIKE: 30.0})[0] is None
    assert looked_up({ALIKE: 30.0}, min_similarity=0.8)[0] is not None


def test_only_so_many_neighbours_are_looked_at() -> None:
    crowd = {f"What is the capital of country number {n}?": 1.0 for n in range(NEIGHBOURS)}
    assert looked_up({**crowd, ALIKE: 5.0})[0] is None


def test_text_too_long_to_be_embedded_is_not_looked_for() -> None:
    assert looked_up({ALIKE: 0.0}, embedding=None) == (None, 1)


def test_request_that_is_not_text_alone_is_matched_exactly_only() -> None:
    asked = CacheKey(b"p", b"p/picture", None)
    assert looked_up({ALIKE: 0.0}, asked=asked) == (None, 0)


def test_answer_to_what_was_not_text_alone_is_no_neighbour() -> None:
    async def scenario() -> Hit | None:
        store = MemoryStore(1_000_000)
        silent = CachedAnswer("x", "whole", b"{}", answer().usage, "m", "p", None)
        await store.put(key("x"), silent, direction(0), 60)
        return await look_up(store, key(ASKED), CacheRule("semantic"), lambda: direction(0))

    assert asyncio.run(scenario()) is None


def test_other_partition_is_not_looked_at_however_alike() -> None:
    async def scenario() -> Hit | None:
        store = MemoryStore(1_000_000)
        await store.put(key(ASKED, b"theirs"), answer(ASKED), direction(0), 60)
        return await look_up(store, key(ASKED, b"mine"), CacheRule("semantic"), lambda: direction(0))

    assert asyncio.run(scenario()) is None
