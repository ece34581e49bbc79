"""The shipped price map: what it says, that it is what the tool makes of the installed table, and that it is exact."""

import importlib.util
import json
import time
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.rates import RATES
from gateway.pricing.listing import UNIT
from gateway.pricing.litellm_table import CAPABILITIES, FIELDS, MODES, PRICE_MAX_PICO, converted, model_key, read_table
from gateway.pricing.source import installed_table
from tests.pricing.tables import entry as _source
from tests.pricing.tables import listed

ROOT = Path(__file__).resolve().parents[2]
PRICES_PATH = ROOT / "gateway" / "pricing" / "prices.json"
TOOL_PATH = ROOT / "tools" / "refresh_prices.py"
PRICE_NAMES = ("input", "output", "cached_input", "cache_write")
SERVICES = {"batch", "flex", "priority", "ultrafast"}


def _load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh_prices", TOOL_PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load_tool()


@pytest.fixture(scope="module")
def prices() -> dict[str, Any]:
    return json.loads(PRICES_PATH.read_bytes())


@pytest.fixture(scope="module")
def table() -> tuple[dict[str, Any], str]:
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("litellm is not installed: its price table is what the map is compared with")
    found = installed_table()
    return read_table(found.content), found.version


# USD per million tokens, typed by hand: input, output, cached input, cache write.
@pytest.mark.parametrize(
    ("key", "usd_per_million"),
    [
        ("openai/gpt-4.1", ("2.00", "8.00", "0.50", None)),
        ("openai/gpt-4.1-mini", ("0.40", "1.60", "0.10", None)),
        ("openai/gpt-4.1-nano", ("0.10", "0.40", "0.025", None)),
        ("openai/gpt-4o-mini", ("0.15", "0.60", "0.075", None)),
        ("openai/gpt-5-codex", ("1.25", "10.00", "0.125", None)),
        ("openai/gpt-3.5-turbo-instruct", ("1.50", "2.00", None, None)),
        ("anthropic/claude-sonnet-4-5", ("3.00", "15.00", "0.30", "3.75")),
        ("anthropic/claude-haiku-4-5", ("1.00", "5.00", "0.10", "1.25")),
        ("azure/eu/gpt-4o-2024-08-06", ("2.75", "11.00", "1.375", None)),
        ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", ("1.10", "5.50", "0.11", "1.375")),
        ("vertex_ai/gemini-2.5-flash", ("0.30", "2.50", "0.03", None)),
        ("gemini/gemini-2.5-flash", ("0.30", "2.50", "0.03", None)),
        ("groq/openai/gpt-oss-20b", ("0.075", "0.30", "0.0375", None)),
        ("cohere/command-r-08-2024", ("0.15", "0.60", None, None)),
    ],
)
def test_known_prices_are_exact(
    prices: dict[str, Any], key: str, usd_per_million: tuple[str, str, str | None, str | None]
) -> None:
    entry = prices["models"][key]
    wanted = [None if usd is None else Decimal(usd) * 10**6 for usd in usd_per_million]
    assert [entry.get(name) for name in PRICE_NAMES] == wanted


def test_long_requests_and_other_services_are_dearer_or_cheaper_as_published(prices: dict[str, Any]) -> None:
    gemini = prices["models"]["gemini/gemini-2.5-pro"]
    assert gemini["tiers"] == [{"input": 2_500_000, "output": 15_000_000, "cached_input": 250_000, "above": 200_000}]
    assert gemini["service"]["batch"] == {"input": 625_000, "output": 5_000_000, "cached_input": 125_000}
    claude = prices["models"]["anthropic/claude-sonnet-4-5"]
    assert claude["cache_write_1h"] == 6_000_000
    assert prices["models"]["gemini/gemini-2.5-flash"]["audio_input"] == 1_000_000
    embedding = prices["models"]["openai/text-embedding-3-small"]
    assert (embedding["input"], embedding["output"], embedding["service"]) == (
        20_000,
        0,
        {"batch": {"input": 10_000, "output": 0}},
    )
    qwen = prices["models"]["dashscope/qwen-plus-latest"]
    assert (qwen["input"], qwen["reasoning"]) == (400_000, 4_000_000)
    assert qwen["tiers"] == [{"input": 1_200_000, "output": 3_600_000, "reasoning": 12_000_000, "above": 256_000}]


