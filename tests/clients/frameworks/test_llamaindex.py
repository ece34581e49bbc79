"""LlamaIndex's OpenAILike, OpenAILikeResponses, Anthropic and embeddings with nothing changed but the base URL."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai_like import OpenAILike, OpenAILikeResponses
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
CLAUDE = "claude-sonnet-4-6"
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000049454e44ae426082")
CALLS = [{"name": "weather", "arguments": {"city": city}, "id": f"call_{city}"} for city in ("Oslo", "Rome")]


class Place(BaseModel):
    """A place."""

    city: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"20 degrees in {city}"


WEATHER = FunctionTool.from_defaults(weather)


def by_chat(gateway: str, model: str, **more: Any) -> OpenAILike:
    fields: dict[str, Any] = {"is_chat_model": True, "is_function_calling_model": True, "max_retries": 0, **more}
    return OpenAILike(model=model, api_base=f"{gateway}/v1", api_key="sk-callers-own", **fields)


def by_responses(gateway: str, model: str, **more: Any) -> OpenAILikeResponses:
    fields: dict[str, Any] = {"is_function_calling_model": True, "max_retries": 0, **more}
    return OpenAILikeResponses(model=model, api_base=f"{gateway}/v1", api_key="sk-callers-own", **fields)


def by_messages(gateway: str, model: str, **more: Any) -> Anthropic:
    return Anthropic(model=model, base_url=gateway, api_key="sk-callers-own", **{"max_retries": 0, **more})


WAYS = pytest.mark.parametrize(
    ("way", "model"),
    [(by_chat, model) for model in EVERY_MODEL] + [(by_responses, model) for model in EVERY_MODEL] + [(by_messages, CLAUDE)],
)


@WAYS
def test_a_plain_answer_with_instructions(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    messages = [ChatMessage("Be brief.", role="system"), ChatMessage(play(text="Grüß dich"), role="user")]
    assert way(gateway, model).chat(messages).message.content == "Grüß dich"
    asked = upstream.last()
    native = "/v1/responses" if way is by_responses and model == "gpt-4.1" else PATHS[model]
    assert (asked["path"], seen.turns(asked)[0]) == (native, ("system", "Be brief."))


@WAYS
def test_a_completion(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    assert way(gateway, model).complete(play(text="upon a time")).text == "upon a time"
    assert len(upstream.recorded()) == 1


@WAYS
def test_a_stream(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    messages = [ChatMessage(play(text="One, two, drei — 四 🙂", split=7), role="user")]
    pieces = list(way(gateway, model).stream_chat(messages))
    assert "".join(piece.delta or "" for piece in pieces) == "One, two, drei — 四 🙂"
    assert upstream.last()["body"]["stream"] is True


@WAYS
def test_a_loop_over_tools(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    llm = way(gateway, model)
    asked = ChatMessage(play(calls=CALLS), role="user")
    first = llm.chat_with_tools([WEATHER], chat_history=[asked], allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(first)
    assert [call.tool_kwargs for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]
    results = [
        ChatMessage(str(WEATHER(**call.tool_kwargs)), role="tool", additional_kwargs={"tool_call_id": call.tool_id})
        for call in calls
    ]
    second = llm.chat_with_tools([WEATHER], chat_history=[asked, first.message, *results])
    assert second.message.content == "The tools say: 20 degrees in Oslo; 20 degrees in Rome"
    assert seen.calls(upstream.last()) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@WAYS
def test_structured_output(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    fields = {"city": "Lyon", "people": 522000}
    prompt = play(calls=[{"name": "Place", "arguments": fields}], text=json.dumps(fields))
    program = way(gateway, model).as_structured_llm(Place)
    assert program.complete(prompt).raw == Place(city="Lyon", people=522000)
    assert "people" in json.dumps(upstream.last()["body"])


@MODELS
def test_images(gateway: str, upstream: Upstream, model: str) -> None:
    blocks = [TextBlock(text=play(text="A cat")), ImageBlock(image=PIXEL, image_mimetype="image/png")]
    assert by_chat(gateway, model).chat([ChatMessage(role="user", blocks=blocks)]).message.content == "A cat"
    (found,) = seen.images(upstream.last())
    assert found.startswith("data:image/png;base64,iVBOR")


def test_errors(gateway: str, upstream: Upstream) -> None:
    prompt = [ChatMessage(play(fail={"status": 400, "message": "too hot"}), role="user")]
    for way in (by_chat, by_responses):
        with pytest.raises(openai.BadRequestError, match="too hot"):
            way(gateway, "gpt-4.1").chat(prompt)
        with pytest.raises(openai.NotFoundError):
            way(gateway, "gpt-99").chat(prompt)
    with pytest.raises(anthropic.BadRequestError, match="too hot"):
        by_messages(gateway, CLAUDE).chat(prompt)
    assert len(upstream.recorded()) == 3


def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream) -> None:
    prompt = play(text="finally", fail={"status": 503, "times": 1}, id="llamaindex")
    assert by_chat(gateway, "gpt-4.1", max_retries=2).complete(prompt).text == "finally"
    assert len(upstream.recorded()) == 2


def test_asynchronously(gateway: str, upstream: Upstream) -> None:
    async def streamed(model: str) -> str:
        stream = await by_chat(gateway, model).astream_chat([ChatMessage(play(text="a b c"), role="user")])
        return "".join([piece.delta or "" async for piece in stream])

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(streamed(model) for model in EVERY_MODEL))

    assert asyncio.run(all_at_once()) == ["a b c"] * 4
    assert len(upstream.recorded()) == 4


def test_embeddings(gateway: str, upstream: Upstream) -> None:
    model = OpenAILikeEmbedding("text-embedding-3-small", api_base=f"{gateway}/v1", api_key="x", dimensions=8)
    vectors = model.get_text_embedding_batch(["alpha", "beta"])
    assert [len(vector) for vector in vectors] == [8, 8]
    assert model.get_query_embedding("alpha") == vectors[0]
    assert upstream.last()["body"]["dimensions"] == 8
