"""What docs/prices.md says: its policies load, its numbers come out, its tables name every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gateway.cli.main import main
from gateway.policy.catalog import TokenPrice
from gateway.policy.rates import RATES
from gateway.policy.schema_models import DatedPriceSpec, ServicesSpec, TierSpec
from gateway.pricing import history, source
from gateway.pricing.book import shipped_book
from gateway.pricing.cost import cost_nusd
from gateway.usage import Usage
from tests.policy.sample import compiled

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")
GIVEN, DATED = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
HEAD = "version: 1\nproviders:\n  openai: {kind: openai, api_key: k}\n"
ROUTES = "routes:\n  - {name: rest, model: strong}\n"


def given() -> TokenPrice:
    price = compiled(HEAD + GIVEN + ROUTES).models["strong"].price
    assert isinstance(price, TokenPrice)
    return price


def test_the_worked_example_comes_out() -> None:
    assert cost_nusd(given(), Usage(input=300_000, output=1_000, cached_input=100_000)) == 1_072_500_000


def test_what_is_not_named_keeps_the_proportion_that_the_page_says() -> None:
    price = given()
    assert price.rates(272_001).cached_input == 500_000
    assert price.rates(1, "batch").cached_input == 125_000
    long = price.rates(272_001, "batch")
    assert (long.input, long.output) == (2_500_000, 11_250_000)


def test_the_dated_policy_of_the_page_loads() -> None:
    model = compiled(HEAD + "models:\n  strong:\n    provider: openai\n    id: m\n" + DATED + ROUTES).models["strong"]
    assert [len(model.prices), len(yaml.safe_load(DATED)["price"])] == [2, 2]


@pytest.mark.parametrize(
    "key",
    [*RATES, *(f.alias or n for n, f in DatedPriceSpec.model_fields.items()), *TierSpec.model_fields, *ServicesSpec.model_fields],
)
def test_the_page_names_every_key(key: str) -> None:
    assert re.search(rf"\b{key}\b", PAGE)


def test_the_table_on_the_page_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert main(["prices", "show", "gemini/gemini-2.5-pro"]) == 0
    assert capsys.readouterr().out.startswith(shown)


def test_the_bounds_on_the_page_are_those_in_the_code() -> None:
    assert f"{source.SILENCE_S:g} s of silence, {source.DEADLINE_S:g} s in all" in PAGE
    assert f"larger than {source.BYTES_MAX // 1024**2} MB" in PAGE
    assert f"more than {history.MOVED_MAX} times" in PAGE
    assert round(len(shipped_book().names), -2) == 3100 and "some 3,100 models" in PAGE