def test_file_is_what_the_tool_makes_of_the_installed_table(
    prices: dict[str, Any], table: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    if table[1] != prices["version"]:
        pytest.fail(f"prices.json is of litellm {prices['version']}, installed is {table[1]}: run {TOOL_PATH.name}")
    again = tmp_path / "prices.json"
    again.write_bytes(PRICES_PATH.read_bytes())  # what it knows of earlier prices stays in it
    assert tool.main(["--date", prices["date"], "--output", str(again)]) == 0
    assert again.read_bytes() == PRICES_PATH.read_bytes(), (
        f"prices.json was edited or the tool changed: run tools/{TOOL_PATH.name} --date {prices['date']}"
    )


def test_two_runs_write_the_same_bytes(tmp_path: Path, table: object, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second", "first"):
        assert tool.main(["--date", "2026-01-31", "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert "2026-01-31" in capsys.readouterr().out


def test_every_price_is_the_tables_own_digits(prices: dict[str, Any], table: tuple[dict[str, Any], str]) -> None:
    """Each shipped price, in USD again, is a number the table has for that model; rounded ones to within 1e-15."""
    sources: dict[str, list[dict[str, Any]]] = {}
    for litellm_key, source in table[0].items():
        if source.get("mode") in MODES:
            sources.setdefault(model_key(litellm_key, source["litellm_provider"]), []).append(source)
    inexact: set[str] = set()
    for key, entry in prices["models"].items():
        for name, pico, prefix in _rates_of(entry):
            if pico == 0:
                continue  # an embedding model's output
            usd = Decimal(pico).scaleb(-12)
            found = [value for source in sources[key] for value in _numbers(source, prefix)]
            nearest = min(found, key=lambda price: abs(price - usd))
            assert abs(nearest - usd) / usd < Decimal("1e-15"), (key, name)
            if nearest != usd:
                inexact.add(key)
    assert inexact == set(prices["rounded"])


def _rates_of(entry: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(name, pico-USD, the field of the table that it is from, or how that begins) of every rate in an entry."""
    tariffs = [entry, *entry.get("service", {}).values()]
    everything = [*tariffs, *(tier for tariff in tariffs for tier in tariff.get("tiers", []))]
    return [(name, said[name], FIELDS[name]) for said in everything for name in RATES if name in said]


def _numbers(source: dict[str, Any], prefix: str) -> list[Decimal]:
    spans = source.get("tiered_pricing") or []
    said = [*source.items(), *(item for span in spans for item in span.items())]
    return [Decimal(value) for name, value in said if name.startswith(prefix) and isinstance(value, int | Decimal)]


def test_spellings_that_fold_into_one_key_agree_on_the_price(table: tuple[dict[str, Any], str]) -> None:
    by_key: dict[str, set[tuple[int, int]]] = {}
    for litellm_key, source in table[0].items():
        for key, model in converted({litellm_key: source}).models.items():
            by_key.setdefault(key, set()).add((model.input, model.output))
    assert {key: found for key, found in by_key.items() if len(found) > 1} == {}


def test_every_entry_has_the_promised_shape(prices: dict[str, Any]) -> None:
    assert prices["unit"] == UNIT
    assert prices["licence"] == "MIT"
    assert len(prices["models"]) > 2000
    assert list(prices["models"]) == sorted(prices["models"])
    known = {*RATES, "tiers", "service", "context", "output_max", "capabilities", "cannot", "was", "gone"}
    for key, entry in prices["models"].items():
        provider, slash, model_id = key.partition("/")
        assert provider and slash and model_id, key
        assert {"input", "output"} <= entry.keys() <= known, key
        assert set(entry.get("capabilities", [])) <= set(CAPABILITIES), key
        assert set(entry.get("service", {})) <= SERVICES, key
        above = [tier["above"] for tier in entry.get("tiers", [])]
        assert above == sorted(set(above)), key
        for name, pico, _ in _rates_of(entry):
            assert type(pico) is int and (pico > 0 or name == "output"), (key, name)
            assert name == "image" or pico <= PRICE_MAX_PICO, (key, name)


def test_the_file_is_small_and_loads_quickly(prices: dict[str, Any]) -> None:
    content = PRICES_PATH.read_bytes()
    assert len(content) < 900_000
    best_s = min(_timed_s(lambda: json.loads(content)) for _ in range(5))
    assert best_s < 0.1  # 10 ms where it was measured


def _timed_s(act: Any) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@pytest.mark.parametrize("missing", ["input_cost_per_token", "output_cost_per_token"])
@pytest.mark.parametrize("value", [None, 0, Decimal("0.0"), Decimal("-0.000001"), "0.000002", True, Decimal("1e-13")])
def test_a_model_without_a_real_price_is_left_out(missing: str, value: object) -> None:
    source = _source(**{missing: value})
    assert converted({"m": source}).models == {}
    del source[missing]
    assert converted({"m": source}).models == {}


def test_a_price_per_thousand_tokens_in_the_wrong_column_is_left_out() -> None:
    source = _source(output_cost_per_token=Decimal("0.00971"))
    assert converted({"m": source}).models == {}


@pytest.mark.parametrize("mode", ["image_generation", "realtime", "rerank", None])
def test_what_the_gateway_cannot_ask_is_left_out(mode: str | None) -> None:
    assert converted({"m": _source(mode=mode)}).models == {}


@pytest.mark.parametrize(
    ("litellm_key", "litellm_provider", "key"),
    [
        ("gpt-4.1", "openai", "openai/gpt-4.1"),
        ("azure/eu/gpt-4o", "azure", "azure/eu/gpt-4o"),
        ("azure/gpt-35-turbo-instruct", "azure_text", "azure/gpt-35-turbo-instruct"),
        ("us.amazon.nova-lite-v1:0", "bedrock_converse", "bedrock/us.amazon.nova-lite-v1:0"),
        ("bedrock/us-east-1/anthropic.claude-v1", "bedrock", "bedrock/us-east-1/anthropic.claude-v1"),
        ("command-r-08-2024", "cohere_chat", "cohere/command-r-08-2024"),
        ("vertex_ai/meta/llama3-8b-instruct-maas", "vertex_ai-llama_models", "vertex_ai/meta/llama3-8b-instruct-maas"),
        ("gemini-2.5-flash", "vertex_ai-language-models", "vertex_ai/gemini-2.5-flash"),
        ("gpt-3.5-turbo-instruct", "text-completion-openai", "openai/gpt-3.5-turbo-instruct"),
        ("groq/openai/gpt-oss-20b", "groq", "groq/openai/gpt-oss-20b"),
        ("amazon-nova/nova-micro-v1", "amazon_nova", "amazon_nova/nova-micro-v1"),
        ("together-ai-4.1b-8b", "together_ai", "together_ai/together-ai-4.1b-8b"),
    ],
)
def test_keys_are_provider_and_bare_id(litellm_key: str, litellm_provider: str, key: str) -> None:
    assert model_key(litellm_key, litellm_provider) == key


@given(pico=st.integers(min_value=1, max_value=1_000_000_000))
def test_any_whole_pico_price_survives_the_way_through_json(pico: int) -> None:
    source = _source(input_cost_per_token=float(f"{pico}e-12"), output_cost_per_token=1e-6)
    found = converted(read_table(json.dumps({"m": source})))
    assert found.models["openai/m"].input == pico
    assert found.rounded == ()


def test_a_price_that_is_no_whole_pico_usd_is_rounded_and_said() -> None:
    found = converted({"m": _source(input_cost_per_token=Decimal("0.0000020000004"))})
    assert found.models["openai/m"].input == 2_000_000
    assert found.rounded == ("openai/m",)


# What becomes of the fields.


def test_every_kind_of_token_has_its_rate() -> None:
    model = listed(
        cache_read_input_token_cost=Decimal("5e-7"),
        cache_creation_input_token_cost=Decimal("2.5e-6"),
        cache_creation_input_token_cost_above_1hr=Decimal("4e-6"),
        output_cost_per_reasoning_token=Decimal("1e-5"),
        input_cost_per_audio_token=Decimal("6e-6"),
        output_cost_per_audio_token=Decimal("2e-5"),
    )
    assert model.named() == {
        "input": 2_000_000,
        "output": 8_000_000,
        "cached_input": 500_000,
        "cache_write": 2_500_000,
        "cache_write_1h": 4_000_000,
        "reasoning": 10_000_000,
        "audio_input": 6_000_000,
        "audio_output": 20_000_000,
    }


def test_reasoning_at_the_price_of_all_output_says_nothing() -> None:
    assert listed(output_cost_per_reasoning_token=Decimal("0.000008")).reasoning is None


def test_tiers_are_read_off_the_names_of_the_fields() -> None:
    model = listed(
        input_cost_per_token_above_272k_tokens=Decimal("4e-6"),
        output_cost_per_token_above_272k_tokens=Decimal("1.2e-5"),
        input_cost_per_token_above_128k_tokens=Decimal("3e-6"),
        output_cost_per_token_above_128k_tokens=Decimal("9e-6"),
        cache_creation_input_token_cost_above_1hr_above_128k_tokens=Decimal("6e-6"),
        input_cost_per_token_above_512k_tokens=Decimal("9e-6"),  # without a price of its output
    )
    assert [(tier.above, tier.named()) for tier in model.tiers] == [
        (128_000, {"input": 3_000_000, "output": 9_000_000, "cache_write_1h": 6_000_000}),
        (272_000, {"input": 4_000_000, "output": 12_000_000}),
    ]


def test_services_have_their_own_rates_and_tiers() -> None:
    model = listed(
        input_cost_per_token_batches=Decimal("1e-6"),
        output_cost_per_token_batches=Decimal("4e-6"),
        input_cost_per_token_above_200k_tokens=Decimal("4e-6"),
        output_cost_per_token_above_200k_tokens=Decimal("1.2e-5"),
        input_cost_per_token_above_200k_tokens_batches=Decimal("2e-6"),
        output_cost_per_token_above_200k_tokens_batches=Decimal("6e-6"),
        input_cost_per_token_flex=Decimal("1e-6"),  # without a price of its output
        input_cost_per_token_priority=Decimal("3e-6"),
        output_cost_per_token_priority=Decimal("1.6e-5"),
    )
    assert set(model.service) == {"batch", "priority"}
    assert model.service["batch"].named() == {"input": 1_000_000, "output": 4_000_000}
    (tier,) = model.service["batch"].tiers
    assert (tier.above, tier.named()) == (200_000, {"input": 2_000_000, "output": 6_000_000})
    assert model.service["priority"].tiers == []
    price = model.price("test")
    assert price.rates(200_001, "priority").input == 6_000_000  # the usual tier, in proportion


def test_a_list_of_ranges_is_a_list_of_tiers() -> None:
    spans = [
        {"range": [32000, 128000.0], "input_cost_per_token": Decimal("3e-6"), "output_cost_per_token": Decimal("9e-6")},
        {"range": [0, 32000.0], "input_cost_per_token": Decimal("1e-6"), "output_cost_per_token": Decimal("5e-6")},
    ]
    model = listed(tiered_pricing=spans, input_cost_per_token=None, output_cost_per_token=None)
    assert (model.input, model.output) == (1_000_000, 5_000_000)
    assert [(tier.above, tier.input, tier.output) for tier in model.tiers] == [(32_000, 3_000_000, 9_000_000)]


def test_an_embedding_model_writes_nothing_and_may_be_paid_by_the_image() -> None:
    model = listed(mode="embedding", output_cost_per_token=0, input_cost_per_image=Decimal("6e-5"))
    assert model.named() == {"input": 2_000_000, "output": 0, "image": 60_000_000}


def test_a_price_per_image_of_a_model_that_chats_says_its_tokens_again() -> None:
    assert listed(input_cost_per_image=Decimal("0.0011")).image is None


@pytest.mark.parametrize("text", ["", "[]", "3", '{"m": 3}', '{"m": ', "\xff", '{"m": {"mode": "chat"}'])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_table(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
odd_fields = st.sampled_from(
    [
        *FIELDS.values(),
        "mode",
        "litellm_provider",
        "tiered_pricing",
        "max_input_tokens",
        "input_cost_per_token_above_0k_tokens",
        "output_cost_per_token_above_0k_tokens",
        "input_cost_per_token_batches",
        "supports_vision",
    ]
)


@given(st.dictionaries(odd_fields, json_values))
def test_an_odd_entry_is_left_out_or_priced_and_never_breaks_the_others(fields: dict[str, Any]) -> None:
    found = converted({"odd": _source(**fields), "plain": _source()})
    assert found.models["openai/plain"].input == 2_000_000
    for model in found.models.values():
        assert model.input > 0 and model.output >= 0
