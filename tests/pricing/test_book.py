"""Looking prices up: in the shipped map, in a newer one of the data folder, and as they were on a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.loading import load_policy, watched_files
from gateway.policy.errors import PolicyError
from gateway.policy.grammar import day
from gateway.policy.schema_models import AnthropicProvider, FakeProvider, LiteLLMProvider, OpenAIProvider
from gateway.pricing.book import names_like, open_book, shipped_book
from gateway.pricing.listing import Earlier
from tests.pricing.tables import book, map_bytes, priced

CHANGED = priced(4, 8, was=[Earlier(input=9, output=9, until="2026-02-01"), Earlier(input=6, output=9, until="2026-05-01")])
POLICY = """version: 1
providers:
  openai: {{kind: openai, api_key: k}}
models:
  m: {{provider: openai, id: {id}}}
routes:
  - {{name: rest, model: m}}
"""


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
    prices = shipped_book().prices_of(provider, model)
    assert prices is not None
    price = prices[-1].price
    assert 0 < price.cached_input <= price.input < price.output
    assert price.source == f"price map of {shipped_book().date}"


def test_a_server_of_ones_own_has_no_shipped_price_even_for_a_famous_name() -> None:
    own = OpenAIProvider(kind="openai", base_url="http://10.0.0.7:8000/v1")
    assert shipped_book().prices_of(own, "gpt-4.1") is None
    assert shipped_book().ids_like(own, "gpt-4.1-minni") == []
    assert shipped_book().prices_of(FakeProvider(kind="fake"), "gpt-4.1") is None


@pytest.mark.parametrize(
    ("on", "input_"), [("2026-01-31", 9), ("2026-02-01", 6), ("2026-04-30", 6), ("2026-05-01", 4), ("2027-01-01", 4)]
)
def test_a_price_is_what_it_was_on_the_day(on: str, input_: int) -> None:
    price = book({"openai/m": CHANGED}).price("openai/m", day(on))
    assert price is not None and price.input == input_


def test_what_no_longer_holds_says_so() -> None:
    sources = [one.price.source for one in CHANGED.prices("price map of 2026-06-01")]
    assert sources == [
        "price map of 2026-06-01, until 2026-02-01",
        "price map of 2026-06-01, until 2026-05-01",
        "price map of 2026-06-01",
    ]


# The data folder.


def test_the_newer_of_the_two_maps_is_used(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_bytes(map_bytes({"openai/m": priced(1, 2)}, "2001-01-01"))
    assert open_book(tmp_path) is shipped_book()
    (tmp_path / "prices.json").write_bytes(map_bytes({"openai/m": priced(1, 2)}, shipped_book().date))
    found = open_book(tmp_path)
    assert (list(found.names), found.path) == (["openai/m"], tmp_path / "prices.json")
    (tmp_path / "prices.json").unlink()
    assert open_book(tmp_path) is shipped_book()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"date": "2099-01-01"}', b"\xff\xfe", b'{"models": 3}'])
def test_a_map_that_cannot_be_read_is_an_error_and_never_no_price(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prices.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be used: .*; write it anew with `turnout prices refresh`, or remove it"):
        open_book(tmp_path)


def test_a_map_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "prices.json").mkdir()
    with pytest.raises(ConfigError, match="cannot read the price map"):
        open_book(tmp_path)


@pytest.mark.parametrize(("whole", "broken"), [(b'"input":1', b'"input":-1'), (b'"output":2', b'"output":2.5'), (b"2099", b"99")])
def test_a_broken_entry_is_an_error_where_it_is_wanted(tmp_path: Path, whole: bytes, broken: bytes) -> None:
    model = priced(1, 2, was=[Earlier(input=3, output=4, until="2099-01-01")])
    content = map_bytes({"openai/m": model, "openai/fine": priced(5, 6)}, "2098-01-01")
    (tmp_path / "prices.json").write_bytes(content.replace(whole, broken))
    found = open_book(tmp_path)
    assert found.price("openai/fine") is not None
    with pytest.raises(ConfigError, match=r"model 'openai/m': .*turnout prices refresh"):
        found.price("openai/m")


# In a policy.


def written(folder: Path, model_id: str = "m-1") -> Path:
    (folder / "policy.yaml").write_text(POLICY.format(id=model_id))
    return folder / "policy.yaml"


def test_a_policy_is_priced_from_the_map_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_bytes(map_bytes({"openai/m-1": CHANGED}, "2099-01-01"))
    model = load_policy(written(tmp_path), {"TURNOUT_DATA_DIR": str(tmp_path)}).models["m"]
    now, then = model.price, model.price_at(day("2026-03-01"))
    assert now is not None and now.source == "price map of 2099-01-01"
    assert then is not None and then.source == "price map of 2099-01-01, until 2026-05-01"


def test_a_policy_does_not_load_with_a_broken_map(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="the price map"):
        load_policy(written(tmp_path), {"TURNOUT_DATA_DIR": str(tmp_path)})


def test_an_id_that_is_misspelt_is_told_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"'gpt-4.1-minni' has no price in the price map; did you mean 'gpt-4.1-mini'"):
        load_policy(written(tmp_path, "gpt-4.1-minni"), {"TURNOUT_DATA_DIR": str(tmp_path)})


def test_the_map_is_among_the_files_whose_change_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    (tmp_path / "prices.json").write_bytes(map_bytes({"openai/m-1": CHANGED}, "2099-01-01"))
    path = written(tmp_path)
    assert watched_files(load_policy(path), path) == [path, tmp_path / "prices.json"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-x", ["a/gpt-x", "bb/gpt-x"]),  # the same model at those that have it
        ("a/gpt-xx", ["a/gpt-x"]),
        ("something-else", []),
    ],
)
def test_names_that_may_be_meant(name: str, found: list[str]) -> None:
    assert names_like(name, ["bb/gpt-x", "a/gpt-x", "a/other"]) == found
