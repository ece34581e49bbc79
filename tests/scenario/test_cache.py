"""Answers given again: to whom, in which form, and what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.policies import one_model

EXACT = "cache: {mode: exact, ttl: 1h}"
SEMANTIC = "cache: {mode: semantic, ttl: 1h, min_similarity: 0.8}"


def cache_of(response: httpx.Response) -> str:
    return str(response.headers["x-turnout-cache"])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_the_same_request_is_answered_from_the_cache_in_either_form(tmp_path: Path, first: bool, second: bool) -> None:
    with LiveGateway(tmp_path, one_model(route=EXACT)) as gateway:
        asked = gateway.chat("one and the same", stream=first)
        again = gateway.chat("one and the same", stream=second)
        assert (cache_of(asked), cache_of(again)) == ("miss", "hit-exact")
        assert text_of(again) == text_of(asked)
        if second:
            assert events(again)[-1] == "[DONE]"
            assert events(again)[-2]["choices"][0]["finish_reason"] == "stop"
        else:
            assert again.json()["choices"][0]["finish_reason"] == "stop"
        entry = gateway.entry(again)
        assert entry["attempts"] == []
        assert (entry["cost_nusd"], entry["cache_entry"]) == (0, asked.headers["x-request-id"])
        assert entry["saved_nusd"] == gateway.entry(asked)["cost_nusd"]
        assert entry["usage"] == gateway.entry(asked)["usage"]


def test_a_replayed_stream_carries_usage_and_cost_if_asked(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(route=EXACT)) as gateway:
        gateway.chat("count this", stream=True)
        plain = gateway.chat("count this", stream=True)
        asked = gateway.chat("count this", stream=True, stream_options={"include_usage": True})
        assert all(e == "[DONE]" or not e.get("usage") for e in events(plain))
        assert events(asked)[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9, "cost": 0.0}


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"authorization": "Bearer somebody-else"}},
        {"temperature": 0.1},
        {"max_tokens": 7},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "same"}]},
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hi"},
                {"role": "user", "content": "same"},
            ]
        },
    ],
)
@pytest.mark.parametrize("mode", [EXACT, SEMANTIC])
def test_another_caller_or_context_never_gets_the_answer(tmp_path: Path, other: dict[str, Any], mode: str) -> None:
    with LiveGateway(tmp_path, one_model(route=mode)) as gateway:
        gateway.chat("same")
        assert cache_of(gateway.chat(**{"prompt": "same", **other})) == "miss"


def test_a_reworded_question_hits_and_its_negation_misses(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(route=SEMANTIC)) as gateway:
        gateway.chat("How do I reset my password?")
        assert cache_of(gateway.chat("how can I reset my password")) == "hit-semantic"
        assert cache_of(gateway.chat("How do I not reset my password?")) == "miss"


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("What is 15% of 200?", "What is 15% of 300?"),
        ("How do I enable dark mode in Firefox?", "How do I disable dark mode in Firefox?"),
        ("What is the population of Norway?", "What is the population of Sweden?"),
    ],
)
def test_a_question_that_differs_in_what_matters_misses(tmp_path: Path, kept: str, asked: str) -> None:
    with LiveGateway(tmp_path, one_model(route=SEMANTIC)) as gateway:
        gateway.chat(kept)
        assert cache_of(gateway.chat(asked)) == "miss"


@pytest.mark.parametrize("fault", ["cut", "malformed", "reported"])
def test_an_incomplete_answer_is_never_kept(tmp_path: Path, fault: str) -> None:
    with LiveGateway(tmp_path, one_model([fault, "ok"], route=EXACT)) as gateway:
        gateway.chat("break off", stream=True)
        assert cache_of(gateway.chat("break off", stream=True)) == "miss"


def test_the_caller_may_pass_the_cache_by_refresh_it_or_ask_only_it(tmp_path: Path) -> None:
    def directive(word: str) -> httpx.Response:
        return gateway.chat("as I say", headers={"x-turnout-cache": word})

    with LiveGateway(tmp_path, one_model(route=EXACT)) as gateway:
        only = directive("only")
        assert (only.status_code, only.json()["error"]["code"]) == (504, "cache_miss")
        assert cache_of(directive("bypass")) == "bypass"
        assert cache_of(gateway.chat("as I say")) == "miss"
        assert cache_of(directive("refresh")) == "miss"
        assert cache_of(directive("only")) == "hit-exact"
        wrong = directive("never")
        assert wrong.status_code == 400
        assert "bypass, refresh, only" in wrong.json()["error"]["message"]


def test_without_a_cache_in_the_policy_nothing_is_kept(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        assert [cache_of(gateway.chat("no cache")) for _ in range(2)] == ["bypass", "bypass"]
