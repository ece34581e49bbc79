"""Similar questions found by each of the embedders, through the whole gateway; and what a bad or absent one does to requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from classifiers.text.embed import StaticEmbedder
from gateway.cache.embedding_probe import TEXTS
from tests.embeddings_upstream import embeddings
from tests.live_gateway import LiveGateway
from tests.scenario.test_embeddings import EmbeddingsUpstream
from tests.scripted_server import Reply, Request, json_reply

WORDLLAMA = StaticEmbedder.load()
KEPT, REWORDED, OTHER = "How do I change my seat?", "how can I change my seat", "How do I change my name?"


def policy(embedder: str, url: str = "http://127.0.0.1:9") -> str:
    return f"""
version: 1
providers:
  far: {{kind: openai, base_url: "{url}/v1"}}
  played: {{kind: fake, words: 6}}
models:
  vectors: {{provider: far, id: embed-1, price: {{input: 0.10, output: 0}}}}
  answers: {{provider: played, id: chat-1, price: {{input: 5, output: 15}}}}
cache: {{embedder: {embedder}}}
routes:
  - {{name: all, model: answers, cache: {{mode: semantic, ttl: 1h, min_similarity: 0.8, false_hit_budget: 0.1, audit: 0}}}}
"""


def serving(embed: Callable[[str], Sequence[float]]) -> Callable[[Request], Reply]:
    return lambda request: json_reply(embeddings(request.json(), embed))


def cache_of(gateway: LiveGateway, prompt: str) -> str:
    response = gateway.chat(prompt)
    assert response.status_code == 200, response.text
    return str(response.headers["x-turnout-cache"])


def problems(gateway: LiveGateway) -> list[str]:
    found: list[str] = gateway.http.get("/health/ready").json()["problems"]
    return found


def until(is_so: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < give_up, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.parametrize("embedder", ["wordllama", "minilm"])
def test_an_embedder_in_process_finds_the_same_question(tmp_path: Path, embedder: str) -> None:
    with LiveGateway(tmp_path, policy(embedder)) as gateway:
        assert problems(gateway) == []
        assert [cache_of(gateway, prompt) for prompt in (KEPT, REWORDED, OTHER)] == ["miss", "hit-semantic", "miss"]


def test_a_model_behind_an_api_finds_it_once_it_is_tested_and_its_cost_is_overhead(tmp_path: Path) -> None:
    with EmbeddingsUpstream(serving(WORDLLAMA.encode)) as upstream:
        with LiveGateway(tmp_path, policy("{model: vectors}", upstream.url)) as gateway:
            assert "not tested yet" in problems(gateway)[0]
            assert cache_of(gateway, "The first question has it tested.") == "miss"
            until(lambda: problems(gateway) == [])
            asked = gateway.chat(KEPT)
            assert asked.headers["x-turnout-cache"] == "miss"
            assert [cache_of(gateway, prompt) for prompt in (REWORDED, OTHER)] == ["hit-semantic", "miss"]
            assert gateway.entry(asked)["overhead_nusd"] == 500, "5 tokens at 100 nano-USD"


def test_a_vector_that_is_not_of_the_whole_text_is_paid_for(tmp_path: Path) -> None:
    with EmbeddingsUpstream(
        lambda request: json_reply(embeddings(request.json(), WORDLLAMA.encode, tokens_each=100))
    ) as upstream:
        short = policy("{model: vectors}", upstream.url).replace("id: embed-1,", "id: embed-1, context: 100,")
        with LiveGateway(tmp_path, short) as gateway:
            assert cache_of(gateway, "The first question has it tested.") == "miss"
            until(lambda: problems(gateway) == [])
            asked = gateway.chat(KEPT)
            assert (asked.headers["x-turnout-cache"], gateway.entry(asked)["overhead_nusd"]) == ("miss", 10_000)
            assert cache_of(gateway, REWORDED) == "miss", "nothing is found by it"


def test_a_model_that_fails_costs_misses_and_no_request(tmp_path: Path) -> None:
    with EmbeddingsUpstream(serving(WORDLLAMA.encode)) as upstream:
        with LiveGateway(tmp_path, policy("{model: vectors}", upstream.url)) as gateway:
            cache_of(gateway, "The first question has it tested.")
            until(lambda: problems(gateway) == [])
            upstream._answer = lambda request: json_reply({"error": {"message": "down"}}, status=500)
            assert {cache_of(gateway, f"{KEPT} {i}") for i in range(5)} == {"miss"}
            assert "fails (status 500)" in problems(gateway)[0]
            assert cache_of(gateway, f"{KEPT} 0") == "hit-exact", "what needs no embedding goes on"


def test_a_model_that_tells_nothing_apart_is_never_used(tmp_path: Path) -> None:
    with EmbeddingsUpstream(serving(lambda text: [1.0, 1.0])) as upstream:
        with LiveGateway(tmp_path, policy("{model: vectors}", upstream.url)) as gateway:
            cache_of(gateway, "The first question has it tested.")
            until(lambda: "look alike" in problems(gateway)[0])
            assert [cache_of(gateway, prompt) for prompt in (KEPT, REWORDED)] == ["miss", "miss"]
            assert {text for asked in upstream.inputs for text in asked} == set(TEXTS), "no caller's text was sent to it"
