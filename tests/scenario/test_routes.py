"""Where requests go, how the dry run and the headers say so, and how a changed policy takes over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live_gateway import LiveGateway, events, text_of

FAQ = """
entries:
  - {id: hours, questions: ["When are you open?", "What are your opening hours?"], answer: "From nine to five."}
"""
POLICY = """
version: 1
providers:
  near: {kind: fake, words: 5}
  far: {kind: fake, words: 5}
  paid: {kind: openai, base_url: "https://api.example.com/v1", api_key: "${A_KEY_THAT_NOBODY_SETS}"}
models:
  small: {provider: near, id: s-1, price: {input: 0.1, output: 0.1}, context: 500}
  strong: {provider: far, id: l-1, price: {input: 1, output: 4}}
  best: {provider: paid, id: b-1, price: {input: 5, output: 20}}
  mystery: {provider: near, id: m-1, price: unknown}
baseline: strong
classifier: {artifact: default}
routes:
  - {name: house-rules, when: {model: "rules-*"}, answer: {static: "Be kind."}}
  - {name: opening, when: {tag.shop: "*"}, answer: {faq: faq.yaml, otherwise: next}}
  - {name: private, when: {any: [{pii: true}, {tag.data: confidential}]}, model: small}
  - {name: tools, when: {has_tools: true}, model: strong}
  - {name: pictures, when: {has_images: true}, model: best, fallback: [strong]}
  - {name: old-apps, when: {model: "gpt-*", class: [small, skip]}, model: small, fallback: [strong]}
  - {name: hard, when: {class: strong}, split: [{model: strong, weight: 3}, {model: small, weight: 1}]}
  - {name: rest, model: small, fallback: [strong]}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("routes"), POLICY, {"faq.yaml": FAQ}) as live:
        yield live


def test_a_static_answer_needs_no_model(gateway: LiveGateway) -> None:
    response = gateway.chat("what are the rules?", model="rules-v1")
    assert text_of(response) == "Be kind."
    assert response.headers["x-turnout-route"] == "house-rules"
    entry = gateway.entry(response)
    assert (entry["attempts"], entry["cost_nusd"], entry["model"]) == ([], 0, None)
    assert entry["usage"]["estimated"] is True
    assert entry["saved_nusd"] == entry["baseline_nusd"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_faq_answers_what_it_knows_and_passes_on_what_it_does_not(gateway: LiveGateway, stream: bool) -> None:
    shop = {"x-turnout-tags": "shop=berlin"}
    known = gateway.chat("what are your opening hours", headers=shop, stream=stream)
    unknown = gateway.chat("Why is the sky blue?", headers=shop, stream=stream)
    assert (known.headers["x-turnout-route"], text_of(known)) == ("opening", "From nine to five.")
    assert unknown.headers["x-turnout-route"] != "opening"
    assert gateway.entry(unknown)["tags"] == {"shop": "berlin"}
    if stream:
        assert events(known)[0]["choices"][0]["delta"]["role"] == "assistant"
        assert events(known)[-2]["choices"][0]["finish_reason"] == "stop"
        assert events(known)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("prompt", "headers", "route"),
    [
        ("my mail is jane@example.com", {}, "private"),
        ("Summarise this memo.", {"x-turnout-tags": "data=confidential, app=ide"}, "private"),
        ("Prove that there are infinitely many primes.", {}, "hard"),
        ("What is the capital of France?", {}, "rest"),
        ("What is the capital of France?", {"x-turnout-route": "tools"}, "tools"),
    ],
)
def test_the_route_follows_from_the_request(gateway: LiveGateway, prompt: str, headers: dict[str, str], route: str) -> None:
    response = gateway.chat(prompt, headers=headers)
    assert response.headers["x-turnout-route"] == route
    assert gateway.entry(response)["route"] == route


def test_a_name_that_a_glob_matches_is_routed_like_auto(gateway: LiveGateway) -> None:
    assert gateway.chat("What is the capital of France?", model="gpt-4o").headers["x-turnout-route"] == "old-apps"
    assert gateway.chat("Prove Fermat's little theorem.", model="gpt-4o").headers["x-turnout-route"] == "hard"
    assert gateway.chat("hello", model="claude-x").status_code == 404


def test_a_model_of_the_policy_is_asked_outright(gateway: LiveGateway) -> None:
    response = gateway.chat("hello", model="strong")
    assert response.headers["x-turnout-decided-by"] == "requested:strong"
    assert response.headers["x-turnout-route"] == "direct"
    assert response.json()["model"] == "l-1"


def test_a_model_without_credentials_is_left_out_and_the_answer_says_so(gateway: LiveGateway) -> None:
    picture = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    body = {"model": "auto", "messages": [{"role": "user", "content": picture}]}
    response = gateway.http.post("/v1/chat/completions", json=body)
    assert response.headers["x-turnout-model"] == "strong"
    assert response.headers["x-turnout-compromise"] == "best is left out: A_KEY_THAT_NOBODY_SETS is not set"
    alone = gateway.chat("hello", model="best")
    assert alone.status_code == 502
    assert "A_KEY_THAT_NOBODY_SETS is not set" in alone.json()["error"]["message"]


def test_a_request_too_long_for_a_model_goes_to_the_next(gateway: LiveGateway) -> None:
    response = gateway.chat("tell me about this: " + "word " * 1000, headers={"x-turnout-route": "rest"})
    assert response.headers["x-turnout-model"] == "strong"
    assert "do not fit" in response.headers["x-turnout-compromise"]


