"""The most that a request may cost: tiers, cascades, hedges, images, prices with dates, machines that are paid anyway."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gateway.budgets.most import IMAGE_TOKENS, is_free, most_nusd
from gateway.budgets.usual import COLD_TOKENS, UsualOutput
from gateway.chat import read_head
from gateway.policy.catalog import BusyPrice, Gpu, Model, PriceFrom, Rates, Tier, TokenPrice
from gateway.policy.failover import PLAIN, HedgeRule
from gateway.policy.model import AcceptRule, Agreement, CacheRule, Plan, Retry, Timeouts
from gateway.request import ChatRequest

CHEAP, DEAR = TokenPrice(1000, 2000, 100, 1000, "x"), TokenPrice(10_000, 30_000, 100, 10_000, "x")
MODELS = {
    "cheap": Model("cheap", "p", "c", None, CHEAP),
    "dear": Model("dear", "p", "d", None, DEAR),
    "busy": Model("busy", "p", "b", None, BusyPrice(10**9, "x"), gpu=Gpu(1, True)),
}


def request(tokens_in: int = 100, max_tokens: str = "50", more: str = "") -> ChatRequest:
    text = "x" * (4 * tokens_in)
    body = f'{{"model": "m", "max_tokens": {max_tokens}, "messages": [{{"role": "user", "content": "{text}"}}]{more}}}'.encode()
    return ChatRequest("r", body, read_head(body))


def plan(*targets: str, **more: object) -> Plan:
    return msgspec.structs.replace(Plan("r", "x", targets[0], targets, Timeouts(), Retry(), CacheRule()), **more)  # type: ignore[arg-type]


def most(of: Plan, what: ChatRequest | None = None, usual: UsualOutput | None = None) -> int:
    return most_nusd(of, MODELS, what or request(), 0.0, usual or UsualOutput())


def test_of_several_targets_the_dearest_may_answer() -> None:
    assert most(plan("cheap")) == 100 + 100
    assert most(plan("cheap", "dear", "busy")) == 1000 + 1500
    assert most(plan("busy")) == 0


def test_rungs_are_paid_on_top_as_often_as_they_are_asked() -> None:
    once = plan("cheap", "dear", accept={"cheap": AcceptRule()})
    assert most(once) == 200 + 2500
    thrice = plan("cheap", "dear", accept={"cheap": AcceptRule(agreement=Agreement(3, 0.6))})
    assert most(thrice) == 600 + 2500


def test_a_hedge_asks_two() -> None:
    hedged = plan("cheap", "dear", failover=replace(PLAIN, hedge=HedgeRule(after_s=1.0)))
    assert most(hedged) == 200 + 2500


@pytest.mark.parametrize(("max_tokens", "more", "tokens_out"), [("50", ', "n": 3', 150), ("-5", "", 0)])
def test_output_is_what_the_request_allows_whatever_is_usual(max_tokens: str, more: str, tokens_out: int) -> None:
    usual = UsualOutput()
    usual.wrote("cheap", 9000, 0.0)
    assert most(plan("cheap"), request(100, max_tokens, more), usual) == 100 + 2 * tokens_out


def test_without_a_bound_it_is_what_is_usual_of_each_model_as_often_as_answers_are_wanted() -> None:
    usual, unbounded = UsualOutput(), request(100, "null")
    assert most(plan("cheap"), unbounded, usual) == 100 + 2 * COLD_TOKENS
    usual.wrote("cheap", 3000, 0.0)
    assert most(plan("cheap"), unbounded, usual) == 100 + 2 * 3000
    assert most(plan("cheap"), request(100, "null", ', "n": 2'), usual) == 100 + 2 * 2 * 3000
    assert most(plan("cheap", "dear"), unbounded, usual) == 1000 + 30 * COLD_TOKENS, "the dearest may answer"
    usual.wrote("cheap", 30_000, 0.0)
    assert most(plan("cheap", "dear"), unbounded, usual) == 100 + 2 * 30_000, "which may be the one of the longer answers"


@pytest.mark.parametrize(("tokens_in", "left"), [(500, 500), (990, 10), (2000, 0)])
def test_without_a_bound_no_more_is_written_than_the_context_leaves(tokens_in: int, left: int) -> None:
    models, usual = {"m": Model("m", "p", "m", 1000, CHEAP)}, UsualOutput()
    usual.wrote("m", 5000, 0.0)
    assert most_nusd(plan("m"), models, request(tokens_in, "null"), 0.0, usual) == tokens_in + 2 * left


def test_long_requests_cost_what_their_tier_says() -> None:
    tiered = replace(CHEAP, tiers=(Tier(50, Rates(5000, 6000, 100, 7000)),))
    models = {"m": Model("m", "p", "m", None, tiered)}
    assert most_nusd(plan("m"), models, request(50), 0.0, UsualOutput()) == 50 + 100
    assert most_nusd(plan("m"), models, request(51), 0.0, UsualOutput()) == 7 * 51 + 300, (
        "all of it may be kept, which costs more"
    )


def test_images_cost_their_rate_and_tokens_that_nobody_can_count_before() -> None:
    parts = b'[{"type": "image_url"}, {"type": "image_url"}]'
    body = b'{"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": ' + parts + b"}]}"
    pictures = ChatRequest("r", body, read_head(body))
    assert pictures.images == 2
    models = {"m": Model("m", "p", "m", None, replace(CHEAP, image=7_000_000))}
    assert most_nusd(plan("m"), models, pictures, 0.0, UsualOutput()) == 2 * IMAGE_TOKENS + 2 * 7000


def test_a_price_with_a_date_is_that_of_the_request() -> None:
    models = {"m": Model("m", "p", "m", None, DEAR, prices=(PriceFrom(0.0, CHEAP), PriceFrom(1000.0, DEAR)))}
    assert [most_nusd(plan("m"), models, request(), at, UsualOutput()) for at in (999.0, 1000.0)] == [200, 2500]


def test_free_is_what_costs_nothing_more() -> None:
    assert is_free(MODELS["busy"]) and not is_free(MODELS["dear"])
    assert is_free(Model("m", "p", "m", None, TokenPrice(0, 0, 0, 0, "x")))
    assert is_free(Model("m", "p", "m", None, CHEAP, gpu=Gpu(1, False)))
    assert not is_free(Model("m", "p", "m", None, None)), "unknown is not nothing"
