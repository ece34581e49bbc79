"""Tools of the `anthropic` client: by hand, streamed, and by its beta tool runner, whichever provider answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL
from tests.clients.python.test_anthropic_messages import CLAUDE, PIXEL, asks

WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TWO_CITIES = play(
    text="Let me look.",
    calls=[
        {"name": "weather", "arguments": {"city": "Łódź"}, "id": "call_a"},
        {"name": "weather", "arguments": {"city": "Rome"}, "id": "call_b"},
    ],
)


@pytest.fixture
def client(gateway: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway, api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_tools_are_called_and_answered(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    first = client.messages.create(model=model, max_tokens=99, messages=asks(TWO_CITIES), tools=[WEATHER])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [block.text for block in first.content if block.type == "text"] == ["Let me look."]
    assert [(call.name, call.input) for call in calls] == [("weather", {"city": "Łódź"}), ("weather", {"city": "Rome"})]
    asked = upstream.last()
    assert (seen.tool_names(asked), seen.tool_schema(asked)["required"]) == (["weather"], ["city"])

    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "20 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "content": [{"type": "text", "text": "no such city"}],
            "is_error": True,
        },
    ]
    turns = [*asks(TWO_CITIES), {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(model=model, max_tokens=99, messages=turns, tools=[WEATHER])
    (block,) = second.content
    assert block.type == "text" and "20 degrees" in block.text and "no such city" in block.text
    asked = upstream.last()
    assert seen.calls(asked) == [("weather", {"city": "Łódź"}), ("weather", {"city": "Rome"})]
    told = [text for role, text in seen.turns(asked) if role == "tool"]
    assert told[0] == "20 degrees" and "no such city" in told[1]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_streamed_input_comes_together(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=99, messages=asks(TWO_CITIES), tools=[WEATHER]) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [{"city": "Łódź"}, {"city": "Rome"}]
    assert final.stop_reason == "tool_use" and len([piece for piece in pieces if piece]) >= 4
    assert seen.tool_names(upstream.last()) == ["weather"]


@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_the_tool_runner(client: anthropic.Anthropic, upstream: Upstream, model: str, is_stream: bool) -> None:
    asked_of: list[str] = []

    @beta_tool
    def weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: its name
        """
        asked_of.append(city)
        return f"{20 + len(asked_of)} degrees"

    runner = client.beta.messages.tool_runner(
        model=model, max_tokens=99, messages=asks(TWO_CITIES), tools=[weather], stream=is_stream
    )
    final = runner.until_done()
    assert asked_of == ["Łódź", "Rome"]
    assert [block.text for block in final.content if block.type == "text"] == ["The tools say: 21 degrees; 22 degrees"]
    requests = upstream.recorded()
    assert len(requests) == 2
    assert "city" in seen.tool_schema(requests[0])["properties"]


@pytest.mark.parametrize(
    ("choice", "wires"),
    [
        ({"type": "any"}, ["required", "required", "required", {"type": "any"}]),
        ({"type": "none"}, ["none", "none", "none", {"type": "none"}]),
        (
            {"type": "tool", "name": "weather"},
            [
                {"type": "function", "function": {"name": "weather"}},
                {"type": "function", "name": "weather"},
                {"type": "function", "function": {"name": "weather"}},
                {"type": "tool", "name": "weather"},
            ],
        ),
    ],
    ids=["any", "none", "named"],
)
def test_which_tool_is_to_be_called(client: anthropic.Anthropic, upstream: Upstream, choice: Any, wires: list[Any]) -> None:
    for model, wire in zip(EVERY_MODEL, wires, strict=True):
        client.messages.create(model=model, max_tokens=9, messages=asks("hi"), tools=[WEATHER], tool_choice=choice)
        assert upstream.last()["body"]["tool_choice"] == wire


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_one_tool_at_a_time(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    choice: Any = {"type": "auto", "disable_parallel_tool_use": True}
    client.messages.create(model=model, max_tokens=9, messages=asks("hi"), tools=[WEATHER], tool_choice=choice)
    body = upstream.last()["body"]
    is_single = body["tool_choice"]["disable_parallel_tool_use"] if model == CLAUDE else not body["parallel_tool_calls"]
    assert is_single is True


def test_thinking_goes_round_a_tool_loop_with_its_signature(client: anthropic.Anthropic, upstream: Upstream) -> None:
    prompt = play(thinking="I need to look.", signature="c2lnbmVk", calls=[{"name": "weather", "arguments": {"city": "Rome"}}])
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    first = client.messages.create(model=CLAUDE, max_tokens=2048, thinking=thinking, messages=asks(prompt), tools=[WEATHER])
    call = first.content[-1]
    assert call.type == "tool_use"
    results: list[Any] = [{"type": "tool_result", "tool_use_id": call.id, "content": "20 degrees"}]
    turns = [*asks(prompt), {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    client.messages.create(model=CLAUDE, max_tokens=2048, thinking=thinking, messages=turns, tools=[WEATHER])
    sent = upstream.last()["body"]["messages"]
    assert sent[1]["content"][0] == {"type": "thinking", "thinking": "I need to look.", "signature": "c2lnbmVk"}
    assert sent[2]["content"] == results


def test_an_image_as_a_result(client: anthropic.Anthropic, upstream: Upstream) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture]}
    turns: list[Any] = [*asks("Look"), {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    tool: Any = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
    for model in EVERY_MODEL:
        client.messages.create(model=model, max_tokens=9, messages=turns, tools=[tool])
        assert PIXEL in json.dumps(upstream.last()["body"])


def test_betas_reach_anthropic(client: anthropic.Anthropic, upstream: Upstream) -> None:
    edits: Any = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    client.beta.messages.create(
        model=CLAUDE, max_tokens=9, messages=asks("hi"), betas=["context-management-2025-06-27"], context_management=edits
    )
    asked = upstream.last()
    assert asked["headers"]["anthropic-beta"] == "context-management-2025-06-27"
    assert asked["body"]["context_management"] == edits
