"""litellm as a client, with nothing changed but `api_base`: as OpenAI's chat, Responses and Anthropic's messages."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing it asks a server for prices

import litellm
import pytest
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
CLAUDE = "claude-sonnet-4-6"
CALLS = [{"name": "weather", "arguments": {"city": city}, "id": f"call_{city}"} for city in ("Oslo", "Rome")]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


class Place(BaseModel):
    city: str
    people: int


def asks(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]


def by_openai(gateway: str, model: str) -> dict[str, Any]:
    return {
        "model": f"openai/{model}",
        "api_base": f"{gateway}/v1",
        "api_key": "sk-callers-own",
        "max_retries": 0,
        "num_retries": 0,
    }


def by_anthropic(gateway: str, model: str) -> dict[str, Any]:
    return {"model": f"anthropic/{model}", "api_base": gateway, "api_key": "sk-callers-own", "max_retries": 0, "num_retries": 0}


WAYS = pytest.mark.parametrize(
    ("way", "model"), [(by_openai, model) for model in EVERY_MODEL] + [(by_anthropic, CLAUDE), (by_anthropic, "gpt-4.1")]
)


@WAYS
def test_a_plain_answer_with_instructions(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    answer = litellm.completion(**way(gateway, model), messages=asks(play(text="Grüß dich")))
    assert answer.choices[0].message.content == "Grüß dich"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)
    asked = upstream.last()
    assert (asked["path"], seen.turns(asked)[0]) == (PATHS[model], ("system", "Be brief."))


@WAYS
def test_a_stream(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    messages = asks(play(text="One, two, drei — 四 🙂", split=7))
    chunks = list(
        litellm.completion(**way(gateway, model), messages=messages, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "One, two, drei — 四 🙂"
    assert [chunk.usage.total_tokens for chunk in chunks if getattr(chunk, "usage", None)][-1] == 18
    assert upstream.last()["body"]["stream"] is True


@WAYS
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_loop_over_tools(gateway: str, upstream: Upstream, way: Any, model: str, is_stream: bool) -> None:
    conversation: list[Any] = asks(play(calls=CALLS))
    first = litellm.completion(**way(gateway, model), messages=conversation, tools=[WEATHER], stream=is_stream)
    if is_stream:
        first = litellm.stream_chunk_builder(list(first), messages=conversation)
    calls = first.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]
    conversation.append(first.choices[0].message.model_dump())
    conversation += [{"role": "tool", "tool_call_id": call.id, "content": f"{at} degrees"} for at, call in enumerate(calls)]
    second = litellm.completion(**way(gateway, model), messages=conversation, tools=[WEATHER])
    assert second.choices[0].message.content == "The tools say: 0 degrees; 1 degrees"
    assert seen.calls(upstream.last()) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@MODELS
def test_structured_output(gateway: str, upstream: Upstream, model: str) -> None:
    messages = asks(play(text='{"city": "Lyon", "people": 522000}'))
    answer = litellm.completion(**by_openai(gateway, model), messages=messages, response_format=Place)
    assert Place.model_validate_json(answer.choices[0].message.content) == Place(city="Lyon", people=522000)
    assert set(seen.schema(upstream.last())["properties"]) == {"city", "people"}


@pytest.mark.parametrize(
    # Of OpenAI's streams litellm reads the thoughts but not their signatures, so only Anthropic's are tried streamed.
    ("way", "is_stream"),
    [(by_openai, False), (by_anthropic, False), (by_anthropic, True)],
)
def test_thinking_goes_round_with_its_signature(gateway: str, upstream: Upstream, way: Any, is_stream: bool) -> None:
    messages: list[Any] = asks(play(text="42", thinking="Six times seven", signature="c2lnbmVk"))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    given = {"extra_body": {"thinking": thinking}} if way is by_openai else {"thinking": thinking}
    answer = litellm.completion(**way(gateway, CLAUDE), messages=messages, max_tokens=2048, stream=is_stream, **given)
    if is_stream:
        answer = litellm.stream_chunk_builder(list(answer), messages=messages)
    said = answer.choices[0].message
    assert said.reasoning_content == "Six times seven"
    assert [(block["thinking"], block["signature"]) for block in said.thinking_blocks] == [("Six times seven", "c2lnbmVk")]
    assert upstream.last()["body"]["thinking"] == thinking
    messages += [said.model_dump(exclude_none=True), {"role": "user", "content": "Sure?"}]
    litellm.completion(**way(gateway, CLAUDE), messages=messages, max_tokens=2048, **given)
    sent = upstream.last()["body"]["messages"][1]["content"][0]
    assert sent == {"type": "thinking", "thinking": "Six times seven", "signature": "c2lnbmVk"}


@MODELS
def test_responses(gateway: str, upstream: Upstream, model: str) -> None:
    given = by_openai(gateway, model)
    answer = litellm.responses(**given, input=play(text="Grüß dich"), instructions="Be brief.")
    assert answer.output_text == "Grüß dich"
    kinds = [event.type for event in litellm.responses(**given, input=play(text="a b c"), stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    # It makes the stream up by itself for models that it does not know, or knows as not OpenAI's.
    assert upstream.last()["body"].get("stream", False) is model.startswith("gpt")


def test_embeddings(gateway: str, upstream: Upstream) -> None:
    answer = litellm.embedding(**by_openai(gateway, "text-embedding-3-small"), input=["alpha", "beta"], dimensions=8)
    assert [len(item["embedding"]) for item in answer.data] == [8, 8]
    assert upstream.last()["body"]["input"] == ["alpha", "beta"]


def test_text_completions(gateway: str, upstream: Upstream) -> None:
    given = {**by_openai(gateway, "gpt-3.5-turbo-instruct"), "model": "text-completion-openai/gpt-3.5-turbo-instruct"}
    answer = litellm.text_completion(**given, prompt=play(text="upon a time"))
    assert answer.choices[0].text == "upon a time"
    assert upstream.last()["path"] == "/v1/completions"


@WAYS
def test_errors(gateway: str, upstream: Upstream, way: Any, model: str) -> None:
    with pytest.raises(litellm.BadRequestError, match="too hot"):
        litellm.completion(**way(gateway, model), messages=asks(play(fail={"status": 400, "message": "too hot"})))
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**way(gateway, "gpt-99"), messages=asks("hi"))
    assert len(upstream.recorded()) == 1


def test_asynchronously(gateway: str, upstream: Upstream) -> None:
    async def all_at_once() -> list[str]:
        calls = [litellm.acompletion(**by_openai(gateway, model), messages=asks(play(text="ok"))) for model in EVERY_MODEL]
        return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    assert asyncio.run(all_at_once()) == ["ok"] * 4
    assert len(upstream.recorded()) == 4
