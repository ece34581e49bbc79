"""From a request to a decision and its story, with classifiers whose words are given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import msgspec

from classifiers.text.embed import StaticEmbedder
from gateway.chat import read_head
from gateway.judging.judge import Judge
from gateway.policy.affinity import Pinned
from gateway.request import ChatRequest
from gateway.router import Router
from tests.judging.fakes import FakeEmbedder, FakeIntents, FakeScorer, verdict
from tests.policy.sample import candidates, compiled

TEXT = """version: 1
providers:
  near: {kind: fake}
models:
  tiny: {provider: near, id: tiny-1, price: {input: 0.1, output: 0.2}}
  large: {provider: near, id: large-1, price: {input: 3, output: 15}}
classifier: {intents: mine, max_ms: 5000, on_error: small}
routes:
  - {name: money, when: {intent: refund}, model: large}
  - {name: courtesy, when: {class: skip}, answer: {static: "You are welcome."}}
  - {name: rest, select: cheapest-above-quality, models: [tiny, large], quality: 0.9}
"""
POLICY = compiled(TEXT)
POLICY = replace(
    POLICY,
    routes=tuple(replace(r, select=replace(r.select, bar=0.8)) if r.select is not None else r for r in POLICY.routes),
)
EMBEDDER = cast(StaticEmbedder, FakeEmbedder())
ALIKE = verdict(small=0.9, strong=0.1, a=0.8, b=0.9)
APART = verdict(small=0.1, strong=0.9, a=0.3, b=0.9)
GRADES = {"tiny": "a", "large": "b"}


def story(
    scorer: FakeScorer, *texts: str, intent: tuple[str, float] = ("greeting", 0.99), pinned: Pinned | None = None
) -> dict[str, Any]:
    assert POLICY.classifier is not None
    judge = Judge(POLICY.classifier, scorer, FakeIntents(*intent), GRADES)
    router = Router(POLICY, None, judge, EMBEDDER, {})
    messages = [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]
    body = msgspec.json.encode({"model": "auto", "messages": messages})
    request = ChatRequest("id", body, read_head(body))
    return router.story(asyncio.run(router.route(request, candidates(POLICY), 0.5, pinned)))


def test_the_cheapest_that_is_good_enough_is_told_with_all_predictions() -> None:
    told = story(FakeScorer(ALIKE), "hello there")
    assert (told["model"], told["decided_by"]) == ("tiny", "quality:tiny@0.80")
    assert told["qualities"] == {"tiny": 0.8, "large": 0.9}
    assert told["choice"] == "predicted quality tiny 0.80, large 0.90; 0.72 is enough"
    assert story(FakeScorer(APART), "hello there")["model"] == "large"


def test_a_classifier_that_fails_leaves_the_dearest_and_says_so() -> None:
    told = story(FakeScorer({}), "hello there")
    assert (told["model"], told["decided_by"], told["class"]) == ("large", "quality:large(error)", "small")
    assert told["class_why"] == told["missing"]["quality"] == "the classifier failed: KeyError"
    assert told["qualities"] == {}


def test_an_intent_decides_if_it_is_sure() -> None:
    told = story(FakeScorer(ALIKE), "my money back", intent=("refund", 0.95))
    assert (told["route"], told["decided_by"], told["intent"]) == ("money", "rule:money", "refund")
    assert told["facts"]["intent.confidence"] == 0.95
    assert told["scores"].keys() == {"skip", "small", "strong"}
    unsure = story(FakeScorer(ALIKE), "my money back", intent=("refund", 0.85))
    assert (unsure["route"], unsure["intent"]) == ("rest", "oos")


def test_a_pin_is_told_with_what_staying_costs() -> None:
    told = story(FakeScorer(APART), "hello there", pinned=Pinned("tiny", "tool-loop", 0, 100, 10))
    assert (told["model"], told["decided_by"], told["pinned"]) == ("tiny", "tool-loop:tiny", "tiny")
    assert told["choice"] == "'tiny' is in the middle of a tool loop"
    assert not [name for name in told["facts"] if name.startswith(("pinned.", "quality."))]


def test_the_story_says_what_was_judged() -> None:
    assert story(FakeScorer(ALIKE), "hello there")["judged"] == "the last user message"
    told = story(FakeScorer(ALIKE), "Write a sonnet about rain.", "…", "shorter")
    assert told["judged"] == "the last user message with the turn before"
