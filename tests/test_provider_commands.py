"""`turnout providers`: a list for people and for programs, and YAML that compiles as it is printed."""

import json
import re
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.cli.providers import yaml_of
from gateway.policy.compile import compile_policy
from gateway.policy.presets import PRESETS, Preset
from gateway.pricing.book import shipped_book

ENV = {
    "AWS_REGION": "eu-west-1",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com",
    "VERTEX_PROJECT": "mine",
    **{preset.key: f"key-of-{name}" for name, preset in PRESETS.items() if preset.key},
}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_yaml_is_a_policys(preset: Preset) -> None:
    book = shipped_book()
    snippet = yaml_of(preset, book)
    model = preset.alias
    text = f"version: 1\n{snippet}routes:\n  - {{name: all, model: {model}}}\n"
    policy = compile_policy("p.yaml", text, env=ENV, price_of=book.prices_of, read_file=lambda name: "", cannot_of=book.cannot_of)
    assert policy.unavailable == {}
    provider = policy.providers[preset.name]
    assert provider.kind == preset.kind
    assert policy.models[model].id == preset.model
    assert getattr(provider, "api_key", None) == (f"key-of-{preset.name}" if ENV.get(preset.key) else None) or preset.key in ENV
    address = getattr(provider, "base_url", None)
    assert address is None or "$" not in address


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_yaml_passes_the_check(preset: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", preset.name]) == 0
    path = tmp_path / "policy.yaml"
    # A model's name stands in headers, commands and lists of names: a word, and no vendor's id.
    assert re.fullmatch(r"[a-z]+(-[a-z]+)?", preset.alias)
    path.write_text(f"version: 1\n{capsys.readouterr().out}routes:\n  - {{name: all, model: {preset.alias}}}\n", encoding="utf-8")
    assert main(["policy", "check", str(path)]) == 0


def test_without_its_variables_a_provider_is_left_out_and_says_why() -> None:
    text = f"version: 1\n{yaml_of(PRESETS['bedrock'], shipped_book())}routes:\n  - {{name: all, model: haiku}}\n"
    policy = compile_policy("p.yaml", text, env={}, price_of=shipped_book().prices_of, read_file=lambda name: "")
    assert policy.unavailable == {"bedrock": "AWS_REGION is not set"}


def test_the_list_has_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and preset.key in out for name, preset in PRESETS.items())
    assert main(["providers", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(PRESETS)


def test_one_is_printed_as_yaml_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "groq"]) == 0
    assert 'api_key: "${GROQ_API_KEY}"' in capsys.readouterr().out
    assert main(["providers", "groq", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base_url"] == "https://api.groq.com/openai/v1"


def test_a_name_that_is_none_is_a_mistake_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "groqq"]) == 2
    assert "did you mean groq?" in capsys.readouterr().err
