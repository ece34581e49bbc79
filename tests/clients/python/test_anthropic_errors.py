"""The class that the `anthropic` client raises, and when it asks again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.clients.processes import Upstream, made_key, play, running_gateway
from tests.clients.python.policy import EVERY_MODEL, policy
from tests.clients.python.test_anthropic_messages import CLAUDE, asks


@pytest.fixture
def client(gateway: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway, api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


def say(client: anthropic.Anthropic, model: str, prompt: str) -> anthropic.types.Message:
    return client.messages.create(model=model, max_tokens=9, messages=asks(prompt))


def error_of(raised: anthropic.APIStatusError) -> dict[str, Any]:
    body = raised.body
    assert isinstance(body, dict) and body["type"] == "error" and body["request_id"] == raised.response.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_what_the_provider_finds_wrong_is_said_in_its_words(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as wrong:
        say(client, model, play(fail={"status": 400, "message": "temperature is too hot"}))
    error = error_of(wrong.value)
    assert error["type"] == "invalid_request_error" and "temperature is too hot" in error["message"]
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("status", [500, 529, 401, 404])
def test_what_the_provider_fails_at_is_a_server_error(
    client: anthropic.Anthropic, upstream: Upstream, model: str, status: int
) -> None:
    with pytest.raises(anthropic.InternalServerError) as failed:
        say(client, model, play(fail={"status": status, "message": "not today"}))
    assert "not today" in error_of(failed.value)["message"]
    assert failed.value.status_code >= 500
    assert len(upstream.recorded()) == 1


def test_a_limit_of_the_provider_is_waited_for(gateway: str, upstream: Upstream) -> None:
    prompt = play(text="finally", fail={"status": 429, "retry_after": 1, "times": 1})
    with anthropic.Anthropic(base_url=gateway, api_key="x", max_retries=1) as patient:
        assert "finally" in say(patient, "limited-anthropic-1", prompt).model_dump_json()
    first, second = upstream.recorded()
    assert second["at"] - first["at"] >= 0.9


def test_a_limit_of_the_provider_raises_with_its_time(client: anthropic.Anthropic, upstream: Upstream) -> None:
    with pytest.raises(anthropic.RateLimitError) as limited:
        say(client, "limited-anthropic-2", play(fail={"status": 429, "retry_after": 17}))
    assert limited.value.response.headers["retry-after"] == "17"
    assert error_of(limited.value)["type"] == "rate_limit_error"
    assert len(upstream.recorded()) == 1


def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream) -> None:
    prompt = play(text="finally", fail={"status": 529, "times": 1})
    with anthropic.Anthropic(base_url=gateway, api_key="x", max_retries=2) as patient:
        assert "finally" in say(patient, CLAUDE, prompt).model_dump_json()
    assert len(upstream.recorded()) == 2


def test_a_model_that_is_not_there(client: anthropic.Anthropic, upstream: Upstream) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        say(client, "claude-99", "hi")
    error = error_of(missing.value)
    assert error["type"] == "not_found_error" and "claude-99" in error["message"]
    assert upstream.recorded() == []


def test_a_request_that_is_wrong_names_its_field(client: anthropic.Anthropic, upstream: Upstream) -> None:
    turns: list[Any] = [{"role": "user", "content": [{"type": "text", "text": 7}]}]
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(model=CLAUDE, max_tokens=9, messages=turns)
    assert "messages.0.content.0.text" in error_of(wrong.value)["message"]
    assert upstream.recorded() == []


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_that_breaks_raises(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    prompt = play(text="one two three four", broken="it broke")
    with pytest.raises(anthropic.APIStatusError, match="it broke"):
        with client.messages.stream(model=model, max_tokens=9, messages=asks(prompt)) as stream:
            stream.until_done()
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_that_is_cut_raises(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(
            model=model, max_tokens=9, messages=asks(play(text="one two three four", cut=True))
        ) as stream:
            stream.until_done()
    assert len(upstream.recorded()) == 1


def test_a_key_that_is_not_ours(upstream: Upstream, tmp_path: Path) -> None:
    secret = made_key(tmp_path)
    with running_gateway(tmp_path, policy(upstream.url)) as gateway:
        with anthropic.Anthropic(base_url=gateway, api_key="sk-not-ours", max_retries=0) as stranger:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                say(stranger, CLAUDE, "hi")
        assert error_of(refused.value)["type"] == "authentication_error"
        assert upstream.recorded() == []
        with anthropic.Anthropic(base_url=gateway, api_key=secret, max_retries=0) as known:
            assert "Heard: hi" in say(known, CLAUDE, "hi").model_dump_json()
        with anthropic.Anthropic(base_url=gateway, auth_token=secret, max_retries=0) as known:
            assert "Heard: hi" in say(known, CLAUDE, "hi").model_dump_json()
    assert secret not in str(upstream.recorded())
