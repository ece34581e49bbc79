"""The table of well-known providers: consistent in itself, and what `dialects` of the policy goes by."""

import pytest

from gateway.policy.dialects import spoken
from gateway.policy.presets import DIALECTS, PRESETS, Preset
from gateway.policy.schema_models import OpenAIProvider
from gateway.pricing.book import HOSTS


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_is_whole(preset: Preset) -> None:
    assert preset.source.startswith("https://")
    assert bool(preset.dialects) == (preset.kind == "openai")
    assert bool(preset.litellm_provider) == (preset.kind == "litellm")
    assert preset.kind != "openai" or "chat" in preset.dialects
    assert not preset.base_url.endswith("/")
    assert preset.key == preset.key.upper()
    assert bool(preset.start) == preset.base_url.startswith("http://localhost")  # how one's own server is started


@pytest.mark.parametrize("preset", [p for p in PRESETS.values() if p.kind == "openai"], ids=lambda p: p.name)
def test_a_server_is_asked_in_what_it_speaks_where_its_address_tells(preset: Preset) -> None:
    provider = OpenAIProvider(kind="openai", base_url=preset.base_url)
    if preset.host:
        assert spoken(provider) == frozenset(preset.dialects)
    else:
        assert spoken(provider) == {"chat", "completions"}  # so the YAML says it


def test_hosts_with_a_price_are_hosts_that_are_known() -> None:
    known = {*DIALECTS, *(p.host for p in PRESETS.values())}
    assert set(HOSTS) <= known
