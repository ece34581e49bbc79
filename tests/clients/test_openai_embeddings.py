"""Embeddings through the real `openai` client, with nothing changed but its base URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from tests.embeddings_upstream import digest_vector
from tests.live_gateway import LiveGateway
from tests.scenario.test_embeddings import EmbeddingsUpstream, policy


@pytest.fixture(scope="module")
def upstream() -> Iterator[EmbeddingsUpstream]:
    with EmbeddingsUpstream() as opened:
        yield opened


@pytest.fixture(scope="module")
def gateway(upstream: EmbeddingsUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("embeddings"), policy(upstream.url)) as live:
        yield live


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="whatever", max_retries=0) as opened:
        yield opened


def test_vectors_are_those_of_the_server_asked_for_and_kept(client: openai.OpenAI, upstream: EmbeddingsUpstream) -> None:
    # By itself the client asks for base64, and decodes it.
    first, again = (client.embeddings.create(model="vectors", input=["alpha", "beta"]) for _ in range(2))
    for answer in (first, again):
        assert [item.index for item in answer.data] == [0, 1]
        assert [item.embedding for item in answer.data] == [
            pytest.approx(digest_vector("alpha")),
            pytest.approx(digest_vector("beta")),
        ]
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == 10
    assert upstream.server.requests[0].json()["encoding_format"] == "base64"
    mixed = client.embeddings.create(model="vectors", input=["gamma", "alpha"])
    assert [item.embedding for item in mixed.data] == [pytest.approx(digest_vector("gamma")), first.data[0].embedding]
    assert upstream.inputs[-1] == ["gamma"]


def test_numbers_tokens_and_dimensions_are_passed_on(client: openai.OpenAI, upstream: EmbeddingsUpstream) -> None:
    answer = client.embeddings.create(model="vectors", input=[7, 8, 9], encoding_format="float", dimensions=3)
    assert answer.data[0].embedding == pytest.approx(digest_vector([7, 8, 9]))
    asked = upstream.server.requests[-1].json()
    assert (asked["dimensions"], asked["encoding_format"], asked["model"]) == (3, "float", "embed-1")


def test_the_outcome_reaches_the_client_in_headers(client: openai.OpenAI) -> None:
    raws = [client.embeddings.with_raw_response.create(model="vectors", input="delta") for _ in range(2)]
    assert [raw.headers["x-turnout-cache"] for raw in raws] == ["miss", "hit-exact"]
    assert raws[1].request_id == raws[1].headers["x-request-id"]


def test_errors_raise_the_class_that_the_sdk_has_for_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="no-such-model", input="hello")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as routed:
        client.embeddings.create(model="auto", input="hello")
    assert routed.value.param == "model"


def test_the_async_client_works_concurrently(gateway: LiveGateway) -> None:
    async def scenario() -> list[list[float]]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            calls = [client.embeddings.create(model="vectors", input=f"text {i % 5}") for i in range(20)]
            return [answer.data[0].embedding for answer in await asyncio.gather(*calls)]

    assert asyncio.run(scenario()) == [pytest.approx(digest_vector(f"text {i % 5}")) for i in range(20)]
