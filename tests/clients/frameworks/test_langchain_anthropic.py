"""LangChain's ChatAnthropic with nothing changed but the base URL, whichever provider answers."""

from __future__ import annotations

import asyncio
import json

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
CLAUDE = "claude-sonnet-4-6"
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


def chat(gateway: str, model: str, **more: object) -> ChatAnthropic:
    fields: dict = {"max_retries": 0, "max_tokens": 2048, **more}
    return ChatAnthropic(model=model, base_url=gateway, api_key="sk-callers-own", **fields)


@MODELS
def test_a_plain_answer_with_instructions(gateway: str, upstream: Upstream, model: str) -> None:
    answer = chat(gateway, model).invoke([SystemMessage("Be brief."), HumanMessage(play(text="Grüß dich"))])
    assert answer.text == "Grüß dich"
    assert answer.usage_metadata is not None and answer.usage_metadata["total_tokens"] == 18
    assert answer.response_metadata["stop_reason"] == "end_turn"
    asked = upstream.last()
    assert (asked["path"], seen.turns(asked)[0]) == (PATHS[model], ("system", "Be brief."))


@MODELS
def test_a_stream(gateway: str, upstream: Upstream, model: str) -> None:
    chunks = list(chat(gateway, model).stream(play(text="One, two, drei — 四 🙂", split=7)))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "One, two, drei — 四 🙂" and len(chunks) > 3
    assert whole.usage_metadata is not None and whole.usage_metadata["output_tokens"] == 7
    assert upstream.last()["body"]["stream"] is True


@MODELS
def test_a_loop_over_tools(gateway: str, upstream: Upstream, model: str) -> None:
    bound = chat(gateway, model).bind_tools([weather])
    conversation: list = [HumanMessage(play(calls=CALLS))]
    first = bound.invoke(conversation)
    assert isinstance(first, AIMessage)
    assert [call["args"] for call in first.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]
    conversation += [first, *(weather.invoke(call) for call in first.tool_calls)]
    assert bound.invoke(conversation).text == "The tools say: 20 degrees in Oslo; 20 degrees in Rome"
    assert seen.calls(upstream.last()) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@MODELS
def test_streamed_tool_calls(gateway: str, upstream: Upstream, model: str) -> None:
    chunks = list(chat(gateway, model).bind_tools([weather]).stream(play(calls=CALLS)))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]


@MODELS
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gateway: str, upstream: Upstream, model: str, method: str) -> None:
    fields = {"city": "Lyon", "people": 522000}
    is_schema = method == "json_schema"
    prompt = play(text=json.dumps(fields)) if is_schema else play(calls=[{"name": "Place", "arguments": fields}])
    assert chat(gateway, model).with_structured_output(Place, method=method).invoke(prompt) == Place(city="Lyon", people=522000)
    asked = upstream.last()
    schema = seen.schema(asked) if is_schema else seen.tool_schema(asked)
    assert set(schema["properties"]) == {"city", "people"}


@MODELS
def test_images(gateway: str, upstream: Upstream, model: str) -> None:
    image = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    said = HumanMessage([{"type": "text", "text": play(text="A cat")}, image])
    assert chat(gateway, model).invoke([said]).text == "A cat"
    assert seen.images(upstream.last()) == [f"data:image/png;base64,{PIXEL}"]


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_thinking_goes_round_with_its_signature(gateway: str, upstream: Upstream, is_stream: bool) -> None:
    model = chat(gateway, CLAUDE, thinking={"type": "enabled", "budget_tokens": 1024}, streaming=is_stream)
    asked = HumanMessage(play(text="42", thinking="Six times seven", signature="c2lnbmVk"))
    first = model.invoke([asked])
    assert first.text == "42"
    model.invoke([asked, first, HumanMessage("Sure?")])
    sent = upstream.last()["body"]["messages"][1]["content"]
    thought = sent[0]
    assert (thought["type"], thought["thinking"], thought["signature"]) == ("thinking", "Six times seven", "c2lnbmVk")


def test_marks_for_the_prompt_cache(gateway: str, upstream: Upstream) -> None:
    mark = {"type": "ephemeral"}
    system = SystemMessage([{"type": "text", "text": "A long manual.", "cache_control": mark}])
    prompt = play(text="ok", usage={"input": 50, "cached": 10, "cache_write": 30})
    answer = chat(gateway, CLAUDE).invoke([system, HumanMessage(prompt)])
    assert answer.usage_metadata is not None and answer.usage_metadata["input_tokens"] == 50
    assert answer.usage_metadata["input_token_details"]["cache_read"] == 10
    assert upstream.last()["body"]["system"][0]["cache_control"] == mark


def test_errors(gateway: str, upstream: Upstream) -> None:
    with pytest.raises(anthropic.BadRequestError, match="too hot"):
        chat(gateway, CLAUDE).invoke(play(fail={"status": 400, "message": "too hot"}))
    with pytest.raises(anthropic.NotFoundError):
        chat(gateway, "claude-99").invoke("hi")
    with pytest.raises(anthropic.APITimeoutError):
        chat(gateway, CLAUDE, timeout=0.5).invoke(play(hang=True))
    assert upstream.wait_until_left()["path"] == "/v1/messages"


def test_a_server_that_fails_is_asked_again(gateway: str, upstream: Upstream) -> None:
    prompt = play(text="finally", fail={"status": 529, "times": 1}, id="langchain")
    assert chat(gateway, CLAUDE, max_retries=2).invoke(prompt).text == "finally"
    assert len(upstream.recorded()) == 2


def test_tokens_are_counted(gateway: str, upstream: Upstream) -> None:
    assert chat(gateway, CLAUDE).get_num_tokens_from_messages([HumanMessage("How many?")]) == 101
    assert upstream.last()["path"] == "/v1/messages/count_tokens"


def test_many_at_a_time(gateway: str, upstream: Upstream) -> None:
    prompts: list = [play(text=f"answer {at}") for at in range(6)]
    answers = asyncio.run(chat(gateway, CLAUDE).abatch(prompts))
    assert [answer.text for answer in answers] == [f"answer {at}" for at in range(6)]
    assert len(upstream.recorded()) == 6
