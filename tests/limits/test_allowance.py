"""Whose limits hold for a request, what is reserved for it, and how that is told in headers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway import chat
from gateway.attempt import Attempt
from gateway.errors import UpstreamError
from gateway.limits.allowance import duration
from gateway.limits.base import LimitExceeded
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimits
from gateway.metrics import Metrics
from gateway.policy.limits import LimitRule, Rate
from gateway.policy.model import EXPECTED_TOKENS_OUT
from gateway.request import ChatRequest
from gateway.tenant import Tenant
from gateway.usage import Usage
from gateway.wire_usage import TOKENS_MAX


def request(**fields: Any) -> ChatRequest:
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "x" * 40}], **fields})
    return ChatRequest("req_1", body, chat.read_head(body))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0004, "1ms"),
        (0.02, "20ms"),
        (0.999, "999ms"),
        (0.9995, "1s"),
        (1, "1s"),
        (1.01, "2s"),
        (59.5, "1m0s"),
        (360, "6m0s"),
        (3599.5, "1h0m0s"),
        (90_061, "25h1m1s"),
    ],
)
def test_times_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, EXPECTED_TOKENS_OUT),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 70, "max_tokens": 50}, 70),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_tokens": -5}, 0),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": 10**30}, TOKENS_MAX),
        ({"n": 0}, EXPECTED_TOKENS_OUT),
    ],
)
def test_what_a_request_may_come_to(fields: dict[str, Any], output: int) -> None:
    assert request(**fields).tokens_expected == 10 + output


def test_a_team_shares_a_limit_and_a_key_without_one_is_a_team_by_itself() -> None:
    async def scenario() -> None:
        limits = Limits(MemoryLimits(), Metrics())
        rules = (LimitRule(0, "team", Rate(2, 3600)),)

        async def passes(key: str, team: str | None = None) -> bool:
            allowance = limits.of_caller(rules, Tenant(key, team), request())
            assert allowance is not None
            try:
                await allowance.reserve()
            except LimitExceeded:
                return False
            return True

        assert [await passes("a", "blue"), await passes("b", "blue"), await passes("c", "blue")] == [True, True, False]
        assert [await passes("blue") for _ in range(3)] == [True, True, False], "a key with a team's name is not that team"
        assert await passes("d", "red")

    asyncio.run(scenario())


def test_where_no_limit_holds_nothing_is_made() -> None:
    limits = Limits(MemoryLimits(), Metrics())
    rules = (LimitRule(0, "model", Rate(2, 60), of=frozenset({"m"})), LimitRule(1, "key", Rate(2, 60), of=frozenset({"other"})))
    assert limits.of_caller(rules, Tenant("me"), request()) is None
    assert limits.of_model(rules, "another") is None
    assert limits.of_model(rules, "m") is not None
    assert limits.of_model((), "m") is None


def test_all_attempts_count_and_a_request_that_was_refused_settles_nothing() -> None:
    async def scenario() -> None:
        limits = Limits(MemoryLimits(), Metrics())
        rules = (LimitRule(0, "key", tokens=Rate(1000, 3600)),)
        me = Tenant("me")
        first = limits.of_caller(rules, me, request(max_tokens=500))
        assert first is not None
        assert first.headers == [], "nothing is known before it is reserved"
        await first.reserve()
        refused = limits.of_caller(rules, me, request(max_tokens=600))
        assert refused is not None
        with pytest.raises(LimitExceeded):
            await refused.reserve()
        refused.settle([])
        assert dict(refused.headers)["x-ratelimit-remaining-tokens"] == "490"
        tried = [Attempt("p", "m", outcome="ok", usage=usage) for usage in (Usage(10, 20), None, Usage(10, 30))]
        first.settle(tried)
        last = limits.of_caller(rules, me, request(max_tokens=0))
        assert last is not None
        await last.reserve()
        assert dict(last.headers)["x-ratelimit-remaining-tokens"] == str(1000 - 70 - 10)

    asyncio.run(scenario())


def test_a_model_at_its_limit_says_how_long_and_nothing_of_its_health() -> None:
    async def scenario() -> None:
        quota = Limits(MemoryLimits(), Metrics()).of_model((LimitRule(2, "model", Rate(1, 60)),), "m")
        assert quota is not None
        (await quota.reserve(request())).settle(0)
        with pytest.raises(UpstreamError) as caught:
            await quota.reserve(request())
        assert caught.value.fault == "limited"
        assert not caught.value.is_retryable
        assert caught.value.retry_after_s == pytest.approx(60, abs=1.1)
        assert "model 'm' may be sent 1 request a minute (limits[2] of the policy); try again in 6" in caught.value.message

    asyncio.run(scenario())
