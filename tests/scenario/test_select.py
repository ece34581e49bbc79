"""`select` with a classifier that learned from graded answers: who is asked, and what happens when that one is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.graded import train_graded
from tests.live_gateway import LiveGateway

POLICY = """
version: 1
providers:
  near: {kind: fake, words: 3}
  far: {kind: fake, words: 3}
  paid: {kind: openai, base_url: "https://api.example.com/v1", api_key: "${A_KEY_THAT_NOBODY_SETS}"}
models:
  tiny: {provider: near, id: tiny-1, price: {input: 0.1, output: 0.2}}
  middle: {provider: MIDDLE, id: m-1, price: {input: 1, output: 2}}
  large: {provider: far, id: large-1, price: {input: 3, output: 15}}
  other: {provider: near, id: o-1, price: {input: 3, output: 15}}
classifier: {artifact: ./graded, max_ms: 5000}
routes:
  - {name: rest, select: cheapest-above-quality, models: [tiny, middle, large], quality: 0.95, fallback: [other]}
"""
EASY = "Translate the word spoon into French."
MIDDLING = "Write a short story about a kettle that gets lost."
HARD = "Prove rigorously that there is a bijection between these polynomials and the reals."
pytestmark = pytest.mark.timeout(60)  # the first test trains


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("select")
    train_graded(folder)
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[LiveGateway]:
    with LiveGateway(folder, POLICY.replace("MIDDLE", "near")) as live:
        yield live


def story(gateway: LiveGateway, *texts: str) -> dict[str, Any]:
    messages = [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]
    found: dict[str, Any] = gateway.http.post("/v1/route", json={"model": "auto", "messages": messages}).json()
    return found


@pytest.mark.parametrize(("text", "model"), [(EASY, "tiny"), (MIDDLING, "middle"), (HARD, "large")])
def test_each_prompt_goes_to_the_cheapest_that_is_good_enough(gateway: LiveGateway, text: str, model: str) -> None:
    response = gateway.chat(text)
    told = story(gateway, text)
    assert response.headers["x-turnout-model"] == told["model"] == model
    assert response.headers["x-turnout-decided-by"] == f"quality:{model}@{told['qualities'][model]:.2f}"
    assert [t["model"] for t in told["targets"]] == [model, "other"]
    assert set(told["qualities"]) == {"tiny", "middle", "large"}
    assert "is enough" in told["choice"]


def test_a_follow_up_goes_to_who_is_good_enough_for_what_it_follows(gateway: LiveGateway) -> None:
    assert story(gateway, HARD, "Take the first one.", "and why?")["model"] == "large"


@pytest.mark.parametrize(("text", "reason"), [("🙃", "no-words"), ("Bring me the gravy boat, quick!", "unfamiliar")])
def test_without_a_prediction_the_dearest_is_asked_and_says_so(gateway: LiveGateway, text: str, reason: str) -> None:
    response = gateway.chat(text)
    assert response.headers["x-turnout-model"] == "large"
    assert response.headers["x-turnout-decided-by"] == f"quality:large({reason})"
    assert "the dearest, to be safe" in story(gateway, text)["choice"]


def test_one_that_is_away_makes_room_for_the_next_that_is_good_enough(folder: Path) -> None:
    with LiveGateway(folder, POLICY.replace("MIDDLE", "paid")) as live:
        response = live.chat(MIDDLING)
        assert response.headers["x-turnout-model"] == "large"
        assert response.headers["x-turnout-compromise"] == "middle is left out: A_KEY_THAT_NOBODY_SETS is not set"
        assert live.chat(EASY).headers["x-turnout-model"] == "tiny"
