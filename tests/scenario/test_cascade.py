"""Cascades through the whole gateway, as transcripts: what the caller gets, who was asked, and what the ledger has.

The route `by-RULE` has one rule. Asked "RULE: yes" the small model convinces, asked "RULE: no" it does not; the strong
one always answers STRONG.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.cli.main import parser
from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.upstream import Call, Fails, Hangs, Says, Upstream

both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
STRONG = "The strong model answers."
DECLINES = "I'm sorry, but I can't help with that."
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@dataclass(frozen=True)
class Rule:
    """accept: its YAML. yes, no: what the small model says; samples: of agreement, the answers after the first."""

    accept: str
    yes: Says
    no: Says
    why: str
    samples: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def samples_asked(self) -> int:
        return len(self.samples[0])


RULES = {
    "confidence": Rule(
        'confidence: ">=0.6"', Says("Paris", -0.01, 8.0), Says("Paris", -3.0, 0.1), "confidence 0."
    ),
    "mean_logprob": Rule(
        'mean_logprob: ">=-0.5"', Says("Paris it is", -0.2), Says("Paris it is", -0.9), "mean_logprob -0.90 is below -0.5"
    ),
    "lowest_window": Rule(
        'lowest_window: ">=-1.5"', Says("Paris it is", -1.2), Says("Paris it is", -1.9), "lowest_window -1.90 is below -1.5"
    ),
    "margin": Rule('margin: ">=1"', Says("Paris", -0.5, 1.5), Says("Paris", -0.5, 0.5), "margin 0.50 is below 1"),
    "min_chars": Rule("min_chars: 6", Says("It is Paris."), Says("Paris"), "5 characters are fewer than 6"),
    "max_chars": Rule("max_chars: 8", Says("Paris"), Says("It is Paris, surely."), "20 characters are more than 8"),
    "valid_json": Rule(
        "valid_json: true", Says('{"city": "Paris"}'), Says("It is Paris."), "it is not JSON",
        asked={"response_format": {"type": "json_object"}},
    ),
    "no_refusal": Rule("no_refusal: true", Says("I'm sorry to hear that."), Says(DECLINES), "it begins by declining"),
    "no_repetition": Rule(
        "no_repetition: true", Says("Paris, Paris, Paris!"), Says("Paris it is. " * 20), "the same 3 words at least 8 times"
    ),
    "agreement": Rule(
        "agreement: {samples: 3, share: 0.6}", Says("Paris"), Says("Paris"), "1 of 3 answers agree, 2 are needed",
        samples=(("It is Paris.", "paris"), ("Lyon", "It is Nice.")),
    ),
    "finish": Rule("", Says("Paris."), Says("Par", finish="length"), "it was cut short (length)"),
    "filter": Rule("", Says("Paris."), Says("Par", finish="content_filter"), "it ended with content_filter"),
    "empty": Rule("", Says("Paris."), Says(""), "it is empty"),
    "tool_call": Rule(
        "min_chars: 40",
        Says(None, calls=(("weather", '{"city": "Paris"}'),), finish="tool_calls"),
        Says(None, calls=(("weather", '{"city": "Par'),), finish="tool_calls"),
        "the arguments of its tool call are not JSON",
        asked={"tools": TOOLS},
    ),
}  # fmt: skip
each_rule = pytest.mark.parametrize("name", RULES)

POLICY = """
version: 1
providers:
  up: {{kind: openai, base_url: "{url}/v1"}}
  spare: {{kind: fake}}
models:
  small: {{provider: up, id: small-1, price: {{input: 1, output: 2}}}}
  middle: {{provider: up, id: middle-1, price: {{input: 4, output: 8}}}}
  strong: {{provider: up, id: strong-1, price: {{input: 10, output: 20}}}}
  spare: {{provider: spare, id: spare-1, price: {{input: 10, output: 20}}}}
baseline: strong
defaults:
  timeouts: {{connect: 1s, first_token: 500ms, idle: 500ms, total: 4s}}
  retry: {{attempts: 1}}
