"""What a policy says of prices: every rate, tiers, services and dates; and what holds where it says nothing."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.catalog import BusyPrice, Gpu, Model, PriceFrom, Rates, TokenPrice
from gateway.policy.compile import compile_policy
from gateway.policy.grammar import day
from gateway.policy.rates import Tariff, token_price
from tests.policy.sample import compiled, problems

TEXT = """version: 1
providers:
  far: {{kind: openai, base_url: "https://api.example.com/v1"}}
models:
  m:
    provider: far
    id: m-1
    {price}
routes:
  - {{name: rest, model: m}}
"""
MILLION = 1_000_000


def text(price: str) -> str:
    return TEXT.format(price=price.replace("\n", "\n    "))


def model(price: str, now: float | None = None) -> Model:
    if now is None:
        return compiled(text(price)).models["m"]
    policy = compile_policy(
        "p.yaml", text(price), env={}, price_of=lambda provider, model_id: None, read_file=lambda name: "", now=now
    )
    return policy.models["m"]


def token_priced(price: str) -> TokenPrice:
    found = model(price).price
    assert isinstance(found, TokenPrice)
    return found


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# Rates.


def test_every_rate_is_taken_in_pico_usd() -> None:
    price = token_priced(
        "price: {input: 3, output: 15, cached_input: 0.3, cache_write: 3.75, cache_write_1h: 6, reasoning: 20, "
        "audio_input: 40, audio_output: 80, image: 0.001}"
    )
    assert price == TokenPrice(
        3 * MILLION,
        15 * MILLION,
        300_000,
        3_750_000,
        "policy",
        cache_write_1h=6 * MILLION,
        reasoning=20 * MILLION,
        audio_input=40 * MILLION,
        audio_output=80 * MILLION,
        image=10**9,
    )


@given(st.integers(0, 10**9))
def test_any_price_of_whole_pico_usd_is_exact(pico: int) -> None:
    written = f"{pico // MILLION}.{pico % MILLION:06d}"
    assert token_priced(f"price: {{input: {written}, output: 0}}").input == pico


def test_a_tier_holds_for_all_tokens_of_a_longer_request() -> None:
    price = token_priced("price: {input: 3, output: 15, tiers: [{above: 200000, input: 6, output: 22.5}]}")
    assert price.rates(200_000) is price
    assert price.rates(200_001) == Rates(6 * MILLION, 22_500_000, 6 * MILLION, 6 * MILLION)


def test_what_a_tier_does_not_name_keeps_its_proportion() -> None:
    price = token_priced(
        "price: {input: 3, output: 15, cached_input: 0.3, cache_write: 3.75, reasoning: 30, image: 0.01, "
        "tiers: [{above: 200000, input: 6, output: 22.5, cache_write: 8}]}"
    )
    long = price.rates(200_001)
    assert long == Rates(6 * MILLION, 22_500_000, 600_000, 8 * MILLION, reasoning=45 * MILLION, image=10**10)


def test_a_service_has_its_own_rates_and_the_usual_tiers_in_proportion() -> None:
    price = token_priced(
        "price: {input: 2, output: 8, cached_input: 0.5, tiers: [{above: 1000, input: 4, output: 12}], "
        "service: {batch: {input: 1, output: 4}, priority: {input: 3, output: 16, tiers: [{above: 9, input: 5, output: 20}]}}}"
    )
    assert price.rates(1000, "batch") == Rates(1 * MILLION, 4 * MILLION, 250_000, 1 * MILLION)
    assert price.rates(1001, "batch") == Rates(2 * MILLION, 6 * MILLION, 500_000, 2 * MILLION)
    assert price.rates(9, "priority") == Rates(3 * MILLION, 16 * MILLION, 750_000, 3 * MILLION)
    assert price.rates(2000, "priority") == Rates(5 * MILLION, 20 * MILLION, 1_250_000, 5 * MILLION)
    assert price.rates(1000, "flex") is price


named = st.fixed_dictionaries(
    {"input": st.integers(0, 10**9), "output": st.integers(0, 10**9)},
    optional=dict.fromkeys(("cached_input", "cache_write", "cache_write_1h", "reasoning", "audio_input"), st.integers(0, 10**9)),
)


@given(named, st.dictionaries(st.integers(1, 10**6), named, max_size=3), named, st.integers(0, 10**6))
def test_rates_that_are_named_hold_as_they_are(
    usual: dict[str, int], tiers: dict[int, dict[str, int]], batch: dict[str, int], tokens_in: int
) -> None:
    price = token_price(Tariff(usual, tiers), {"batch": Tariff(batch)}, "test")
    reached = [above for above in tiers if tokens_in > above]
    said = tiers[max(reached)] if reached else usual
    rates = price.rates(tokens_in)
    assert {name: getattr(rates, name) for name in said} == said
    short = price.rates(0, "batch")
    assert {name: getattr(short, name) for name in batch} == batch


@given(named, st.integers(1, 20))
def test_a_tier_so_many_times_as_dear_is_so_for_every_part(usual: dict[str, int], times: int) -> None:
    tier = {"input": usual["input"] * times, "output": usual["output"] * times}
    price = token_price(Tariff(usual, {10: tier}), {}, "test")
    for part, whole in (("cached_input", "input"), ("cache_write_1h", "input"), ("reasoning", "output")):
        rate = getattr(price, part)
        expected = None if rate is None else rate * times if usual[whole] else 0
        assert getattr(price.rates(11), part) == expected


# Dates.

DATED = """price:
  - {from: 2026-01-01, input: 3, output: 15}
  - {from: 2026-12-01, input: 2, output: 10}"""


@pytest.mark.parametrize(
    ("moment", "usd"),
    [
        ("2025-06-01T00:00:00", 3),  # before the first date the first price holds
        ("2026-01-01T00:00:00", 3),
        ("2026-11-30T23:59:59", 3),
        ("2026-12-01T00:00:00", 2),
        ("2030-01-01T00:00:00", 2),
    ],
)
def test_a_price_holds_from_midnight_utc_of_its_day(moment: str, usd: int) -> None:
    price = model(DATED).price_at(at(moment))
    assert isinstance(price, TokenPrice) and price.input == usd * MILLION
    now = model(DATED, now=at(moment)).price
    assert now == price


def test_without_a_moment_the_latest_price_holds() -> None:
    assert token_priced(DATED).input == 2 * MILLION


def test_one_price_holds_at_all_times() -> None:
    found = model("price: {input: 1, output: 2}")
    assert found.prices == ()
    assert found.price_at(0.0) == found.price_at(at("2040-01-01")) == found.price


def test_the_maps_history_is_the_models() -> None:
    old, new = (TokenPrice(n, n, n, n, "map") for n in (5, 4))
    policy = compile_policy(
        "p.yaml",
        text("context: 9"),
        env={},
        price_of=lambda provider, model_id: (PriceFrom(0.0, old), PriceFrom(at("2026-05-01"), new)),
        read_file=lambda name: "",
        now=at("2026-06-01"),
    )
    found = policy.models["m"]
    assert found.price == new
    assert found.price_at(at("2026-04-30")) == old


def test_an_unknown_price_is_unknown_at_all_times() -> None:
    found = model("price: unknown")
    assert found.price is None and found.price_at(at("2026-01-01")) is None


@given(st.dates())
def test_a_day_is_read_as_it_is_written(date: object) -> None:
    assert day(str(date)) == at(str(date))


# Mistakes.


@pytest.mark.parametrize(
    ("price", "line", "said"),
    [
        ("price: {input: 1, output: 2, reasning: 3}", 8, "models.m.price: unknown key `reasning`; did you mean `reasoning`?"),
        ("price: {input: 1}", 8, "models.m.price: `output` is missing; add it"),
        ("price: []", 8, "`models.m.price`: list should have at least 1 item after validation, not 0"),
        ("price:\n  - {form: 2026-01-01, input: 1, output: 2}", 9, "unknown key `form`; did you mean `from`?"),
        ("price:\n  - {input: 1, output: 2}", 9, "models.m.price[0]: `from` is missing; add it"),
        (
            "price:\n  - {from: 2026-13-01, input: 1, output: 2}",
            9,
            "`models.m.price[0].from`: a day is expected, such as 2026-01-31, not '2026-13-01'",
        ),
        ("price:\n  - {from: 2026, input: 1, output: 2}", 9, "a day is expected, such as 2026-01-31, not 2026"),
        (
            "price:\n  - {from: 2026-02-01, input: 1, output: 2}\n  - {from: 2026-01-01, input: 1, output: 2}",
            10,
            "prices go from the oldest to the newest, one a day; put this one where it belongs",
        ),
        (
            "price:\n  - {from: 2026-02-01, input: 1, output: 2}\n  - {from: 2026-02-01, input: 1, output: 2}",
            10,
            "prices go from the oldest to the newest, one a day; put this one where it belongs",
        ),
        (
            "price:\n  input: 1\n  output: 2\n  tiers:\n"
            "    - {above: 9, input: 1, output: 2}\n    - {above: 9, input: 1, output: 2}",
            13,
            "tiers go from the lowest `above` to the highest, each once",
        ),
        (
            "price:\n  input: 1\n  output: 2\n  service:\n    flex:\n      input: 1\n      output: 1\n"
            "      tiers: [{above: 9, input: 1, output: 2}, {above: 8, input: 1, output: 2}]",
            15,
            "tiers go from the lowest `above` to the highest, each once",
        ),
        (
            "price: {input: 1, output: 2, tiers: [{abov: 1, input: 1, output: 2}]}",
            8,
            "models.m.price.tiers[0]: unknown key `abov`; did you mean `above`?",
        ),
        (
            "price: {input: 1, output: 2, service: {bach: {input: 1, output: 2}}}",
            8,
            "models.m.price.service: unknown key `bach`; did you mean `batch`?",
        ),
        (
            "price: {input: 1, output: 2, service: {batch: {inptu: 1, output: 2}}}",
            8,
            "models.m.price.service.batch: unknown key `inptu`; did you mean `input`?",
        ),
        ("price: {input: 1, output: 2, tiers: [{above: 0, input: 1, output: 2}]}", 8, "greater than or equal to 1 (it is 0)"),
        ("price: {input: 1, output: 2, image: -1}", 8, "greater than or equal to 0 (it is -1)"),
    ],
)
def test_a_mistake_in_a_price_is_said_with_its_line(price: str, line: int, said: str) -> None:
    found = problems(text(price))
    assert any(re.match(rf"p\.yaml:{line}: ", one) and said in one for one in found), found


def test_an_unpriced_model_is_told_what_may_be_meant() -> None:
    with pytest.raises(
        Exception, match=r"did you mean 'm-2' or 'm-3'\? Else add the one that holds to it: price: \{input"
    ) as told:
        compile_policy(
            "p.yaml",
            text("context: 9"),
            env={},
            price_of=lambda provider, model_id: None,
            read_file=lambda name: "",
            names_like=lambda provider, model_id: ["m-2", "m-3"],
        )
    assert str(told.value).startswith("p.yaml:5: model 'm': 'm-1' has no price in the price map; did")


# Machines.


@pytest.mark.parametrize(
    ("spec", "price", "gpu"),
    [
        ("usd_per_hour: 3.6", BusyPrice(10**9, "GPU-hours, measured"), Gpu(36 * 10**11, True)),
        ("usd_per_hour: 3.6, count: 2", BusyPrice(2 * 10**9, "GPU-hours, measured"), Gpu(72 * 10**11, True)),
        ("usd_per_hour: 3.6, utilisation: 0.5", BusyPrice(2 * 10**9, "GPU-hours, measured"), Gpu(36 * 10**11, False)),
        ("usd_per_hour: 3.6, utilisation: 1", BusyPrice(10**9, "GPU-hours, measured"), Gpu(36 * 10**11, False)),
        (
            "usd_per_hour: 3.6, tokens_per_second: {input: 1000, output: 50}",
            TokenPrice(MILLION, 20 * MILLION, MILLION, MILLION, "GPU-hours, given speed"),
            Gpu(36 * 10**11, True),
        ),
        (
            "usd_per_hour: 3.6, utilisation: 0.1, tokens_per_second: {input: 1000, output: 50}",
            TokenPrice(10 * MILLION, 200 * MILLION, 10 * MILLION, 10 * MILLION, "GPU-hours, given speed"),
            Gpu(36 * 10**11, False),
        ),
    ],
)
def test_a_machine_costs_the_more_the_less_it_is_given_as_busy(spec: str, price: object, gpu: Gpu) -> None:
    found = model(f"gpu: {{{spec}}}")
    assert (found.price, found.gpu) == (price, gpu)


@pytest.mark.parametrize("utilisation", ["0", "1.5", "-1"])
def test_a_utilisation_is_a_share_of_the_time(utilisation: str) -> None:
    (found,) = problems(text(f"gpu: {{usd_per_hour: 1, utilisation: {utilisation}}}"))
    assert found.startswith("p.yaml:8: `models.m.gpu.utilisation`: input should be")


def test_a_model_without_a_machine_has_none() -> None:
    assert model("price: {input: 1, output: 2}").gpu is None
