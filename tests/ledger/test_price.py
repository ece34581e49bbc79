"""Usage to money, in integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.price import cost_nusd, shipped_price, usd
from gateway.policy.catalog import BusyPrice, TokenPrice
from gateway.policy.schema_models import AnthropicProvider, FakeProvider, LiteLLMProvider, OpenAIProvider
from gateway.usage import Usage

# 2 USD per million tokens in, 8 out, a quarter of it for cached input: gpt-4.1's shape.
PRICE = TokenPrice(input=2_000_000, output=8_000_000, cached_input=500_000, cache_write=2_500_000, source="test")
tokens = st.integers(0, 10_000_000)


@pytest.mark.parametrize(
    ("usage", "nusd"),
    [
        (Usage(0, 0), 0),
        (Usage(1, 0), 2_000),
        (Usage(0, 1), 8_000),
        (Usage(1_000_000, 0), 2_000_000_000),
        (Usage(100, 10, cached_input=60), 40 * 2_000 + 60 * 500 + 10 * 8_000),
        (Usage(100, 10, cache_write=60), 40 * 2_000 + 60 * 2_500 + 10 * 8_000),
        (Usage(100, 10, reasoning=4), 100 * 2_000 + 10 * 8_000),  # reasoning is part of the output
    ],
)
def test_tokens_cost_what_the_price_says(usage: Usage, nusd: int) -> None:
    assert cost_nusd(PRICE, usage) == nusd


def test_an_unknown_price_is_unknown_as_soon_as_something_was_bought() -> None:
    assert cost_nusd(None, Usage(1, 1)) is None
    assert cost_nusd(None, None) == 0
    assert cost_nusd(PRICE, None) == 0
    assert usd(None) is None


def test_machine_time_costs_by_the_second_whatever_the_tokens() -> None:
    an_hour_for_36_cents = BusyPrice(pusd_per_second=100_000_000, source="test")
    assert cost_nusd(an_hour_for_36_cents, Usage(5, 5), busy_s=2.5) == 250_000
    assert cost_nusd(an_hour_for_36_cents, None, busy_s=1.0) == 100_000
    assert cost_nusd(an_hour_for_36_cents, Usage(5, 5)) is None, "a baseline paid by the hour cannot be known from tokens"


def test_half_a_nano_usd_is_rounded_up_once() -> None:
    tiny = TokenPrice(input=500, output=499, cached_input=500, cache_write=500, source="test")
    assert cost_nusd(tiny, Usage(1, 0)) == 1
    assert cost_nusd(tiny, Usage(0, 1)) == 0
    assert cost_nusd(tiny, Usage(3, 0)) == 2  # 1.5, not three times 1


@given(tokens, tokens, tokens, tokens)
def test_costs_of_two_answers_add_up_to_the_cost_of_both(a: int, b: int, c: int, d: int) -> None:
    assert cost_nusd(PRICE, Usage(a, b) + Usage(c, d)) == (cost_nusd(PRICE, Usage(a, b)) or 0) + (
        cost_nusd(PRICE, Usage(c, d)) or 0
    )


@given(tokens, tokens)
def test_more_cached_than_input_never_pays_the_caller(input_: int, cached: int) -> None:
    cost = cost_nusd(PRICE, Usage(input_, 0, cached_input=cached))
    assert cost is not None and cost >= 0


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (OpenAIProvider(kind="openai"), "gpt-4.1"),
        (AnthropicProvider(kind="anthropic"), "claude-sonnet-4-5"),
        (LiteLLMProvider(kind="litellm", litellm_provider="gemini"), "gemini-2.5-flash"),
        (OpenAIProvider(kind="openai", base_url="https://api.deepseek.com/v1"), "deepseek-chat"),
    ],
)
def test_well_known_models_have_a_shipped_price(provider: OpenAIProvider, model: str) -> None:
    price = shipped_price(provider, model)
    assert price is not None
    assert 0 < price.cached_input <= price.input < price.output


def test_a_server_of_ones_own_has_no_shipped_price_even_for_a_famous_name() -> None:
    assert shipped_price(OpenAIProvider(kind="openai", base_url="http://10.0.0.7:8000/v1"), "gpt-4.1") is None
    assert shipped_price(FakeProvider(kind="fake"), "gpt-4.1") is None