routes:
"""


def policy(url: str, *routes: str) -> str:
    default = "{name: rest, model: strong}"
    return POLICY.format(url=url) + "".join(f"  - {route}\n" for route in (*routes, default))


def route(name: str, accept: str, more: str = "") -> str:
    rungs = f"[{{model: small, accept: {{{accept}}}}}, {{model: strong}}]"
    return f"{{name: by-{name}, when: {{model: by-{name}}}, cascade: {rungs}{', ' + more if more else ''}}}"


def play(call: Call) -> Says:
    if call.model != "small-1":
        return Says(STRONG)
    name, _, which = call.prompt.partition(": ")
    rule = RULES[name]
    if call.body.get("temperature") == 0.7:  # a sample; nobody else sets one here
        return Says(rule.samples[which == "no"][call.number % rule.samples_asked])
    return rule.yes if which == "yes" else rule.no


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(play) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    routes = [route(name, rule.accept) for name, rule in RULES.items()]
    with LiveGateway(tmp_path_factory.mktemp("rules"), policy(upstream.url, *routes)) as live:
        yield live


def ask(gateway: LiveGateway, name: str, which: str, stream: bool, **more: Any) -> httpx.Response:
    fields = {**RULES[name].asked, "stream": stream, **more}
    if stream:
        fields.setdefault("stream_options", {"include_usage": True})
    return gateway.chat(f"{name}: {which}", **{"model": f"by-{name}", **fields})


@both_ways
@each_rule
def test_an_answer_that_convinces_is_the_callers(gateway: LiveGateway, name: str, stream: bool) -> None:
    rule = RULES[name]
    response = ask(gateway, name, "yes", stream)
    assert response.status_code == 200
    assert (response.headers["x-turnout-model"], response.headers["x-turnout-provider"]) == ("small", "up")
    assert response.headers["x-turnout-decided-by"] == f"rule:by-{name}"
    assert "x-turnout-compromise" not in response.headers
    if rule.yes.calls:
        assert calls_of(response) == list(rule.yes.calls)
    else:
        assert text_of(response) == rule.yes.text
    assert finish_of(response) == rule.yes.finish
    assert "top_logprobs" not in response.text
    if stream:
        *_, usage, done = events(response)
        assert done == "[DONE]"
        assert (usage["usage"]["total_tokens"], usage["usage"]["cost"] > 0) == (10, True)
    entry = gateway.entry(response)
    attempts = entry["attempts"]
    assert {(a["model"], a["outcome"]) for a in attempts} <= {("small", "ok"), ("small", "cancelled")}
    assert 1 + rule.samples_asked == len(attempts) == int(response.headers["x-turnout-attempts"])
    assert attempts[0]["accept"]["accepted"] is True
    assert entry["cost_nusd"] == sum(a["cost"] for a in attempts) >= attempts[0]["cost"] == 7 * 1000 + 3 * 2000
    assert (entry["model"], entry["usage"]["output"], entry["outcome"]) == ("small", 3, "ok")


@both_ways
@each_rule
def test_an_answer_that_does_not_convince_makes_the_strong_model_answer(gateway: LiveGateway, name: str, stream: bool) -> None:
    rule = RULES[name]
    response = ask(gateway, name, "no", stream)
    assert response.status_code == 200
    assert text_of(response) == STRONG
    assert response.headers["x-turnout-model"] == "strong"
    assert "x-turnout-compromise" not in response.headers
    entry = gateway.entry(response)
    *rungs, last = entry["attempts"]
    assert [(a["model"], a["outcome"]) for a in rungs] == [("small", "unconvincing")] * (1 + rule.samples_asked)
    assert (last["model"], last["outcome"]) == ("strong", "ok")
    assert rungs[0]["error"].startswith(f"not accepted: {rule.why}")
    assert (rungs[0]["accept"]["accepted"], bool(rungs[0]["accept"]["rule"])) == (False, True)
    assert (rungs[0]["status"], rungs[0]["fault"]) == (200, None)
    assert rungs[0]["ttft_ms"] is not None or name == "empty"
    assert rungs[0]["usage"]["output"] == 3
    small, strong = 7 * 1000 + 3 * 2000, 7 * 10_000 + 3 * 20_000
    assert [a["cost"] for a in entry["attempts"]] == [small] * len(rungs) + [strong]
    assert entry["cost_nusd"] == small * len(rungs) + strong
    assert entry["baseline_nusd"] == strong
    assert entry["saved_nusd"] == -small * len(rungs)


def calls_of(response: httpx.Response) -> list[tuple[str, str]]:
    if not response.headers["content-type"].startswith("text/event-stream"):
        message = response.json()["choices"][0]["message"]
        return [(c["function"]["name"], c["function"]["arguments"]) for c in message["tool_calls"]]
    deltas = [e["choices"][0]["delta"] for e in events(response) if e != "[DONE]" and e["choices"]]
    parts = [call["function"] for delta in deltas for call in delta.get("tool_calls") or ()]
    return [("".join(p.get("name", "") for p in parts), "".join(p["arguments"] for p in parts))]


def finish_of(response: httpx.Response) -> str:
    if not response.headers["content-type"].startswith("text/event-stream"):
        return str(response.json()["choices"][0]["finish_reason"])
    choices = [e["choices"][0] for e in events(response) if e != "[DONE]" and e["choices"]]
    return str(next(c["finish_reason"] for c in choices if c["finish_reason"]))


@both_ways
def test_what_was_measured_is_in_the_ledger(gateway: LiveGateway, stream: bool) -> None:
    kept = gateway.entry(ask(gateway, "mean_logprob", "yes", stream))["attempts"][0]["accept"]
    assert kept.pop("confidence") > 0
    assert kept == {"accepted": True, "mean_logprob": -0.2, "lowest_window": -0.2, "margin": 2.0, "tokens": 3}
    kept = gateway.entry(ask(gateway, "agreement", "yes", stream))["attempts"]
    assert kept[0]["accept"]["agreement"] >= 0.66
    assert [a["accept"]["sample"] for a in kept[1:]] == [2, 3]


@both_ways
def test_log_probabilities_are_the_gateways_own_business(gateway: LiveGateway, upstream: Upstream, stream: bool) -> None:
    response = ask(gateway, "mean_logprob", "yes", stream, user=f"own-{stream}")
    (call,) = [c for c in upstream.asked("mean_logprob: yes") if c.body.get("user") == f"own-{stream}"]
    assert (call.body["logprobs"], call.body["top_logprobs"]) == (True, 2)
    assert '"logprob"' not in response.text


@both_ways
def test_a_caller_who_wants_them_gets_them(gateway: LiveGateway, upstream: Upstream, stream: bool) -> None:
    response = ask(gateway, "mean_logprob", "yes", stream, logprobs=True, top_logprobs=4, user=f"his-{stream}")
    (call,) = [c for c in upstream.asked("mean_logprob: yes") if c.body.get("user") == f"his-{stream}"]
    assert (call.body["logprobs"], call.body["top_logprobs"]) == (True, 4)
    assert response.text.count('"top_logprobs"') == 3


def test_of_two_choices_both_must_convince(gateway: LiveGateway) -> None:
    response = ask(gateway, "min_chars", "yes", stream=False, n=2)
    assert [c["message"]["content"] for c in response.json()["choices"]] == ["It is Paris."] * 2
    assert gateway.attempts(response) == [("small", "ok")]


@both_ways
def test_the_real_client_sees_nothing_of_it(gateway: LiveGateway, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "confidence: yes"}]
        if not stream:
            whole = client.chat.completions.create(model="by-confidence", messages=messages)
            assert whole.choices[0].message.content == "Paris"
            assert whole.choices[0].logprobs is None
            return
        options: Any = {"include_usage": True}
        chunks = list(
            client.chat.completions.create(model="by-confidence", messages=messages, stream=True, stream_options=options)
        )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Paris"
    assert all(c.choices[0].logprobs is None for c in chunks if c.choices)
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 10


def test_the_dry_run_shows_each_rung_and_its_rule(gateway: LiveGateway) -> None:
    body = {"model": "by-agreement", "messages": [{"role": "user", "content": "hi"}]}
    story = gateway.http.post("/v1/route", json=body).json()
    assert [(t["model"], t.get("accept")) for t in story["targets"]] == [
        ("small", "agreement 0.6 of 3, valid_json, no_refusal, no_repetition"),
        ("strong", None),
    ]


def test_explain_shows_each_rung_and_its_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(policy("http://127.0.0.1:9", route("x", "min_chars: 5, no_refusal: false")))
    args = parser().parse_args(["policy", "explain", str(file), "--prompt", "hi", "--model", "by-x"])
    assert args.run(args) == 0
    said = "small (up: small-1, accepted if min_chars 5, valid_json, no_repetition) → strong (up: strong-1)"
    assert said in capsys.readouterr().out


# Trouble.


@both_ways
def test_an_answer_beyond_the_bound_is_cancelled_and_paid(tmp_path: Path, stream: bool) -> None:
    def endless(call: Call) -> Says:
        return Says(" ".join(f"{n:0300d}" for n in range(1_000))) if call.model == "small-1" else Says(STRONG)

    with Upstream(endless) as upstream, LiveGateway(tmp_path, policy(upstream.url, route("x", "min_chars: 1"))) as gateway:
        response = gateway.chat("hi", model="by-x", stream=stream)
        assert text_of(response) == STRONG
        entry = gateway.entry(response)
        assert [(a["model"], a["outcome"]) for a in entry["attempts"]] == [("small", "unconvincing"), ("strong", "ok")]
        assert entry["attempts"][0]["error"] == "not accepted: longer than 256 KiB, too long to judge"
        assert entry["attempts"][0]["cost"] > 0


@both_ways
@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [(Fails(500), "error"), (Hangs(), "timeout"), (Hangs("Paris it"), "timeout")],
    ids=["500", "silent", "stuck"],
)
def test_a_rung_in_trouble_is_left_for_the_next(tmp_path: Path, trouble: Fails | Hangs, outcome: str, stream: bool) -> None:
    def troubled(call: Call) -> Says | Fails | Hangs:
        return trouble if call.model == "small-1" else Says(STRONG)

    with Upstream(troubled) as upstream, LiveGateway(tmp_path, policy(upstream.url, route("x", "min_chars: 1"))) as gateway:
        response = gateway.chat("hi", model="by-x", stream=stream)
        assert text_of(response) == STRONG
        assert gateway.attempts(response) == [("small", outcome), ("strong", "ok")]


@both_ways
@pytest.mark.parametrize("trouble", [Fails(503), Fails(400), Hangs()], ids=["503", "400", "hangs"])
def test_when_all_later_fail_the_answer_is_given_with_a_word_on_it(
    tmp_path: Path, trouble: Fails | Hangs, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def troubled(call: Call) -> Says | Fails | Hangs:
        return trouble if call.model == "strong-1" else Says("Par")

    rule = route("x", "min_chars: 5", "cache: {mode: exact}")
    with Upstream(troubled) as upstream, LiveGateway(tmp_path, policy(upstream.url, rule).replace("4s", "1s")) as gateway:
        first, second = (gateway.chat("hi", model="by-x", stream=stream) for _ in range(2))
        outcome = "timeout" if isinstance(trouble, Hangs) else "error"
        for response in (first, second):
            assert response.status_code == 200
            assert text_of(response) == "Par"
            assert response.headers["x-turnout-model"] == "small"
            assert response.headers["x-turnout-cache"] == "miss"  # it is not kept
            said = "small answers, not accepted: 3 characters are fewer than 5, and no later model answered"
            assert response.headers["x-turnout-compromise"] == said
            entry = gateway.entry(response)
            assert [(a["model"], a["outcome"]) for a in entry["attempts"]] == [("small", "unconvincing"), ("strong", outcome)]
            assert (entry["model"], entry["usage"]["output"], entry["outcome"]) == ("small", 3, "ok")
    assert sum("small answers, not accepted" in r.message for r in caplog.records) == 1


def test_a_rung_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    with Upstream(lambda call: Says(STRONG)) as upstream:
        text = (
            policy(upstream.url, route("x", "min_chars: 5"))
            .replace("up: {kind", 'gone: {kind: openai, api_key: "${NO_SUCH_KEY}"}\n  up: {kind')
            .replace("small: {provider: up", "small: {provider: gone")
        )
        with LiveGateway(tmp_path, text) as gateway:
            response = gateway.chat("hi", model="by-x")
            assert text_of(response) == STRONG
            assert gateway.attempts(response) == [("strong", "ok")]
            assert "small is left out" in response.headers["x-turnout-compromise"]


@both_ways
def test_leaving_while_the_rung_is_held_back_cancels_it_and_books_it(tmp_path: Path, stream: bool) -> None:
    with Upstream(lambda call: Hangs("Paris it is and")) as upstream:
        text = policy(upstream.url, route("x", "min_chars: 5")).replace("500ms", "20s").replace("total: 4s", "total: 60s")
        with LiveGateway(tmp_path, text) as gateway:
            body = {"model": "by-x", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
            with pytest.raises(httpx.ReadTimeout):
                gateway.http.post("/v1/chat/completions", json=body, headers={"x-request-id": "leaver"}, timeout=0.7)
            upstream.client_left(0)
            entry = booked(gateway, "leaver")
    assert (entry["outcome"], entry["status"]) == ("cancelled", 499)
    (attempt,) = entry["attempts"]
    assert (attempt["model"], attempt["outcome"]) == ("small", "cancelled")
    assert attempt["usage"]["estimated"] is True
    assert entry["cost_nusd"] == attempt["cost"] > 0


def booked(gateway: LiveGateway, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 10
    while (found := gateway.http.get(f"/v1/requests/{request_id}")).status_code != 200:
        assert time.monotonic() < until, "the request is not in the ledger"
        time.sleep(0.05)
    fields: dict[str, Any] = found.json()
    return fields


# Models that give no log-probabilities.


@both_ways
def test_a_model_that_ignores_the_parameter_does_not_convince(tmp_path: Path, stream: bool) -> None:
    with Upstream(lambda call: Says("Paris" if call.model == "small-1" else STRONG)) as upstream:
        with LiveGateway(tmp_path, policy(upstream.url, route("x", 'confidence: ">=0.5"'))) as gateway:
            response = gateway.chat("hi", model="by-x", stream=stream)
            assert text_of(response) == STRONG
            assert gateway.entry(response)["attempts"][0]["error"] == "not accepted: the model gave no log-probabilities"


@both_ways
def test_a_model_that_refuses_the_parameter_is_asked_without(tmp_path: Path, stream: bool) -> None:
    def refusing(call: Call) -> Says | Fails:
        if call.model != "small-1":
            return Says(STRONG)
        return Fails(400, "'logprobs' is not supported with this model") if call.body.get("logprobs") else Says("Paris")

    with Upstream(refusing) as upstream, LiveGateway(tmp_path, policy(upstream.url, route("x", 'margin: ">=0.5"'))) as gateway:
        response = gateway.chat("hi", model="by-x", stream=stream)
        assert text_of(response) == STRONG
        assert gateway.attempts(response) == [("small", "error"), ("small", "unconvincing"), ("strong", "ok")]


# The cache.


@both_ways
@pytest.mark.parametrize(("small", "answers"), [("It is Paris.", "small"), ("Par", "strong")])
def test_what_the_cascade_stands_by_is_kept(tmp_path: Path, small: str, answers: str, stream: bool) -> None:
    rule = route("x", "min_chars: 5", "cache: {mode: exact}")
    with Upstream(lambda call: Says(small if call.model == "small-1" else STRONG)) as upstream:
        with LiveGateway(tmp_path, policy(upstream.url, rule)) as gateway:
            first, second = (gateway.chat("hi", model="by-x", stream=stream) for _ in range(2))
            assert [r.headers["x-turnout-cache"] for r in (first, second)] == ["miss", "hit-exact"]
            assert text_of(first) == text_of(second) == (small if answers == "small" else STRONG)
            assert second.headers["x-turnout-model"] == answers


def test_a_fallbacks_answer_is_not_kept(tmp_path: Path) -> None:
    def failing(call: Call) -> Says | Fails:
        return Fails(500)

    rule = route("x", "min_chars: 5", "fallback: [spare], cache: {mode: exact}")
    with Upstream(failing) as upstream, LiveGateway(tmp_path, policy(upstream.url, rule)) as gateway:
        for _ in range(2):
            response = gateway.chat("hi", model="by-x")
            assert (response.headers["x-turnout-model"], response.headers["x-turnout-cache"]) == ("spare", "miss")


# Money.


def test_a_rung_that_costs_as_much_as_the_last_one_is_not_asked(tmp_path: Path) -> None:
    five = "agreement: {samples: 5, share: 0.6}"
    rungs = f"[{{model: small, accept: {{min_chars: 5}}}}, {{model: middle, accept: {{{five}}}}}, {{model: strong}}]"
    with Upstream(lambda call: Says("Par" if call.model == "small-1" else STRONG)) as upstream:
        dear = f"{{name: by-x, when: {{model: by-x}}, cascade: {rungs}}}"
        with LiveGateway(tmp_path, policy(upstream.url, dear)) as gateway:
            response = gateway.chat("hi", model="by-x")
            assert gateway.attempts(response) == [("small", "unconvincing"), ("strong", "ok")]
            assert "x-turnout-compromise" not in response.headers
            body = {"model": "by-x", "messages": [{"role": "user", "content": "hi"}]}
            story = gateway.http.post("/v1/route", json=body).json()
            why = "asking it costs as much as 'strong' for this request, so it cannot save anything"
            assert story["left_out"] == [{"model": "middle", "why": why}]


# A calibration of one's own.


def test_a_calibration_beside_the_policy_decides_and_is_reloaded(tmp_path: Path) -> None:
    def calibration(bias: float) -> str:
        weights = dict.fromkeys(("mean_logprob", "lowest_window", "margin", "log_tokens"), 0.0)
        return json.dumps({"bias": bias, "weights": weights, "card": {"made": "for a test"}})

    rule = route("x", 'confidence: ">=0.8", calibration: mine.json')
    with Upstream(lambda call: Says("Paris" if call.model == "small-1" else STRONG, -0.1)) as upstream:
        with LiveGateway(tmp_path, policy(upstream.url, rule), {"mine.json": calibration(-3.0)}) as gateway:
            before = gateway.chat("hi", model="by-x")
            assert text_of(before) == STRONG
            assert gateway.entry(before)["attempts"][0]["error"] == "not accepted: confidence 0.05 is below 0.8"
            (tmp_path / "mine.json").write_text(calibration(3.0))
            until = time.monotonic() + 10
            while (after := gateway.chat("hi", model="by-x")).headers["x-turnout-policy"] == before.headers["x-turnout-policy"]:
                assert time.monotonic() < until, "the changed calibration was not taken"
                time.sleep(0.05)
            assert text_of(after) == "Paris"


# Rehearsed, without any upstream.


@both_ways
@pytest.mark.parametrize(
    ("step", "rule"),
    [("unsure", 'confidence: ">=0.6"'), ("declining", "no_refusal: true"), ("circling", "no_repetition: true")],
)
def test_the_fake_provider_rehearses_a_cascade(tmp_path: Path, step: str, rule: str, stream: bool) -> None:
    rungs = f"[{{model: small, accept: {{{rule}}}}}, {{model: strong}}]"
    text = f"""
version: 1
providers:
  one: {{kind: fake, words: 6, script: [ok, {step}]}}
  two: {{kind: fake, words: 6}}
models:
  small: {{provider: one, id: s, price: {{input: 1, output: 2}}}}
  strong: {{provider: two, id: t, price: {{input: 10, output: 20}}}}
routes: [{{name: all, cascade: {rungs}}}]
"""
    with LiveGateway(tmp_path, text) as gateway:
        sure, unsure = (gateway.chat("hi", stream=stream) for _ in range(2))
        assert gateway.attempts(sure) == [("small", "ok")]
        assert gateway.attempts(unsure) == [("small", "unconvincing"), ("strong", "ok")]
        assert text_of(sure) == text_of(unsure)
        assert "top_logprobs" not in sure.text
