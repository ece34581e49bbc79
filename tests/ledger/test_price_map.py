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

ROOT = Path(__file__).resolve().parents[2]
PRICES_PATH = ROOT / "gateway" / "ledger" / "prices.json"
TOOL_PATH = ROOT / "tools" / "refresh_prices.py"
PRICE_NAMES = ("input", "output", "cached_input", "cache_write")


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
    return tool.read_table()


def _source(**fields: Any) -> dict[str, Any]:
    return {
        "mode": "chat",
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("0.000002"),
        "output_cost_per_token": Decimal("0.000008"),
        **fields,
    }


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


def test_file_is_what_the_tool_makes_of_the_installed_table(prices: dict[str, Any], table: tuple[dict[str, Any], str]) -> None:
    entries, version = table
    if version != prices["version"]:
        pytest.fail(f"prices.json is of litellm {prices['version']}, installed is {version}: run {TOOL_PATH.name}")
    assert PRICES_PATH.read_bytes() == tool.encoded(tool.price_map(entries, version, prices["date"])), (
        f"prices.json was edited or the tool changed: run tools/{TOOL_PATH.name} --date {prices['date']}"
    )


def test_two_runs_write_the_same_bytes(tmp_path: Path, table: object, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        assert tool.main(["--date", "2026-01-31", "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert "2026-01-31" in capsys.readouterr().out


def test_every_price_is_the_tables_own_digits(prices: dict[str, Any], table: tuple[dict[str, Any], str]) -> None:
    """Each shipped price, in USD again, is a number the table has for that model; rounded ones to within 1e-15."""
    sources: dict[str, list[dict[str, Any]]] = {}
    for litellm_key, source in table[0].items():
        if source.get("mode") in tool.MODES:
            sources.setdefault(tool.model_key(litellm_key, source["litellm_provider"]), []).append(source)
    inexact: set[str] = set()
    for key, entry in prices["models"].items():
        for name in set(PRICE_NAMES) & entry.keys():
            usd = Decimal(entry[name]).scaleb(-12)
            found = [tool._number(source.get(tool.PRICE_FIELDS[name])) for source in sources[key]]
            known = [price for price in found if price is not None]
            nearest = min(known, key=lambda price: abs(price - usd))
            assert abs(nearest - usd) / usd < Decimal("1e-15"), (key, name)
            if nearest != usd:
                inexact.add(key)
    assert inexact == set(prices["rounded"])


def test_spellings_that_fold_into_one_key_agree_on_the_price(table: tuple[dict[str, Any], str]) -> None:
    by_key: dict[str, set[tuple[int, int]]] = {}
    for litellm_key, source in table[0].items():
        entry, _ = tool._entry(source) if source.get("mode") in tool.MODES else (None, True)
        if entry is not None:
            key = tool.model_key(litellm_key, source["litellm_provider"])
            by_key.setdefault(key, set()).add((entry["input"], entry["output"]))
    assert {key: found for key, found in by_key.items() if len(found) > 1} == {}


def test_every_entry_has_the_promised_shape(prices: dict[str, Any]) -> None:
    assert prices["unit"] == "pico-USD per token (1e-12 USD)"
    assert prices["licence"] == "MIT"
    assert len(prices["models"]) > 2000
    assert list(prices["models"]) == sorted(prices["models"])
    known = {*PRICE_NAMES, "context", "output_max", "capabilities"}
    for key, entry in prices["models"].items():
        provider, slash, model_id = key.partition("/")
        assert provider and slash and model_id, key
        assert {"input", "output"} <= entry.keys() <= known, key
        for name, value in entry.items():
            if name == "capabilities":
                assert value and set(value) <= set(tool.CAPABILITY_FIELDS), key
            else:
                assert type(value) is int and value > 0, (key, name)
            if name in PRICE_NAMES:
                assert value <= tool.PRICE_MAX_PICO, (key, name)


def test_the_file_is_small_and_loads_quickly(prices: dict[str, Any]) -> None:
    content = PRICES_PATH.read_bytes()
    assert len(content) < 700_000
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
    assert tool.price_map({"m": source}, "0", "2026-01-31")["models"] == {}
    del source[missing]
    assert tool.price_map({"m": source}, "0", "2026-01-31")["models"] == {}


def test_a_price_per_thousand_tokens_in_the_wrong_column_is_left_out() -> None:
    source = _source(output_cost_per_token=Decimal("0.00971"))
    assert tool.price_map({"m": source}, "0", "2026-01-31")["models"] == {}


@pytest.mark.parametrize("mode", ["embedding", "image_generation", "realtime", None])
def test_what_cannot_chat_is_left_out(mode: str | None) -> None:
    assert tool.price_map({"m": _source(mode=mode)}, "0", "2026-01-31")["models"] == {}


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
    assert tool.model_key(litellm_key, litellm_provider) == key


@given(pico=st.integers(min_value=1, max_value=1_000_000_000))
def test_any_whole_pico_price_survives_the_way_through_json(pico: int) -> None:
    text = json.dumps({"price": float(f"{pico}e-12")})
    price = json.loads(text, parse_float=Decimal)["price"]
    made = tool.price_map({"m": _source(input_cost_per_token=price)}, "0", "2026-01-31")
    assert made["models"]["openai/m"]["input"] == pico
    assert made["rounded"] == []
    assert json.loads(tool.encoded(made)) == made
