"""The `openai` client's completions, embeddings and models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.clients.processes import Upstream, play
from tests.clients.python.policy import COST_USD, EVERY_MODEL, PATHS

INSTRUCT = "gpt-3.5-turbo-instruct"


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


def test_a_completion_reaches_who_has_them_unchanged(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.completions.create(
        model=INSTRUCT, prompt=play(text=" upon a time"), max_tokens=9, suffix="The end.", echo=False, n=2, stop=["\n"], seed=3
    )
    assert (answer.object, answer.choices[0].text, len(answer.choices)) == ("text_completion", " upon a time", 2)
    assert answer.usage is not None and answer.usage.total_tokens == 18
    asked = upstream.last()
    assert (asked["path"], asked["body"]["model"]) == ("/v1/completions", "gpt-3.5-turbo-instruct-0914")
    assert (asked["body"]["suffix"], asked["body"]["stop"], asked["body"]["seed"]) == ("The end.", ["\n"], 3)


@pytest.mark.parametrize("model", [m for m in EVERY_MODEL if m != "gpt-4.1"])
def test_a_completion_is_a_conversation_to_others(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.completions.create(model=model, prompt=play(text="Once"), max_tokens=9, temperature=0)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == ("text_completion", "Once", "stop")
    assert upstream.last()["path"] == PATHS[model]


@pytest.mark.parametrize("model", [INSTRUCT, "llama-3.3-70b", "claude-sonnet-4-6"])
def test_a_streamed_completion(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    stream = client.completions.create(
        model=model, prompt=play(text="Once upon a 時", split=5), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "Once upon a 時"
    assert chunks[-1].usage is not None and chunks[-1].usage.model_extra is not None
    assert chunks[-1].usage.model_extra["cost"] == pytest.approx(COST_USD)
    assert upstream.last()["body"]["stream"] is True


def test_a_completion_that_others_cannot_do_is_refused_by_name(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError, match="suffix"):
        client.completions.create(model="llama-3.3-70b", prompt="Once", suffix="The end.")
    assert upstream.recorded() == []


def test_embeddings(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["alpha", "beta", "alpha"], dimensions=6)
    assert [len(item.embedding) for item in answer.data] == [6, 6, 6]
    assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens == 15
    body = upstream.last()["body"]
    assert (body["encoding_format"], body["dimensions"]) == ("base64", 6)
    numbers = client.embeddings.create(model="text-embedding-3-small", input=["alpha"], dimensions=6, encoding_format="float")
    assert numbers.data[0].embedding == pytest.approx(answer.data[0].embedding)


def test_embeddings_fail_as_the_rest_does(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError, match="too long"):
        client.embeddings.create(model="text-embedding-3-small", input=play(fail={"status": 400, "message": "too long"}))
    assert len(upstream.recorded()) == 1


def test_embeddings_of_the_async_client(gateway: str, upstream: Upstream) -> None:
    async def embedded() -> list[int]:
        async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=0) as client:
            calls = (client.embeddings.create(model="text-embedding-3-small", input=f"text {at}") for at in range(4))
            return [len(answer.data[0].embedding) for answer in await asyncio.gather(*calls)]

    assert asyncio.run(embedded()) == [4] * 4
    assert len(upstream.recorded()) == 4


def test_models(client: openai.OpenAI, upstream: Upstream) -> None:
    assert {"auto", *EVERY_MODEL} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("claude-sonnet-4-6").owned_by == "anthropic"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-99")
    assert upstream.recorded() == []
