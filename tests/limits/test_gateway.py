"""Limits through the whole gateway: who is refused, what the headers say, what is booked, and who answers instead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.limits.policies import limited, write
from tests.live_gateway import LiveGateway, events, text_of

DAVE = {"authorization": "Bearer dave"}
ERIN = {"x-api-key": "erin"}
SAID = "This is a rehearsed answer from"
USED = 2 + 6  # tokens of "hello" and of an answer


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """Keys are told apart by their credentials, so that each test has one to itself."""
    policy = limited("{per: key, requests: 3/h, tokens: 2000/h}", route="cache: {mode: exact, ttl: 1h}")
    with LiveGateway(tmp_path_factory.mktemp("limits"), policy) as live:
        yield live


def rates(response: httpx.Response, unit: str = "requests") -> tuple[int, int]:
    """(limit, remaining)"""
    return int(response.headers[f"x-ratelimit-limit-{unit}"]), int(response.headers[f"x-ratelimit-remaining-{unit}"])


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_key_is_refused_when_its_requests_are_spent_and_others_are_not(gateway: LiveGateway, is_stream: bool) -> None:
    me = {"authorization": f"Bearer spender-{is_stream}"}
    answers = [gateway.chat(f"hello {n}", headers=me, stream=is_stream, max_tokens=50) for n in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert [rates(a) for a in answers] == [(3, 2), (3, 1), (3, 0), (3, 0)]
    assert text_of(answers[2]) == SAID
    last = answers[3]
    assert int(last.headers["retry-after"]) == pytest.approx(3660, abs=61)
    assert last.headers["x-ratelimit-reset-requests"].startswith("1h")
    error = last.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "may send 3 requests an hour (limits[0] of the policy); try again in " in error["message"]
    entry = gateway.entry(last)
    assert (entry["outcome"], entry["status"], entry["attempts"], entry["route"]) == ("refused", 429, [], None)
    assert entry["error"] == error["message"]
    assert gateway.chat("hello", headers={"authorization": "Bearer another"}).status_code == 200


def test_the_estimate_of_tokens_is_held_and_then_the_truth(gateway: LiveGateway) -> None:
    me = {"authorization": "Bearer counted"}
    first = gateway.chat("hello", headers=me, max_tokens=1000)
    assert rates(first, "tokens") == (2000, 2000 - 1000 - 2)
    second = gateway.chat("other", headers=me)  # says nothing of its length: 256 are expected
    assert rates(second, "tokens") == (2000, 2000 - USED - 256 - 2)
    third = gateway.chat("hello", headers=me, max_tokens=1990)
    assert third.status_code == 429
    assert rates(third, "tokens") == (2000, 2000 - 2 * USED)
    assert rates(third) == (3, 1), "what is refused for its tokens is no request"
    assert "may use 2000 tokens an hour (limits[0] of the policy), and this request may need 1992; try again" in third.text


def test_more_than_the_limit_is_refused_for_good(gateway: LiveGateway) -> None:
    never = gateway.chat("hello", headers={"authorization": "Bearer greedy"}, max_completion_tokens=5000)
    assert never.status_code == 429
    assert "retry-after" not in never.headers
    assert "send less, or ask for fewer with `max_tokens`" in never.json()["error"]["message"]
    assert rates(never, "tokens") == (2000, 2000)


def test_each_answer_asked_for_is_held(gateway: LiveGateway) -> None:
    both = gateway.chat("hello", headers={"authorization": "Bearer twice"}, max_tokens=400, n=2)
    assert rates(both, "tokens") == (2000, 2000 - 800 - 2)


def test_an_answer_from_the_cache_is_a_request_without_tokens(gateway: LiveGateway) -> None:
    me = {"authorization": "Bearer cacher"}
    assert gateway.chat("again", headers=me).headers["x-turnout-cache"] == "miss"
    hit = gateway.chat("again", headers=me)
    assert hit.headers["x-turnout-cache"] == "hit-exact"
    last = gateway.chat("again", headers=me)
    assert rates(last) == (3, 0)
    assert rates(last, "tokens") == (2000, 2000 - USED - 256 - 2)


def test_a_request_that_is_refused_for_another_reason_counts_without_tokens(gateway: LiveGateway) -> None:
    me = {"authorization": "Bearer lost"}
    missing = gateway.chat("hello", headers=me, model="no-such-model")
    assert (missing.status_code, rates(missing)) == (404, (3, 2))
    after = gateway.chat("hello", headers=me)
    assert rates(after, "tokens") == (2000, 2000 - 256 - 2)


def test_what_is_no_request_to_a_model_is_not_limited(gateway: LiveGateway) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    for _ in range(5):
        route = gateway.http.post("/v1/route", json=body, headers={"authorization": "Bearer curious"})
        assert route.status_code == 200
        assert gateway.http.get("/v1/models", headers={"authorization": "Bearer curious"}).status_code == 200
    assert rates(gateway.chat("hello", headers={"authorization": "Bearer curious"})) == (3, 2)


def test_what_was_refused_is_counted_for_prometheus(gateway: LiveGateway) -> None:
    for _ in range(4):
        last = gateway.chat("hello", headers={"authorization": "Bearer measured"})
    assert last.status_code == 429
    found = [line for line in gateway.http.get("/metrics").text.splitlines() if line.startswith("turnout_limits_refused_total{")]
    assert len(found) == 1 and found[0].startswith('turnout_limits_refused_total{per="key"} ')
    assert gateway.http.get("/health/ready").json()["problems"] == []


def test_the_openai_client_raises_its_rate_limit_error(gateway: LiveGateway) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sdk", max_retries=0) as client:
        for _ in range(3):
            client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_the_openai_client_waits_as_long_as_it_is_told_and_then_is_answered(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: key, requests: 2/2s}")) as gateway:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sdk", max_retries=2) as client:
            began = time.monotonic()
            for _ in range(3):
                answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
                assert answer.choices[0].message.content == SAID
            assert 1.9 < time.monotonic() - began < 10


def test_without_limits_there_are_no_headers_of_them(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: model, of: [second], requests: 5/h}")) as gateway:
        assert not [name for name in gateway.chat().headers if name.startswith("x-ratelimit")]
        assert not [name for name in gateway.chat(stream=True).headers if name.startswith("x-ratelimit")]


def test_of_several_limits_the_scarcest_is_told_and_the_one_that_is_spent_named(tmp_path: Path) -> None:
    rules = "{per: key, requests: 100/h}", "{per: key, requests: 4/10s}", "{per: team, requests: 3/day}"
    with LiveGateway(tmp_path, limited(*rules)) as gateway:
        answers = [gateway.chat(headers=DAVE) for _ in range(4)]
        assert [rates(a) for a in answers] == [(3, 2), (3, 1), (3, 0), (3, 0)]
        assert "team 'open-" in answers[3].text and "3 requests a day (limits[2] of the policy)" in answers[3].text
        assert gateway.chat(headers=ERIN).status_code == 200, "a key without a team is one by itself"


def test_a_limit_that_names_a_key_takes_the_place_of_the_one_for_each(tmp_path: Path) -> None:
    rules = "{per: key, requests: 1/h}", "{per: key, requests: 3/h, of: [anonymous]}"
    with LiveGateway(tmp_path, limited(*rules)) as gateway:
        assert [gateway.chat().status_code for _ in range(4)] == [200, 200, 200, 429]
        assert [gateway.chat(headers=DAVE).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_model_whose_limit_is_spent_is_passed_over(tmp_path: Path, is_stream: bool) -> None:
    with LiveGateway(tmp_path, limited("{per: model, of: [first], requests: 2/h}")) as gateway:
        answers = [gateway.chat(stream=is_stream) for _ in range(3)]
        assert [a.headers["x-turnout-model"] for a in answers] == ["first", "first", "second"]
        assert text_of(answers[2]) == SAID
        entry = gateway.entry(answers[2])
        assert [(a["model"], a["outcome"], a["fault"]) for a in entry["attempts"]] == [
            ("first", "rejected", "limited"),
            ("second", "ok", None),
        ]
        assert "model 'first' may be sent 2 requests an hour (limits[0] of the policy)" in entry["attempts"][0]["error"]
        assert 'turnout_limits_refused_total{per="model"} 1.0' in gateway.http.get("/metrics").text
        assert gateway.chat(stream=is_stream).status_code == 200, "its breaker knows nothing of it"


@pytest.mark.parametrize("is_stream", [False, True])
def test_when_every_model_is_at_its_limit_the_caller_is_told_when_to_come_again(tmp_path: Path, is_stream: bool) -> None:
    with LiveGateway(tmp_path, limited("{per: model, requests: 1/h}")) as gateway:
        assert [gateway.chat(stream=is_stream).headers["x-turnout-model"] for _ in range(2)] == ["first", "second"]
        refused = gateway.chat(stream=is_stream)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert [cause["fault"] for cause in refused.json()["error"]["details"]] == ["limited", "limited"]
        assert int(refused.headers["retry-after"]) == pytest.approx(3660, abs=61)


def test_the_tokens_of_a_model_are_those_of_its_attempts(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: model, of: [first], tokens: 1000/h}")) as gateway:
        # 900 are held, 8 used: so the second has room, and so has the third.
        for _ in range(3):
            assert gateway.chat(max_tokens=900).headers["x-turnout-model"] == "first"
        assert gateway.chat(max_tokens=980).headers["x-turnout-model"] == "second"


def test_an_attempt_that_failed_gives_its_tokens_back(tmp_path: Path) -> None:
    rules = "{per: model, of: [first], tokens: 1000/h}", "{per: key, tokens: 3000/h}"
    with LiveGateway(tmp_path, limited(*rules, script=["500", "ok"])) as gateway:
        assert gateway.attempts(gateway.chat(max_tokens=900)) == [("first", "error"), ("second", "ok")]
        second = gateway.chat(max_tokens=900)
        assert second.headers["x-turnout-model"] == "first"
        assert rates(second, "tokens") == (3000, 3000 - USED - 902)


def test_a_caller_who_leaves_is_counted_for_what_was_said(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: key, tokens: 1000/h}", script=["ok"], pace=20, words=200)) as gateway:
        body = {"model": "auto", "stream": True, "max_tokens": 900, "messages": [{"role": "user", "content": "hello"}]}
        with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if '"content":"' in line:
                    break
        until = time.monotonic() + 10
        while (left := rates(gateway.chat(max_tokens=5000), "tokens")[1]) < 500:
            assert time.monotonic() < until, "what was held is not given back"
            time.sleep(0.05)
        assert left < 1000 - 2, "what was read and written counts"


def test_a_changed_policy_goes_on_counting(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: key, requests: 3/h}", "{per: model, of: [first], requests: 2/h}")) as gateway:
        before = gateway.chat()
        assert rates(before) == (3, 2)
        write(gateway, limited("{per: model, of: [first], requests: 2/h}", "{per: key, requests: 4/h}"), before)
        after = gateway.chat()
        assert (rates(after), after.headers["x-turnout-model"]) == ((4, 2), "first")
        assert gateway.chat().headers["x-turnout-model"] == "second"
        write(gateway, limited(), after)
        assert not [name for name in gateway.chat().headers if name.startswith("x-ratelimit")]


def test_a_stream_that_breaks_off_keeps_its_headers(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, limited("{per: key, requests: 5/h}", script=["cut"])) as gateway:
        cut = gateway.chat(stream=True)
        assert rates(cut) == (5, 4)
        assert "error" in events(cut)[-1]
