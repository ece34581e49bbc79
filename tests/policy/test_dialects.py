"""`dialects:` of a provider: what the policy says of it, what is known of its address, and which mistakes are told."""

from typing import Any

import pytest

from gateway.policy.dialects import USUAL, spoken
from gateway.policy.presets import DIALECTS
from gateway.policy.schema_models import OpenAIProvider
from tests.policy.sample import problems

POLICY = """\
version: 1
providers:
  lab: {kind: openai, base_url: http://127.0.0.1:8000/v1, dialects: DIALECTS}
models:
  m: {provider: lab, id: m, price: unknown}
routes:
  - {name: all, model: m}
"""


def provider(**keys: Any) -> OpenAIProvider:
    return OpenAIProvider(kind="openai", **keys)


def test_policy_has_the_last_word() -> None:
    assert spoken(provider(dialects=["responses"])) == {"responses"}
    assert spoken(provider(dialects=["completions", "chat"])) == {"chat", "completions"}


def test_well_known_address_is_known() -> None:
    host = next(host for host, known in DIALECTS.items() if known != USUAL)
    assert spoken(provider(base_url=f"https://{host}/v1")) == DIALECTS[host]
    assert spoken(provider()) == DIALECTS["api.openai.com"]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8000/v1", "http://[::1]:8000/v1", "https://api.openai.com.example/v1"])
def test_any_other_server_has_chat_and_completions(base_url: str) -> None:
    assert spoken(provider(base_url=base_url)) == {"chat", "completions"}


@pytest.mark.parametrize(
    ("dialects", "said"),
    [
        ("[messages]", "it must be 'chat', 'responses' or 'completions'"),
        ("[]", "at least 1 item"),
        ("[completions]", "has completions alone; add chat or responses"),
        ("chat", "list"),
    ],
)
def test_mistake_is_told_with_its_line(dialects: str, said: str) -> None:
    (problem,) = problems(POLICY.replace("DIALECTS", dialects))
    assert said in problem
    assert ":3:" in problem


@pytest.mark.parametrize("dialects", ["[chat]", "[responses]", "[chat, responses, completions]", "null"])
def test_what_is_right_compiles(dialects: str) -> None:
    assert problems(POLICY.replace("DIALECTS", dialects)) == []
