"""Finding a similar question and telling whether it is the same one: by score, bar, evidence and counter-examples."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from gateway.cache.base import CachedAnswer, CacheKey, Objection, Observation
from gateway.cache.embedding import Embedded
from gateway.cache.evidence import route_subject
from gateway.cache.memory import MemoryStore
from gateway.cache.semantic import INLINE_CHARS_MAX, NEIGHBOURS, SCREENED_CHARS_MAX, Looked, Matcher
from gateway.policy.model import CacheRule
from tests.contract.store_suite import answer, direction, key

ASKED = "What is the capital of France?"
ALIKE = "what's the capital of france"
OTHER = "What is the capital of Spain?"
RULE = CacheRule("semantic", min_similarity=0.5)
ROUTE = "easy"


@dataclass
class Angles:
    """An embedder: texts at given angles, the rest at 0."""

    angles: Mapping[str, float] = field(default_factory=dict)
    is_away: bool = False
    space: str = "angles"
    problem: str | None = None
    made: int = 0

    async def embed(self, text: str) -> Embedded | None:
        self.made += 1
        return None if self.is_away else Embedded(direction(self.angles.get(text, 0.0)), 7)

    async def self_test(self) -> str | None:
        return None

    async def aclose(self) -> None: ...


@dataclass
class Scored:
    """A verifier with a table of scores; 0.99 for what is not in it. Its bar for a budget b is 1 - b."""

    table: Mapping[str, float] = field(default_factory=dict)
    is_quick: bool = True
    has_bar: bool = True
    others: frozenset[str] = frozenset()

    def excluded(self, asked: str, kept: Sequence[str]) -> list[bool]:
        return [text in self.others for text in kept]

    def scores(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> list[float]:
        return [self.table.get(text, 0.999) for text in kept]

    def bar(self, false_hit_budget: float) -> float:
        return 1.0 - false_hit_budget if self.has_bar else 1.01


@dataclass
class Shelf:
    """A store with kept questions at angles, and a matcher before it."""

    kept: Mapping[str, float]
    scores: Mapping[str, float] = field(default_factory=dict)
    embedder: Angles = field(default_factory=Angles)
    verifier: Scored | None = None
    rule: CacheRule = RULE
    now: float = 0.0
    store: MemoryStore = field(default_factory=lambda: MemoryStore(1_000_000))

    async def fill(self) -> Matcher:
        for question, degrees in self.kept.items():
            await self.store.put(key(question), answer(question), direction(degrees), 60)
        return Matcher(self.embedder, self.verifier or Scored(self.scores), lambda: self.now)

    async def look(self, matcher: Matcher, asked: CacheKey | None = None, is_young: bool = True) -> Looked:
        def young(_: CachedAnswer) -> bool:
            return is_young

        return await matcher.look(self.store, asked or key(ASKED), self.rule, ROUTE, "r1", young)

    def looked(self, asked: CacheKey | None = None, is_young: bool = True) -> Looked:
        async def scenario() -> Looked:
            return await self.look(await self.fill(), asked, is_young)

        return asyncio.run(scenario())


def served_id(looked: Looked) -> str | None:
    return looked.hit.answer.id if looked.hit is not None else None


def test_near_question_that_is_the_same_is_answered_and_what_it_cost_is_told() -> None:
    looked = Shelf({ALIKE: 5.0}).looked()
    assert looked.hit is not None
    assert (looked.hit.answer.id, looked.hit.kind, looked.hit.score) == (ALIKE, "semantic", 0.999)
    assert looked.hit.similarity == pytest.approx(0.9962, abs=2e-3)
    assert (looked.cost_nusd, looked.near) == (7, None)


def test_near_question_that_is_another_is_not_answered_but_told_as_near() -> None:
    looked = Shelf({OTHER: 1.0}, {OTHER: 0.3}).looked()
    assert looked.hit is None
    assert looked.near is not None
    assert looked.near.question == OTHER


def test_behind_the_nearest_the_likeliest_candidate_is_served() -> None:
    third = "the capital of France"
    assert served_id(Shelf({OTHER: 1.0, third: 3.0, ALIKE: 5.0}, {OTHER: 0.3, third: 0.991}).looked()) == ALIKE
    assert served_id(Shelf({third: 3.0, ALIKE: 5.0}, {third: 0.991}).looked()) == third


def test_no_evidence_serves_what_is_likelier_another_question() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0}, {ALIKE: 0.5}, rule=replace(RULE, false_hit_budget=0.4))
        matcher = await shelf.fill()
        for subject in (key(ALIKE).exact, route_subject(ROUTE)):
            for _ in range(60):
                await shelf.store.observe(subject, Observation(0.5, True), 60)
        assert (await shelf.look(matcher)).hit is None

    asyncio.run(scenario())


@pytest.mark.parametrize(("budget", "is_hit"), [(0.05, True), (0.03, False), (0.01, False)])
def test_the_budget_says_how_sure_is_sure_enough(budget: float, is_hit: bool) -> None:
    shelf = Shelf({ALIKE: 5.0}, {ALIKE: 0.96}, rule=replace(RULE, false_hit_budget=budget))
    assert (shelf.looked().hit is not None) is is_hit


def test_a_budget_that_nothing_keeps_serves_nothing() -> None:
    looked = Shelf({ALIKE: 5.0}, verifier=Scored(has_bar=False)).looked()
    assert (looked.hit, looked.near) == (None, None)


def test_question_that_is_not_near_enough_is_not_even_compared() -> None:
    looked = Shelf({ALIKE: 70.0}).looked()
    assert (looked.hit, looked.near) == (None, None)


def test_only_so_many_neighbours_are_looked_at() -> None:
    crowd = {f"What is the capital of country number {n}?": 1.0 for n in range(NEIGHBOURS)}
    assert Shelf({**crowd, ALIKE: 5.0}, dict.fromkeys(crowd, 0.1)).looked().hit is None


def test_text_that_cannot_be_embedded_is_not_looked_for() -> None:
    looked = Shelf({ALIKE: 0.0}, embedder=Angles(is_away=True)).looked()
    assert (looked.hit, looked.embedding) == (None, None)


def test_request_that_is_not_text_alone_is_not_embedded() -> None:
    shelf = Shelf({ALIKE: 0.0})
    assert shelf.looked(CacheKey(b"p", b"p/picture", None)) == Looked()
    assert shelf.embedder.made == 0


def test_other_partition_is_not_looked_at_however_alike() -> None:
    assert Shelf({ASKED: 0.0}).looked(key(ASKED, b"mine")).hit is None


def test_an_answer_that_is_too_old_gives_way_to_the_next() -> None:
    assert Shelf({ALIKE: 0.0}).looked(is_young=False).hit is None


def test_what_was_served_is_remembered_for_feedback() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0})
        await shelf.look(await shelf.fill())
        served = await shelf.store.served("r1")
        assert served is not None
        assert (served.asked, served.exact, served.score) == (ASKED, key(ALIKE).exact, 0.999)

    asyncio.run(scenario())


def test_a_counter_example_keeps_its_answer_from_being_given_again_and_asks_for_more_certainty_around() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0, OTHER: 6.0}, {OTHER: 0.992})
        matcher = await shelf.fill()
        assert served_id(await shelf.look(matcher)) == ALIKE
        await shelf.store.oppose(b"p", Objection(ASKED, ALIKE), direction(0.0), 60)
        assert (await shelf.look(matcher)).hit is None  # ALIKE is opposed, and 0.992 is no longer enough for OTHER
        matcher = Matcher(shelf.embedder, Scored({OTHER: 0.9999}), lambda: 0.0)
        assert served_id(await shelf.look(matcher)) == OTHER

    asyncio.run(scenario())


def test_a_counter_example_far_away_changes_nothing() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0})
        matcher = await shelf.fill()
        await shelf.store.oppose(b"p", Objection("another matter", ALIKE), direction(60.0), 60)
        assert served_id(await shelf.look(matcher)) == ALIKE

    asyncio.run(scenario())


def test_an_entry_that_was_wrong_must_be_surer_than_others() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0}, {ALIKE: 0.994})
        matcher = await shelf.fill()
        assert served_id(await shelf.look(matcher)) == ALIKE
        await shelf.store.observe(key(ALIKE).exact, Observation(0.994, False), 60)
        assert (await shelf.look(matcher)).hit is None

    asyncio.run(scenario())


def test_an_entry_whose_near_misses_were_right_needs_less() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0}, {ALIKE: 0.985})
        matcher = await shelf.fill()
        assert (await shelf.look(matcher)).hit is None
        for _ in range(40):
            await shelf.store.observe(key(ALIKE).exact, Observation(0.9, True), 60)
        assert served_id(await shelf.look(matcher)) == ALIKE

    asyncio.run(scenario())


def test_a_route_that_was_wrong_tightens_within_seconds() -> None:
    async def scenario() -> None:
        shelf = Shelf({ALIKE: 5.0}, {ALIKE: 0.994})
        matcher = await shelf.fill()
        assert served_id(await shelf.look(matcher)) == ALIKE
        for _ in range(2):
            await shelf.store.observe(route_subject(ROUTE), Observation(0.994, False), 60)
        assert served_id(await shelf.look(matcher)) == ALIKE  # not asked of the store at every request
        shelf.now = 6.0
        assert (await shelf.look(matcher)).hit is None

    asyncio.run(scenario())


def test_a_slow_verifier_does_not_hold_up_the_loop() -> None:
    assert served_id(Shelf({ALIKE: 5.0}, verifier=Scored(is_quick=False)).looked()) == ALIKE


def test_what_the_rules_exclude_is_not_scored_and_near_where_nothing_else_is() -> None:
    class Strict(Scored):
        def scores(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> list[float]:
            assert not self.others.intersection(kept)
            return super().scores(asked, kept, cosines)

    verifier = Strict({ALIKE: 0.7}, others=frozenset({OTHER}))
    looked = Shelf({OTHER: 1.0, ALIKE: 5.0}, verifier=verifier).looked()
    assert looked.hit is None
    assert looked.near is not None
    assert looked.near.question == ALIKE
    alone = Shelf({OTHER: 1.0}, verifier=verifier).looked()
    assert alone.hit is None
    assert alone.near is not None
    assert alone.near.question == OTHER


def test_a_candidate_gets_its_score_when_it_is_asked_for() -> None:
    async def scenario() -> float:
        shelf = Shelf({OTHER: 1.0}, verifier=Scored({OTHER: 0.4}, others=frozenset({OTHER})))
        matcher = await shelf.fill()
        near = (await shelf.look(matcher)).near
        assert near is not None
        return await matcher.score(ASKED, near)

    assert asyncio.run(scenario()) == 0.4


def test_long_neighbours_are_looked_through_in_a_thread() -> None:
    class Watched(Scored):
        threads: ClassVar[set[str]] = set()

        def excluded(self, asked: str, kept: Sequence[str]) -> list[bool]:
            self.threads.add(threading.current_thread().name)
            return super().excluded(asked, kept)

    long = "capital " * (SCREENED_CHARS_MAX // 8)
    assert served_id(Shelf({long: 5.0}, verifier=Watched()).looked()) == long
    assert threading.main_thread().name not in Watched.threads


def test_of_long_questions_that_are_excluded_none_is_near() -> None:
    long = "capital " * (INLINE_CHARS_MAX // 8)
    looked = Shelf({long: 5.0}, verifier=Scored(others=frozenset({long}))).looked()
    assert (looked.hit, looked.near) == (None, None)
