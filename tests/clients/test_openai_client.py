"""The real `openai` client with nothing changed but its base URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.live_gateway import LiveGateway
from tests.scenario.policies import two_models


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    script = ["ok"] * 5
    policy = two_models(script) + "  # end\n"
    with LiveGateway(tmp_path_factory.mktemp("openai"), policy) as live:
        yield live


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="whatever", max_retries=0) as opened:
        yield opened


def test_a_plain_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].message.content == "This is a rehearsed answer from"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.completion_tokens == 6
    assert answer.model == "first-1"


def test_a_streamed_answer_with_usage_and_cost(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "hello"}], stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "This is a rehearsed answer from"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 8
    assert chunks[-1].usage.model_extra is not None and chunks[-1].usage.model_extra["cost"] > 0


def test_headers_reach_the_client(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    assert raw.headers["x-turnout-route"] == "all"
    assert raw.request_id == raw.headers["x-request-id"]


def test_errors_raise_the_class_that_the_sdk_has_for_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "hello"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="auto", messages=[])
    assert empty.value.param == "messages"


def test_a_stream_that_breaks_off_raises(tmp_path_factory: pytest.TempPathFactory) -> None:
    with LiveGateway(tmp_path_factory.mktemp("cut"), two_models(["cut"])) as live:
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client:
            stream = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}], stream=True)
            with pytest.raises(openai.APIError, match="told to cut"):
                list(stream)


def test_every_target_failing_raises_a_server_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    with LiveGateway(tmp_path_factory.mktemp("down"), two_models(["500"], ["503"])) as live:
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key="x", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError) as failed:
                client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
            assert failed.value.status_code == 502


def test_the_async_client_works_concurrently(gateway: LiveGateway) -> None:
    async def scenario() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            calls = [
                client.chat.completions.create(model="auto", messages=[{"role": "user", "content": f"hello {i}"}])
                for i in range(20)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    assert asyncio.run(scenario()) == ["This is a rehearsed answer from"] * 20


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [m.id for m in client.models.list()] == ["auto", "first", "second"]
    assert client.models.retrieve("second").owned_by == "two"
