"""LangChain's ChatOpenAI and OpenAIEmbeddings with nothing changed but the base URL: by chat completions and by Responses."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, IDS, PATHS

WAYS = pytest.mark.parametrize("by_responses", [False, True], ids=["chat", "responses"])
MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CALLS = [{"name": "weather", "arguments": {"city": city}, "id": f"call_{city}"} for city in ("Oslo", "Rome")]


class Place(BaseModel):
    """A place."""

    city: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"20 degrees in {city}"


def chat(gateway: str, model: str, by_responses: bool, **more: object) -> ChatOpenAI:
    fields: dict = {"use_responses_api": by_responses, "max_retries": 0, "stream_usage": True, **more}
    return ChatOpenAI(model=model, base_url=f"{gateway}/v1", api_key="sk-callers-own", **fields)


def path(model: str, by_responses: bool) -> str:
    return "/v1/responses" if by_responses and model == "gpt-4.1" else PATHS[model]


@WAYS
@MODELS
def test_a_plain_answer_with_instructions(gateway: str, upstream: Upstream, model: str, by_responses: bool) -> None:
    answer = chat(gateway, model, by_responses).invoke([SystemMessage("Be brief."), HumanMessage(play(text="Grüß dich"))])
    assert answer.text == "Grüß dich"
    assert answer.usage_metadata is not None and answer.usage_metadata["input_tokens"] == 11
    assert answer.response_metadata["model_name"] == IDS[model]
    asked = upstream.last()
    assert (asked["path"], seen.turns(asked)[0]) == (path(model, by_responses), ("system", "Be brief."))


@WAYS
@MODELS
def test_a_stream(gateway: str, upstream: Upstream, model: str, by_responses: bool) -> None:
    chunks = list(chat(gateway, model, by_responses).stream(play(text="One, two, drei — 四 🙂", split=7)))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "One, two, drei — 四 🙂" and len(chunks) > 3
    assert whole.usage_metadata is not None and whole.usage_metadata["total_tokens"] == 18
    assert upstream.last()["body"]["stream"] is True


@WAYS
@MODELS
def test_a_loop_over_tools(gateway: str, upstream: Upstream, model: str, by_responses: bool) -> None:
    bound = chat(gateway, model, by_responses).bind_tools([weather])
    conversation: list = [HumanMessage(play(calls=CALLS))]
    first = bound.invoke(conversation)
    assert isinstance(first, AIMessage)
    assert [call["args"] for call in first.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]
    conversation += [first, *(weather.invoke(call) for call in first.tool_calls)]
    assert isinstance(conversation[-1], ToolMessage)
    assert bound.invoke(conversation).text == "The tools say: 20 degrees in Oslo; 20 degrees in Rome"
    assert seen.calls(upstream.last()) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@WAYS
@MODELS
def test_streamed_tool_calls(gateway: str, upstream: Upstream, model: str, by_responses: bool) -> None:
    bound = chat(gateway, model, by_responses).bind_tools([weather])
    chunks = list(bound.stream(play(calls=CALLS)))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]


@WAYS
@MODELS
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gateway: str, upstream: Upstream, model: str, by_responses: bool, method: str) -> None:
    fields = {"city": "Lyon", "people": 522000}
    is_schema = method == "json_schema"
    prompt = play(text=json.dumps(fields)) if is_schema else play(calls=[{"name": "Place", "arguments": fields}])
    structured = chat(gateway, model, by_responses).with_structured_output(Place, method=method)
    assert structured.invoke(prompt) == Place(city="Lyon", people=522000)
    asked = upstream.last()
    schema = seen.schema(asked) if is_schema else seen.tool_schema(asked)
    assert set(schema["properties"]) == {"city", "people"}


@WAYS
@MODELS
def test_images(gateway: str, upstream: Upstream, model: str, by_responses: bool) -> None:
    image = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    said = HumanMessage([{"type": "text", "text": play(text="A cat")}, image])
    assert chat(gateway, model, by_responses).invoke([said]).text == "A cat"
    assert seen.images(upstream.last()) == [f"data:image/png;base64,{PIXEL}"]


@WAYS
def test_errors(gateway: str, upstream: Upstream, by_responses: bool) -> None:
    with pytest.raises(openai.BadRequestError, match="too hot"):
        chat(gateway, "gpt-4.1", by_responses).invoke(play(fail={"status": 400, "message": "too hot"}))
    with pytest.raises(openai.NotFoundError):
        chat(gateway, "gpt-99", by_responses).invoke("hi")
    with pytest.raises(openai.APITimeoutError):
        chat(gateway, "gpt-4.1", by_responses, timeout=0.5).invoke(play(hang=True))
    assert upstream.wait_until_left()["path"] == path("gpt-4.1", by_responses)


@WAYS
def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream, by_responses: bool) -> None:
    prompt = play(text="finally", fail={"status": 503, "times": 1}, id=f"langchain {by_responses}")
    assert chat(gateway, "gpt-4.1", by_responses, max_retries=2).invoke(prompt).text == "finally"
    assert len(upstream.recorded()) == 2


def test_many_at_a_time(gateway: str, upstream: Upstream) -> None:
    prompts: list = [play(text=f"answer {at}") for at in range(6)]

    async def both_ways() -> list[str]:
        # In one event loop: LangChain keeps the connections of the first for good.
        answers = [await chat(gateway, "gpt-4.1", by_responses).abatch(prompts) for by_responses in (False, True)]
        return [answer.text for some in answers for answer in some]

    assert asyncio.run(both_ways()) == [f"answer {at}" for at in range(6)] * 2
    assert len(upstream.recorded()) == 12


def test_logprobs(gateway: str, upstream: Upstream) -> None:
    answer = chat(gateway, "gpt-4.1", False, logprobs=True).invoke(play(text="a b"))
    assert [token["logprob"] for token in answer.response_metadata["logprobs"]["content"]] == [-0.25, -0.25]
    assert upstream.last()["body"]["logprobs"] is True


def test_embeddings(gateway: str, upstream: Upstream) -> None:
    # By itself it sends tokens, and would fetch its tokenizer from the network.
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=f"{gateway}/v1", api_key="x", dimensions=8, check_embedding_ctx_length=False
    )
    vectors = embeddings.embed_documents(["alpha", "beta"])
    assert [len(vector) for vector in vectors] == [8, 8] and vectors[0] != vectors[1]
    assert embeddings.embed_query("alpha") == vectors[0]
    assert upstream.last()["body"]["dimensions"] == 8
