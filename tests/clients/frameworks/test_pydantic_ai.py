"""Pydantic AI's agents with nothing changed but the base URL: by chat completions, by Responses and by Anthropic's messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, ModelSettings, NativeOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000049454e44ae426082")
CALLS = [{"name": "weather", "arguments": {"city": city}, "id": f"call_{city}"} for city in ("Oslo", "Rome")]


class Place(BaseModel):
    city: str
    people: int


def by_chat(gateway: str, model: str) -> Model:
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=f"{gateway}/v1", api_key="sk-callers-own"))


def by_responses(gateway: str, model: str) -> Model:
    return OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=f"{gateway}/v1", api_key="sk-callers-own"))


def by_messages(gateway: str, model: str) -> Model:
    return AnthropicModel(model, provider=AnthropicProvider(base_url=gateway, api_key="sk-callers-own"))


Way = Callable[[str, str], Model]
WAYS = pytest.mark.parametrize("way", [by_chat, by_responses, by_messages])
MODELS = pytest.mark.parametrize("model", EVERY_MODEL)


@WAYS
@MODELS
def test_a_plain_answer_with_instructions(gateway: str, upstream: Upstream, way: Way, model: str) -> None:
    agent = Agent(way(gateway, model), instructions="Be brief.", model_settings=ModelSettings(max_tokens=77))
    result = agent.run_sync(play(text="Grüß dich"))
    assert result.output == "Grüß dich"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)
    asked = upstream.last()
    native = {"by_responses": "/v1/responses"} if model == "gpt-4.1" else {}
    assert asked["path"] == native.get(way.__name__, PATHS[model])
    role, text = seen.turns(asked)[0]
    assert role == "system" and text.endswith("Be brief.")  # to some models the framework says something of its own before it


@WAYS
@MODELS
def test_a_conversation_goes_on(gateway: str, upstream: Upstream, way: Way, model: str) -> None:
    agent = Agent(way(gateway, model))
    first = agent.run_sync(play(text="Hello Ada."))
    second = agent.run_sync("Who am I?", message_history=first.new_messages())
    assert second.output == "Heard: Who am I?"
    assert seen.turns(upstream.last())[-2:] == [("assistant", "Hello Ada."), ("user", "Who am I?")]


@WAYS
@MODELS
def test_a_stream(gateway: str, upstream: Upstream, way: Way, model: str) -> None:
    async def streamed() -> tuple[list[str], int]:
        async with Agent(way(gateway, model)).run_stream(play(text="One, two, drei — 四 🙂", split=7)) as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            return pieces, result.usage.output_tokens

    pieces, tokens = asyncio.run(streamed())
    assert "".join(pieces) == "One, two, drei — 四 🙂" and len(pieces) > 3
    assert tokens == 7
    assert upstream.last()["body"]["stream"] is True


@WAYS
@MODELS
def test_a_loop_over_tools(gateway: str, upstream: Upstream, way: Way, model: str) -> None:
    agent = Agent(way(gateway, model))

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"20 degrees in {city}"

    assert agent.run_sync(play(calls=CALLS)).output == "The tools say: 20 degrees in Oslo; 20 degrees in Rome"
    first, second = upstream.recorded()
    assert seen.tool_names(first) == ["weather"]
    assert seen.calls(second) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@WAYS
@MODELS
@pytest.mark.parametrize("is_native", [True, False], ids=["schema", "tool"])
def test_structured_output(gateway: str, upstream: Upstream, way: Way, model: str, is_native: bool) -> None:
    if way is by_messages and not model.startswith("claude"):
        is_native = False  # it goes by the name of the model, and sends a schema as such to Claude alone
    fields = {"city": "Lyon", "people": 522000}
    wanted = NativeOutput(Place) if is_native else ToolOutput(Place, name="place")
    prompt = play(text=json.dumps(fields)) if is_native else play(calls=[{"name": "place", "arguments": fields}])
    assert Agent(way(gateway, model), output_type=wanted).run_sync(prompt).output == Place(city="Lyon", people=522000)
    asked = upstream.last()
    schema = seen.schema(asked) if is_native else seen.tool_schema(asked)
    assert set(schema["properties"]) == {"city", "people"}


@WAYS
@MODELS
def test_images(gateway: str, upstream: Upstream, way: Way, model: str) -> None:
    image = BinaryContent(PIXEL, media_type="image/png")
    assert Agent(way(gateway, model)).run_sync([play(text="A cat"), image]).output == "A cat"
    (found,) = seen.images(upstream.last())
    assert found == image.data_uri


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_thinking_goes_round_with_its_signature(gateway: str, upstream: Upstream, is_stream: bool) -> None:
    settings = AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
    agent = Agent(by_messages(gateway, "claude-sonnet-4-6"), model_settings=settings)

    @agent.tool_plain
    def weather(city: str) -> str:
        return "20 degrees"

    prompt = play(thinking="I need to look.", signature="c2lnbmVk", calls=CALLS[:1])

    async def run() -> list:
        if not is_stream:
            return (await agent.run(prompt)).all_messages()
        async with agent.run_stream(prompt) as result:
            await result.get_output()
            return result.all_messages()

    messages = asyncio.run(run())
    (thought,) = [part for message in messages for part in message.parts if isinstance(part, ThinkingPart)]
    assert (thought.content, thought.signature) == ("I need to look.", "c2lnbmVk")
    sent = upstream.last()["body"]["messages"][1]["content"][0]
    assert (sent["type"], sent["thinking"], sent["signature"]) == ("thinking", "I need to look.", "c2lnbmVk")


@WAYS
def test_errors(gateway: str, upstream: Upstream, way: Way) -> None:
    with pytest.raises(ModelHTTPError) as wrong:
        Agent(way(gateway, "gpt-4.1")).run_sync(play(fail={"status": 400, "message": "too hot"}))
    assert wrong.value.status_code == 400 and "too hot" in str(wrong.value.body)
    with pytest.raises(ModelHTTPError) as missing:
        Agent(way(gateway, "gpt-99")).run_sync("hi")
    assert missing.value.status_code == 404
    assert len(upstream.recorded()) == 1


@WAYS
def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream, way: Way) -> None:
    prompt = play(text="finally", fail={"status": 503, "times": 1}, id=f"pydantic-ai {way.__name__}")
    assert Agent(way(gateway, "gpt-4.1")).run_sync(prompt).output == "finally"
    assert len(upstream.recorded()) == 2
