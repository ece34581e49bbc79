"""What each provider's errors mean for retry, fallback and the caller, and that what it said is kept."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from gateway.errors import CONTEXT_LENGTH, REQUESTS_OWN, UpstreamError
from gateway.providers.refusal import refusal, reported

Meaning = Literal[
    "key",  # the operator's key, account or model id is wrong: the next target, nothing to wait for
    "quota",  # the operator's account is empty
    "busy",  # wait, or ask another
    "broken",  # the server's failure: try again, or ask another
    "request",  # the caller's request is at fault wherever it goes
    "too long",  # for this model
    "unsupported",  # by this model
]
SAID = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "provider_errors.jsonl").read_text().splitlines()]
IDS = [f"{said['provider']}-{said['status']}-{said['means']}-{said['keeps']}" for said in SAID]
KEY = "sk-ab12cdefghijklmnopqrstuvwxyz"
KEY_ECHO = SAID[0]["body"]["error"]["message"]


def meaning(error: UpstreamError) -> Meaning:
    if error.code == CONTEXT_LENGTH:
        return "too long"
    if error.fault == "unsupported" or error.code in REQUESTS_OWN:
        return "unsupported"
    if error.is_callers_fault:
        return "request"
    if error.is_retryable:
        return "busy" if error.status in (429, 498, 503, 529) else "broken"
    return "quota" if error.code == "insufficient_quota" else "key"


@pytest.mark.parametrize("said", SAID, ids=IDS)
def test_a_providers_error_is_understood(said: dict[str, Any]) -> None:
    error = refusal("p", said["status"], said.get("headers", {}), json.dumps(said["body"]).encode(), KEY)
    assert meaning(error) == said["means"]
    assert said["keeps"] in error.message and error.message.startswith("p: ")
    assert (error.status, error.retry_after_s) == (said["status"], said.get("wait_s"))


@pytest.mark.parametrize("said", SAID, ids=IDS)
def test_only_what_no_other_target_would_take_is_the_callers(said: dict[str, Any]) -> None:
    """A wrong key of the operator's under status 400 must not end the request while there is another target."""
    error = refusal("p", said["status"], said.get("headers", {}), json.dumps(said["body"]).encode())
    assert error.is_callers_fault is (said["means"] == "request")
    assert not (error.is_callers_fault and error.is_retryable)


def test_the_table_has_each_provider() -> None:
    named = "openai anthropic gemini mistral groq cohere bedrock azure vllm ollama llamacpp tgi openrouter deepseek"
    assert {said["provider"] for said in SAID} == set(named.split())


@pytest.mark.parametrize(
    ("said", "is_retryable"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, True),
        ({"type": "authentication_error", "message": "invalid x-api-key"}, False),
        ({"type": "billing_error", "message": "pay"}, False),
        ({"code": 402, "message": "Insufficient credits"}, False),
        ({"code": 429, "message": "slow down"}, True),
    ],
)
def test_an_error_under_a_200_is_tried_again_unless_it_lasts(said: dict[str, object], is_retryable: bool) -> None:
    assert reported("p", json.dumps(said).encode()).is_retryable is is_retryable


def test_the_part_of_a_key_that_a_provider_repeats_is_taken_out() -> None:
    body = json.dumps({"error": {"message": KEY_ECHO}}).encode()
    for secret in (KEY, None):
        message = refusal("p", 401, {}, body, secret).message
        assert message == "p: Incorrect API key provided: ***. You can find your API key at https://platform.openai.com."
    assert "***" in reported("p", body, KEY).message