def test_an_unknown_price_is_unknown_and_never_zero(gateway: LiveGateway) -> None:
    response = gateway.chat("hello", model="mystery")
    entry = gateway.entry(response)
    assert response.headers["x-turnout-cost-usd"] == response.headers["x-turnout-saved-usd"] == "unknown"
    assert entry["cost_nusd"] is None and entry["saved_nusd"] is None
    assert gateway.entry(gateway.chat("hello", model="mystery", stream=True))["cost_nusd"] is None


def test_the_dry_run_agrees_with_the_request_and_sends_nothing(gateway: LiveGateway) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Prove that there are infinitely many primes."}]}
    story = gateway.http.post("/v1/route", json=body).json()
    real = gateway.http.post("/v1/chat/completions", json=body)
    assert story["route"] == real.headers["x-turnout-route"] == "hard"
    assert story["class"] == "strong"
    assert f"{story['confidence']:.2f}" in real.headers["x-turnout-decided-by"]
    assert [r["route"] for r in story["routes"] if r["matched"]] == ["hard"]
    assert all(r["why"] for r in story["routes"])
    assert story["policy"] == real.headers["x-turnout-policy"]


def test_a_split_follows_the_draw_that_the_ledger_keeps(gateway: LiveGateway) -> None:
    for i in range(12):
        entry = gateway.entry(gateway.chat(f"Prove theorem number {i} of Euclid rigorously."))
        if entry["route"] == "hard":
            assert entry["model"] == ("strong" if entry["draw"] < 0.75 else "small")


def test_a_stream_and_a_whole_answer_cost_the_same(gateway: LiveGateway) -> None:
    whole = gateway.chat("hello", model="strong")
    stream = gateway.chat("hello", model="strong", stream=True, stream_options={"include_usage": True})
    silent = gateway.chat("hello", model="strong", stream=True)
    costs = [gateway.entry(r)["cost_nusd"] for r in (whole, stream, silent)]
    assert costs[0] == costs[1] == costs[2] > 0
    assert events(stream)[-2]["usage"]["cost"] == costs[0] / 1e9 == float(whole.headers["x-turnout-cost-usd"])
    assert events(stream)[-2]["choices"] == []
    assert not any(e != "[DONE]" and e.get("usage") for e in events(silent))


def test_debug_says_why_in_a_header(gateway: LiveGateway) -> None:
    response = gateway.chat("hello", headers={"x-turnout-debug": "1"})
    assert "house-rules: model auto is not rules-*" in response.headers["x-turnout-why"]


def test_models_are_listed_with_auto(gateway: LiveGateway) -> None:
    listed = gateway.http.get("/v1/models").json()
    assert [m["id"] for m in listed["data"]] == ["auto", "small", "strong", "best", "mystery"]
    assert gateway.http.get("/v1/models/strong").json()["owned_by"] == "far"


def test_health_never_calls_a_model_and_names_what_is_missing(gateway: LiveGateway) -> None:
    assert gateway.http.get("/health/live").json() == {"status": "ok"}
    ready = gateway.http.get("/health/ready")
    assert ready.status_code == gateway.http.get("/healthz").status_code == 200
    assert ready.json()["models"]["best"] == "A_KEY_THAT_NOBODY_SETS is not set"


def eventually(claim: Callable[[], bool]) -> bool:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.02)
    return False


def test_a_changed_policy_takes_over_and_a_broken_one_does_not(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, POLICY, {"faq.yaml": FAQ}) as live:
        first = live.chat("hello").headers["x-turnout-policy"]
        live.policy_path.write_text(POLICY.replace('"Be kind."', '"Be very kind."'))
        assert eventually(lambda: live.chat("hello").headers["x-turnout-policy"] != first)
        second = live.chat("hello").headers["x-turnout-policy"]
        assert text_of(live.chat("?", model="rules-1")) == "Be very kind."

        live.policy_path.write_text(POLICY.replace("fallback: [strong]", "fallbck: [strong]"))
        assert eventually(lambda: live.http.get("/health/ready").json()["status"] == "degraded")
        assert "fallbck" in json.dumps(live.http.get("/health/ready").json()["problems"])
        assert live.chat("hello").headers["x-turnout-policy"] == second

        live.policy_path.write_text(POLICY)
        assert eventually(lambda: live.chat("hello").headers["x-turnout-policy"] == first)
        assert live.http.get("/health/ready").json()["status"] == "ok"
        (tmp_path / "faq.yaml").write_text(FAQ.replace("nine to five", "ten to six"))
        assert eventually(lambda: live.chat("hello").headers["x-turnout-policy"] != first)


def test_a_request_in_flight_keeps_the_policy_it_began_with(tmp_path: Path) -> None:
    slow = POLICY.replace("near: {kind: fake, words: 5}", "near: {kind: fake, words: 20, tokens_per_second: 10}")
    with LiveGateway(tmp_path, slow, {"faq.yaml": FAQ}) as live:
        body = {"model": "small", "messages": [{"role": "user", "content": "hello"}], "stream": True}
        with live.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.iter_lines()
            next(lines)
            first = response.headers["x-turnout-policy"]
            live.policy_path.write_text(POLICY)
            assert eventually(lambda: live.http.get("/health/ready").json()["policy"] != first)
            assert list(lines)[-2:] == ["data: [DONE]", ""]
