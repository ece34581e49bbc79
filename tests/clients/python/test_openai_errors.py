"""The class that the `openai` client raises, and when it asks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.processes import Upstream, made_key, play, running_gateway
from tests.clients.python.policy import EVERY_MODEL, policy


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


def chat(client: openai.OpenAI, model: str, prompt: str) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])


def responses(client: openai.OpenAI, model: str, prompt: str) -> Any:
    return client.responses.create(model=model, input=prompt)


WAYS = pytest.mark.parametrize("ask", [chat, responses])
Ask = Callable[[openai.OpenAI, str, str], Any]


@WAYS
@pytest.mark.parametrize("model", EVERY_MODEL)
def test_what_the_provider_finds_wrong_is_said_in_its_words(
    client: openai.OpenAI, upstream: Upstream, ask: Ask, model: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature is too hot") as wrong:
        ask(client, model, play(fail={"status": 400, "message": "temperature is too hot"}))
    assert wrong.value.type == "invalid_request_error"
    assert "sk-" not in str(wrong.value.body)
    assert len(upstream.recorded()) == 1


@WAYS
@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("status", [500, 529, 401, 404])
def test_what_the_provider_fails_at_is_a_server_error(
    client: openai.OpenAI, upstream: Upstream, ask: Ask, model: str, status: int
) -> None:
    """A key that the provider refuses, or a model that it has not, is the operator's to mend: the caller's own are in order."""
    with pytest.raises(openai.InternalServerError) as failed:
        ask(client, model, play(fail={"status": status, "message": "not today"}))
    assert (failed.value.status_code, failed.value.code) == (502, "all_targets_failed")
    assert "not today" in failed.value.message
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize(("ask", "model"), [(chat, "limited-openai-1"), (responses, "limited-openai-2")])
def test_a_limit_of_the_provider_is_waited_for(gateway: str, upstream: Upstream, ask: Ask, model: str) -> None:
    prompt = play(text="finally", fail={"status": 429, "retry_after": 1, "times": 1})
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=1) as patient:
        answer = ask(patient, model, prompt)
    assert "finally" in answer.model_dump_json()
    first, second = upstream.recorded()
    assert second["at"] - first["at"] >= 0.9


@pytest.mark.parametrize(("ask", "model"), [(chat, "limited-openai-3"), (responses, "limited-openai-4")])
def test_a_limit_of_the_provider_raises_with_its_time(client: openai.OpenAI, upstream: Upstream, ask: Ask, model: str) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        ask(client, model, play(fail={"status": 429, "retry_after": 17}))
    assert limited.value.response.headers["retry-after"] == "17"
    assert limited.value.code == "rate_limit_exceeded"
    assert len(upstream.recorded()) == 1


@WAYS
def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream, ask: Ask) -> None:
    prompt = play(text="finally", fail={"status": 500, "times": 1}, id=ask.__name__)
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=2) as patient:
        assert "finally" in ask(patient, "gpt-4.1", prompt).model_dump_json()
    assert len(upstream.recorded()) == 2


@WAYS
def test_a_model_that_is_not_there(client: openai.OpenAI, upstream: Upstream, ask: Ask) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        ask(client, "gpt-99", "hi")
    assert missing.value.code == "model_not_found" and "gpt-99" in missing.value.message
    assert upstream.recorded() == []


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_that_breaks_raises(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    prompt = play(text="one two three four", broken="it broke")
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], stream=True)
    with pytest.raises(openai.APIError, match="it broke"):
        list(stream)
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_that_is_cut_raises(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    prompt = play(text="one two three four", cut=True)
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], stream=True)
    with pytest.raises(openai.APIError):
        list(stream)
    assert len(upstream.recorded()) == 1


def test_a_key_that_is_not_ours(upstream: Upstream, tmp_path: Path) -> None:
    secret = made_key(tmp_path)
    with running_gateway(tmp_path, policy(upstream.url)) as gateway:
        with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-not-ours", max_retries=0) as stranger:
            for ask in (chat, responses):
                with pytest.raises(openai.AuthenticationError) as refused:
                    ask(stranger, "gpt-4.1", "hi")
                assert refused.value.code == "invalid_api_key" and "sk-not-ours" not in refused.value.message
            with pytest.raises(openai.AuthenticationError):
                stranger.models.list()
        assert upstream.recorded() == []
        with openai.OpenAI(base_url=f"{gateway}/v1", api_key=secret, max_retries=0) as known:
            assert chat(known, "gpt-4.1", "hi").choices[0].message.content == "Heard: hi"
    assert secret not in str(upstream.last())
