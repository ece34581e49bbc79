"""Budgets through the whole gateway: who is refused, sent elsewhere or answered for nothing, and what is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.ledger.base import Entry
from gateway.ledger.spool import Spool
from gateway.policy.permit import Permit
from tests.budgets.policies import budgeted
from tests.keys.making import make
from tests.live_gateway import LiveGateway, text_of

ADMIN = {"authorization": "Bearer the-operator"}
SAID = "This is a rehearsed answer from"
COST = 8_000_000  # nano-USD of "hello" and an answer, by the dear model: 2 tokens in, 6 out


def live(folder: Path, *rules: str, **options: Any) -> LiveGateway:
    settings = {"admin_key": "the-operator", **options.pop("settings", {})}
    return LiveGateway(folder, budgeted(*rules, **options), **settings)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def standings(gateway: LiveGateway) -> list[dict[str, Any]]:
    found = gateway.http.get("/admin/budgets", headers=ADMIN)
    assert found.status_code == 200, found.text
    assert found.json()["problem"] is None
    rows: list[dict[str, Any]] = found.json()["budgets"]
    return rows


def spent(gateway: LiveGateway) -> list[tuple[str, int, int]]:
    """(holder, spent, reserved) of each row."""
    return [(row["holder"], row["spent_nusd"], row["reserved_nusd"]) for row in standings(gateway)]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_key_is_refused_when_its_budget_is_spent_and_others_are_not(tmp_path: Path, is_stream: bool) -> None:
    with live(tmp_path, "{per: key, usd: 0.04/day}") as gateway:
        answers = [gateway.chat(headers=bearer("a"), stream=is_stream, max_tokens=20) for _ in range(4)]
        # 2 + 20 tokens are reserved each time, $0.022, and 8 are used: the fourth would need what is not left.
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        last = answers[3]
        error = last.json()["error"]
        assert (error["code"], error["type"]) == ("budget_exceeded", "rate_limit_error")
        assert "may spend $0.040 a day, budgets[0] of the policy; $0.024 are spent" in error["message"]
        assert "this request may cost $0.022: send less, ask for fewer tokens with `max_tokens`" in error["message"]
        midnight = 86_400 - time.time() % 86_400
        assert int(last.headers["retry-after"]) == pytest.approx(midnight, abs=5)
        entry = gateway.entry(last)
        assert (entry["outcome"], entry["status"], entry["attempts"], entry["cost_nusd"]) == ("refused", 429, [], 0)
        assert entry["route"] == "all"
        assert gateway.chat(headers=bearer("a"), max_tokens=10).status_code == 200, "a smaller one fits"
        assert gateway.chat(headers=bearer("b"), max_tokens=20).status_code == 200
        metrics = gateway.http.get("/metrics").text
        assert 'turnout_budget_reached_total{budget="key: 0.04/day at 1 refuse"} 1.0' in metrics
        assert 'turnout_budget_spent{budget="key: 0.04/day at 1 refuse"} 0.8' in metrics


def test_the_numbers_shown_are_those_of_the_ledger(tmp_path: Path) -> None:
    with live(tmp_path, "{per: team, usd: 1/month}", "{per: route, usd: 1/week}", "{per: gateway, usd: 1/24h}") as gateway:
        costs = [gateway.entry(gateway.chat("hello", stream=n % 2 == 0, max_tokens=8))["cost_nusd"] for n in range(5)]
        assert costs == [COST] * 5
        assert spent(gateway) == [("anonymous", 5 * COST, 0), ("all", 5 * COST, 0), ("gateway", 5 * COST, 0)]
        month, week, rolling = standings(gateway)
        ends_at = datetime.fromisoformat(month["ends_at"])
        assert (ends_at.day, ends_at.hour, ends_at.tzinfo) == (1, 0, UTC)
        assert datetime.fromisoformat(week["ends_at"]).weekday() == 0
        assert (rolling["ends_at"], rolling["period"]) == (None, "1d")


def test_two_hundred_at_once_overspend_by_nothing(tmp_path: Path) -> None:
    # Each may cost $0.042 and costs $0.022, of which 40 are in flight together at $1.
    with live(tmp_path, "{per: gateway, usd: 1/day}", words=20, pace=200.0) as gateway:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 40}

        async def ask_all() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=60, limits=httpx.Limits(max_connections=200)) as client:
                asked = (client.post("/v1/chat/completions", json=body | {"stream": n % 2 == 0}) for n in range(200))
                return await asyncio.gather(*asked)

        answers = asyncio.run(ask_all())
        answered = [answer for answer in answers if answer.status_code == 200]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert len(answered) >= 23
        booked = sum(gateway.entry(answer)["cost_nusd"] for answer in answered)
        assert spent(gateway) == [("gateway", booked, 0)]
        assert booked <= 10**9
        while gateway.chat(max_tokens=40).status_code == 200:
            pass
        [(_, nusd, _)] = spent(gateway)
        assert 10**9 - 42_000_000 < nusd <= 10**9, "and to the last request that fits"


def test_a_request_that_needs_more_than_all_of_it_is_told_so(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 0.05/day}") as gateway:
        never = gateway.chat(max_tokens=100)
        assert never.status_code == 429 and "retry-after" not in never.headers
        assert "this request may cost $0.10, more than all of it: send less" in never.json()["error"]["message"]
        assert gateway.chat(max_tokens=10).status_code == 200


def test_a_spent_budget_sends_requests_by_another_route(tmp_path: Path) -> None:
    rules = "{per: team, usd: 0.02/day, at: 1.0, then: {route: easy}}"
    with live(tmp_path, rules) as gateway:
        first = gateway.chat(max_tokens=10)
        assert (first.headers["x-turnout-model"], "x-turnout-compromise" in first.headers) == ("dear", False)
        second = gateway.chat(max_tokens=20)
        assert (second.headers["x-turnout-route"], second.headers["x-turnout-model"]) == ("easy", "cheap")
        assert (
            "team 'anonymous' has spent $0.0080 of $0.020 a day, so route 'easy' answers"
            == second.headers["x-turnout-compromise"]
        )
        entry = gateway.entry(second)
        assert (entry["decided_by"], entry["cost_nusd"]) == ("budget:easy", 8_000)
        named = gateway.chat(model="dear", max_tokens=20)
        assert named.headers["x-turnout-model"] == "cheap", "one that names a model outright as well"
        asked = gateway.chat(max_tokens=20, headers={"x-turnout-route": "all"})
        assert asked.headers["x-turnout-route"] == "easy"
        assert gateway.chat(max_tokens=20, headers={"x-turnout-tags": "easy=yes"}).headers["x-turnout-model"] == "cheap"
        tried = gateway.http.post(
            "/v1/route", json={"model": "auto", "max_tokens": 20, "messages": [{"role": "user", "content": "x"}]}
        )
        assert (tried.json()["route"], tried.json()["decided_by"]) == ("easy", "budget:easy")
        assert "so route 'easy' answers" in tried.json()["budget"]
        assert spent(gateway) == [("anonymous", COST + 4 * 8_000, 0)], "nothing is reserved for what was only tried"


def test_a_key_that_may_not_take_the_route_of_a_budget_is_told_both(tmp_path: Path) -> None:
    _, secret = make(tmp_path, team="acme", permit=Permit(routes=("all",)))
    with live(tmp_path, "{per: team, usd: 0.02/day, then: {route: easy}}") as gateway:
        assert gateway.chat(max_tokens=10, headers=bearer(secret)).status_code == 200
        refused = gateway.chat(max_tokens=20, headers=bearer(secret))
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "route_not_allowed")
        assert refused.json()["error"]["message"].startswith("team 'acme' has spent $0.0080 of $0.020 a day, so route 'easy'")
        assert "which your key may not take" in refused.json()["error"]["message"]


def test_the_route_of_a_budget_is_held_against_other_budgets(tmp_path: Path) -> None:
    rules = "{per: key, usd: 0.01/day, then: {route: easy}}", "{per: route, of: [easy], usd: 0.00003/day}"
    with live(tmp_path, *rules) as gateway:
        assert [gateway.chat(max_tokens=20).status_code for _ in range(3)] == [200, 200, 429]
        assert "route 'easy' may spend $0.000030 a day" in gateway.chat(max_tokens=20).text


def test_what_costs_nothing_more_is_still_asked(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 0.02/day, free: allow}", more="") as gateway:
        assert gateway.chat(max_tokens=15).headers["x-turnout-model"] == "dear"
        second = gateway.chat(max_tokens=15)
        assert second.headers["x-turnout-model"] == "ours"
        assert (
            "key 'anonymous' has spent $0.0080 of $0.020 a day, so only what costs nothing more answers"
            in second.headers["x-turnout-compromise"]
        )
        refused = gateway.chat(max_tokens=15, headers={"x-turnout-tags": "easy=yes", "x-turnout-cache": "bypass"})
        assert refused.status_code == 200, "what fits is let through"
        assert refused.headers["x-turnout-model"] == "cheap"
        named = gateway.chat(model="dear", max_tokens=15)
        assert (named.status_code, named.json()["error"]["code"]) == (429, "budget_exceeded")


def test_a_spent_budget_that_allows_nothing_refuses_the_free_ones_too(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 0.008/day}") as gateway:
        assert gateway.chat(max_tokens=6).status_code == 200
        assert gateway.chat(model="ours").status_code == 429


def test_kept_answers_and_texts_of_our_own(tmp_path: Path) -> None:
    routes = """  - {name: greeting, when: {tag.hi: "yes"}, answer: {static: Welcome.}}
  - {name: kept, when: {tag.kept: "yes"}, model: dear, cache: {mode: exact, ttl: 1h}}"""
    kept = {"x-turnout-tags": "kept=yes"}
    for folder, free, expected in (("a", "allow", 200), ("b", "refuse", 429)):
        (tmp_path / folder).mkdir()
        rule = f"{{per: gateway, usd: 0.008/day, free: {free}}}"
        with live(tmp_path / folder, rule, routes=routes) as gateway:
            assert gateway.chat("hello", headers=kept, max_tokens=6).headers["x-turnout-cache"] == "miss"
            again = gateway.chat("hello", headers=kept, max_tokens=6)
            assert again.status_code == expected
            assert gateway.chat("other", headers=kept, max_tokens=6).status_code == 429
            if expected == 200:
                assert again.headers["x-turnout-cache"] == "hit-exact"
            assert text_of(gateway.chat("hi", headers={"x-turnout-tags": "hi=yes"})) == "Welcome."


def test_tags_are_counted_apart_and_requests_without_one_are_in_no_budget(tmp_path: Path) -> None:
    with live(tmp_path, "{per: tag:app, usd: 0.01/day}") as gateway:
        for app in ("web", "batch"):
            tagged = {"x-turnout-tags": f"app={app}"}
            assert [gateway.chat(headers=tagged, max_tokens=8).status_code for _ in range(2)] == [200, 429]
        assert [gateway.chat(max_tokens=8).status_code for _ in range(3)] == [200] * 3
        assert spent(gateway) == [("batch", COST, 0), ("web", COST, 0)]


def test_a_caller_who_leaves_pays_for_what_was_said_and_holds_nothing(tmp_path: Path) -> None:
    with live(tmp_path, "{per: gateway, usd: 1/day}", words=200, pace=50.0) as gateway:
        body = {"model": "auto", "stream": True, "max_tokens": 900, "messages": [{"role": "user", "content": "hello"}]}
        with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.iter_lines()  # held on to: the connection ends with it
            while '"content":"' not in next(lines):
                pass
            [(_, nusd, reserved)] = spent(gateway)
            assert (nusd, reserved) == (0, 902_000_000)
            assert gateway.chat(max_tokens=900).status_code == 429, "what is reserved is not there"
        until = time.monotonic() + 10
        while (now := spent(gateway)[0])[2]:
            assert time.monotonic() < until, "what was reserved is not given back"
            time.sleep(0.05)
        assert 0 < now[1] < 200_000_000
        assert gateway.entry(response)["cost_nusd"] == now[1]


def test_a_gateway_that_is_started_again_knows_what_was_spent(tmp_path: Path) -> None:
    rules = "{per: key, usd: 0.02/day}", "{per: tag:app, usd: 1/month}", "{per: gateway, usd: 1/2h}", "{per: route, usd: 1/30d}"
    tagged = {"x-turnout-tags": "app=web"}
    with live(tmp_path, *rules) as gateway:
        assert [gateway.chat(max_tokens=8, headers=tagged).status_code for _ in range(2)] == [200, 200]
        before = spent(gateway)
        assert before == [("anonymous", 2 * COST, 0), ("web", 2 * COST, 0), ("gateway", 2 * COST, 0), ("all", 2 * COST, 0)]
    with live(tmp_path, *rules) as gateway:
        assert spent(gateway) == before
        assert gateway.chat(max_tokens=8).status_code == 429


def test_it_knows_at_once_what_a_killed_gateway_left_in_its_spool(tmp_path: Path) -> None:
    fields = {"request_id": "r", "dialect": "", "requested_model": "m", "stream": False, "key": "k", "policy_hash": ""}
    with live(tmp_path, "{per: gateway, usd: 0.02/month}") as gateway:
        spool = Spool(gateway.settings.spool)
        spool.append(Entry(**fields, at=time.time(), draw=0.0, cost_nusd=20_000_000))
    spool.close()
    with live(tmp_path, "{per: gateway, usd: 0.02/month}") as gateway:
        assert spent(gateway) == [("gateway", 20_000_000, 0)]
        assert gateway.chat(max_tokens=8).status_code == 429


def test_a_changed_policy_holds_at_once_and_knows_what_was_spent(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 0.02/day}") as gateway:
        assert [gateway.chat(max_tokens=8).status_code for _ in range(3)] == [200, 200, 429]
        until = time.monotonic() + 10
        while not (tmp_path / "ledger.db").exists() or time.monotonic() < until - 9.5:  # the ledger is written soon
            time.sleep(0.05)
        gateway.policy_path.write_text(budgeted("{per: key, usd: 1/day}", "{per: gateway, usd: 0.02/week}"))
        while len(standings(gateway)) < 2:
            assert time.monotonic() < until, "the changed policy is not taken"
            time.sleep(0.05)
        assert spent(gateway) == [("anonymous", 2 * COST, 0), ("gateway", 2 * COST, 0)]
        refused = gateway.chat(max_tokens=8)
        assert refused.status_code == 429 and "the whole gateway may spend $0.020 a week" in refused.text


def test_only_the_operator_sees_the_budgets(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 1/day}") as gateway:
        assert gateway.http.get("/admin/budgets").status_code == 401
        assert standings(gateway) == []


def test_the_openai_client_raises_its_rate_limit_error(tmp_path: Path) -> None:
    with live(tmp_path, "{per: key, usd: 0.001/day}") as gateway:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sdk", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.code == "budget_exceeded"


def test_a_policy_without_budgets_shows_none(tmp_path: Path) -> None:
    text = budgeted("{per: key, usd: 1/day}").partition("budgets:")[0]
    with LiveGateway(tmp_path, text, admin_key="the-operator") as gateway:
        assert gateway.chat().status_code == 200
        assert standings(gateway) == []
        assert "turnout_budget_spent{" not in gateway.http.get("/metrics").text


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with live(tmp_path_factory.mktemp("budgets"), "{per: key, usd: 0.01/day, at: 0.5, then: refuse}") as gateway:
        yield gateway


def test_a_budget_may_refuse_before_its_end(plain: LiveGateway) -> None:
    refused = plain.chat(max_tokens=6)
    assert refused.status_code == 429
    assert "may spend $0.010 a day (refused from $0.0050 on)" in refused.json()["error"]["message"]


def test_a_request_that_is_denied_is_not_charged(plain: LiveGateway) -> None:
    assert plain.chat(model="nobody").status_code == 404
    assert plain.chat(max_tokens=1, headers=bearer("x")).status_code == 200
    assert [row for row in spent(plain) if row[1] == 0] == []
