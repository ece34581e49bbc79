"""The `openai` client's chat completions with nothing changed but the base URL, whichever provider answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import COST_USD, EVERY_MODEL, IDS, PATHS

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TWO_CITIES = play(
    calls=[
        {"name": "weather", "arguments": {"city": "Łódź"}, "id": "call_a"},
        {"name": "weather", "arguments": {"city": "Rome"}, "id": "call_b"},
    ]
)


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_plain_answer(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": play(text="Grüß dich")}])
    assert answer.choices[0].message.content == "Grüß dich"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", IDS[model])
    asked = upstream.last()
    assert (asked["path"], asked["body"]["model"]) == (PATHS[model], IDS[model])
    credentials = asked["headers"].get("authorization", "") + asked["headers"].get("x-api-key", "")
    assert "upstream" in credentials and "sk-callers-own" not in json.dumps(asked)


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_instructions_and_earlier_turns(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "I am Ada."},
            {"role": "assistant", "content": "Hello Ada."},
            {"role": "user", "content": [{"type": "text", "text": "Who am I?"}]},
        ],
        max_completion_tokens=55,
        temperature=0.25,
    )
    assert answer.choices[0].message.content == "Heard: Who am I?"
    asked = upstream.last()
    said = [("system", "Be brief."), ("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert seen.turns(asked) == said
    assert asked["body"]["temperature"] == 0.25
    bound = {"max_tokens", "max_completion_tokens", "max_output_tokens"} & set(asked["body"])
    assert [asked["body"][name] for name in bound] == [55]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_with_usage_and_cost(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": play(text="One, two, drei — 四 🙂", split=7)}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "One, two, drei — 四 🙂"
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    used = chunks[-1].usage
    assert used is not None and (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (11, 7, 18)
    assert used.model_extra is not None and used.model_extra["cost"] == pytest.approx(COST_USD)
    assert upstream.last()["body"]["stream"] is True


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_usage_keeps_its_details(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    prompt = play(text="ok", usage={"input": 100, "output": 30, "cached": 60, "reasoning": 20})
    used = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}]).usage
    assert used is not None and (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (100, 30, 130)
    assert used.prompt_tokens_details is not None and used.prompt_tokens_details.cached_tokens == 60
    if PATHS[model] != "/v1/messages":  # Anthropic does not count its thinking apart
        assert used.completion_tokens_details is not None and used.completion_tokens_details.reasoning_tokens == 20
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_tools_are_called_and_answered(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    conversation: list = [{"role": "user", "content": TWO_CITIES}]
    first = client.chat.completions.create(model=model, messages=conversation, tools=[WEATHER], tool_choice="auto")
    calls = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls" and calls is not None
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [
        ("weather", {"city": "Łódź"}),
        ("weather", {"city": "Rome"}),
    ]
    assert calls[0].id != calls[1].id
    asked = upstream.last()
    assert seen.tool_names(asked) == ["weather"]
    assert seen.tool_schema(asked)["required"] == ["city"]

    conversation.append(first.choices[0].message)
    conversation += [
        {"role": "tool", "tool_call_id": call.id, "content": f"{at} degrees"} for at, call in enumerate(calls, start=20)
    ]
    second = client.chat.completions.create(model=model, messages=conversation, tools=[WEATHER])
    assert second.choices[0].message.content == "The tools say: 20 degrees; 21 degrees"
    asked = upstream.last()
    assert seen.calls(asked) == [("weather", {"city": "Łódź"}), ("weather", {"city": "Rome"})]
    assert [text for role, text in seen.turns(asked) if role == "tool"] == ["20 degrees", "21 degrees"]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_streamed_arguments_come_together(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    with client.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": TWO_CITIES}], tools=[WEATHER]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert kinds.count("tool_calls.function.arguments.delta") >= 4
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(c.function.arguments) for c in calls] == [{"city": "Łódź"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]


@pytest.mark.parametrize(
    ("choice", "wires"),
    [
        ("required", ["required", "required", "required", {"type": "any"}]),
        ("none", ["none", "none", "none", {"type": "none"}]),
        (
            {"type": "function", "function": {"name": "weather"}},
            [
                {"type": "function", "function": {"name": "weather"}},
                {"type": "function", "name": "weather"},
                {"type": "function", "function": {"name": "weather"}},
                {"type": "tool", "name": "weather"},
            ],
        ),
    ],
    ids=["required", "none", "named"],
)
def test_which_tool_is_to_be_called(client: openai.OpenAI, upstream: Upstream, choice: object, wires: list[object]) -> None:
    for model, wire in zip(EVERY_MODEL, wires, strict=True):
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": play(text="ok")}], tools=[WEATHER], tool_choice=choice
        )
        assert answer.choices[0].message.content == "ok"
        assert upstream.last()["body"]["tool_choice"] == wire


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_an_answer_by_a_schema_is_parsed(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": play(text='{"city": "Lyon", "people": 522000}')}],
        response_format=Place,
    )
    assert answer.choices[0].message.parsed == Place(city="Lyon", people=522000)
    asked = seen.schema(upstream.last())
    assert asked["required"] == ["city", "people"] and asked["additionalProperties"] is False


@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("url", ["https://example.org/cat.png", PIXEL], ids=["url", "base64"])
def test_images(client: openai.OpenAI, upstream: Upstream, model: str, url: str) -> None:
    parts: list = [{"type": "text", "text": play(text="A cat")}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "A cat"
    assert seen.images(upstream.last()) == [url]


@pytest.mark.parametrize("model", ["gpt-4.1", "llama-3.3-70b"])
def test_several_answers(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": play(text="yes")}], n=3)
    assert [(c.index, c.message.content) for c in answer.choices] == [(0, "yes"), (1, "yes"), (2, "yes")]
    assert upstream.last()["body"]["n"] == 3


@pytest.mark.parametrize("model", ["gpt-5.1", "claude-sonnet-4-6"])
def test_what_a_model_cannot_do_is_refused_by_name(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match=r"`n`"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], n=3)
    assert upstream.recorded() == []


@pytest.mark.parametrize("model", ["gpt-4.1", "llama-3.3-70b", "gpt-5.1"])
def test_logprobs(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": play(text="a b")}], logprobs=True, top_logprobs=2
    )
    given = answer.choices[0].logprobs
    assert given is not None and given.content is not None
    assert [(token.token, token.logprob) for token in given.content] == [("a", -0.25), (" b", -0.25)]
    assert upstream.last()["body"]["top_logprobs"] == 2


def test_fields_that_the_gateway_does_not_know_reach_the_same_dialect(client: openai.OpenAI, upstream: Upstream) -> None:
    client.chat.completions.create(
        model="llama-3.3-70b",
        messages=[{"role": "user", "content": "hi"}],
        seed=7,
        stop=["END"],
        logit_bias={"50256": -100},
        extra_body={"min_p": 0.05, "chat_template_kwargs": {"enable_thinking": False}},
    )
    body = upstream.last()["body"]
    assert (body["seed"], body["stop"], body["logit_bias"]) == (7, ["END"], {"50256": -100})
    assert (body["min_p"], body["chat_template_kwargs"]) == (0.05, {"enable_thinking": False})


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_why_an_answer_ended(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": play(text="and", finish="length")}]
    )
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("length", "and")
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.1", "llama-3.3-70b"])
def test_refusals(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": play(refusal="I will not")}])
    assert answer.choices[0].message.refusal == "I will not" and not answer.choices[0].message.content
    assert len(upstream.recorded()) == 1


def test_headers_and_ids(client: openai.OpenAI, upstream: Upstream) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=[{"role": "user", "content": "hi"}])
    assert raw.headers["x-turnout-provider"] == "openai"
    assert raw.request_id == raw.headers["x-request-id"]
    assert float(raw.headers["x-turnout-cost-usd"]) == pytest.approx(COST_USD)
    assert upstream.last()["headers"]["authorization"] == "Bearer sk-upstream-openai"


def test_a_stream_that_is_left_is_left_upstream(client: openai.OpenAI, upstream: Upstream) -> None:
    stream = client.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": play(text="a b c d", hang=True)}], stream=True
    )
    assert next(iter(stream)).choices[0].delta.role == "assistant"
    stream.close()
    assert upstream.wait_until_left()["body"]["stream"] is True


def test_a_timeout_of_the_client_ends_the_call_upstream(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": play(hang=True)}], timeout=0.5)
    assert upstream.wait_until_left()["path"] == "/v1/chat/completions"


def test_the_async_client(gateway: str, upstream: Upstream) -> None:
    async def one(client: openai.AsyncOpenAI, at: int) -> str:
        messages: list = [{"role": "user", "content": play(text=f"answer {at}")}]
        stream = await client.chat.completions.create(model=EVERY_MODEL[at % 4], messages=messages, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_at_once() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=0) as client:
            return await asyncio.gather(*(one(client, at) for at in range(12)))

    assert asyncio.run(all_at_once()) == [f"answer {at}" for at in range(12)]
    assert len(upstream.recorded()) == 12
