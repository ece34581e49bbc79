"""The `openai` client's Responses with nothing changed but the base URL, whichever provider answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import COST_USD, EVERY_MODEL, IDS, PATHS
from tests.clients.python.test_openai_chat import PIXEL, TWO_CITIES, Place

PATH = {**PATHS, "gpt-4.1": "/v1/responses"}  # whoever speaks the caller's dialect is asked in it
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_plain_answer(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.create(model=model, input=play(text="Grüß dich"), instructions="Be brief.", max_output_tokens=77)
    assert (answer.output_text, answer.status, answer.model) == ("Grüß dich", "completed", IDS[model])
    assert answer.usage is not None and (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    asked = upstream.last()
    assert (asked["path"], asked["body"]["model"]) == (PATH[model], IDS[model])
    assert seen.turns(asked)[0] == ("system", "Be brief.")
    bound = {"max_tokens", "max_completion_tokens", "max_output_tokens"} & set(asked["body"])
    assert [asked["body"][name] for name in bound] == [77]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_earlier_turns(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    turns: list = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
    ]
    assert client.responses.create(model=model, input=turns).output_text == "Heard: Who am I?"
    said = [("system", "Be kind."), ("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert seen.turns(upstream.last()) == said


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_stream_in_the_order_that_the_sdk_expects(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    stream = client.responses.create(model=model, input=play(text="One, two, drei — 四 🙂", split=7), stream=True)
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    once = ["output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"]
    assert [kind.removeprefix("response.") for kind in kinds if kind.removeprefix("response.") in once] == once
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "One, two, drei — 四 🙂"
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    final = events[-1].response
    assert final.output_text == "One, two, drei — 四 🙂" and final.usage is not None
    assert final.usage.model_extra is not None and final.usage.model_extra["cost"] == pytest.approx(COST_USD)
    assert upstream.last()["body"]["stream"] is True


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_the_stream_helper_parses_an_answer_by_a_schema(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    with client.responses.stream(model=model, input=play(text='{"city": "Lyon", "people": 522000}'), text_format=Place) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_parsed == Place(city="Lyon", people=522000)
    assert seen.schema(upstream.last())["required"] == ["city", "people"]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_an_answer_by_a_schema_is_parsed(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.parse(model=model, input=play(text='{"city": "Lyon", "people": 522000}'), text_format=Place)
    assert answer.output_parsed == Place(city="Lyon", people=522000)
    assert seen.schema(upstream.last())["additionalProperties"] is False


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_tools_are_called_and_answered(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    conversation: list = [{"role": "user", "content": TWO_CITIES}]
    first = client.responses.create(model=model, input=conversation, tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Łódź"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]
    conversation += first.output
    conversation += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{at} degrees"}
        for at, call in enumerate(calls, start=20)
    ]
    second = client.responses.create(model=model, input=conversation, tools=[WEATHER])
    assert second.output_text == "The tools say: 20 degrees; 21 degrees"
    assert seen.calls(upstream.last()) == [("weather", {"city": "Łódź"}), ("weather", {"city": "Rome"})]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_streamed_arguments_come_together(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    events = list(client.responses.create(model=model, input=TWO_CITIES, tools=[WEATHER], stream=True))
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(pieces[: len(pieces) // 2])) == {"city": "Łódź"} and len(pieces) >= 4
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [json.loads(item.arguments) for item in done] == [{"city": "Łódź"}, {"city": "Rome"}]
    assert seen.tool_names(upstream.last()) == ["weather"]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_conversation_goes_on_by_its_id(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    first = client.responses.create(model=model, input="I am Ada.", instructions="Be brief.")
    second = client.responses.create(model=model, input="Who am I?", previous_response_id=first.id)
    assert second.output_text == "Heard: Who am I?" and second.previous_response_id == first.id
    said = [("user", "I am Ada."), ("assistant", "Heard: I am Ada."), ("user", "Who am I?")]
    assert [turn for turn in seen.turns(upstream.last()) if turn[0] != "system"] == said
    assert client.responses.retrieve(first.id).output_text == "Heard: I am Ada."
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("url", ["https://example.org/cat.png", PIXEL], ids=["url", "base64"])
def test_images(client: openai.OpenAI, upstream: Upstream, model: str, url: str) -> None:
    parts: list = [
        {"type": "input_text", "text": play(text="A cat")},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    assert client.responses.create(model=model, input=[{"role": "user", "content": parts}]).output_text == "A cat"
    assert seen.images(upstream.last()) == [url]


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.1"])
def test_sealed_reasoning_goes_round(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    prompt = play(text="42", thinking="Six times seven", signature="c2VhbGVk", then=[{"text": "Still 42"}])
    wanted: list = ["reasoning.encrypted_content"]
    first = client.responses.create(model=model, input=prompt, include=wanted, store=False, reasoning={"effort": "low"})
    (thought,) = [item for item in first.output if item.type == "reasoning"]
    assert (thought.summary[0].text, thought.encrypted_content) == ("Six times seven", "c2VhbGVk")
    assert upstream.last()["body"]["reasoning"] == {"effort": "low"}
    conversation: list = [{"role": "user", "content": prompt}, *first.output, {"role": "user", "content": "Sure?"}]
    assert client.responses.create(model=model, input=conversation, include=wanted, store=False).output_text == "Still 42"
    (back,) = [item for item in upstream.last()["body"]["input"] if item.get("type") == "reasoning"]
    assert back["encrypted_content"] == "c2VhbGVk"


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_why_an_answer_ended(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.create(model=model, input=play(text="and", finish="length"))
    assert answer.status == "incomplete" and answer.incomplete_details is not None
    assert (answer.incomplete_details.reason, answer.output_text) == ("max_output_tokens", "and")
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.1", "llama-3.3-70b"])
def test_refusals(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.create(model=model, input=play(refusal="I will not"))
    assert [part.refusal for item in answer.output for part in item.content] == ["I will not"]
    assert len(upstream.recorded()) == 1


def test_tools_of_the_provider_reach_who_has_them_and_are_refused_elsewhere(client: openai.OpenAI, upstream: Upstream) -> None:
    tool: list = [{"type": "web_search"}]
    client.responses.create(model="gpt-4.1", input="hi", tools=tool)
    assert upstream.last()["body"]["tools"] == tool
    upstream.forget()
    with pytest.raises(openai.BadRequestError, match=r"tools\[0\]"):
        client.responses.create(model="llama-3.3-70b", input="hi", tools=tool)
    assert upstream.recorded() == []


def test_citations(client: openai.OpenAI, upstream: Upstream) -> None:
    cited = {"url": "https://example.org/paris", "title": "Paris"}
    answer = client.responses.create(model="gpt-4.1", input=play(text="Paris.", citations=[cited]))
    (note,) = [note for item in answer.output for part in item.content for note in part.annotations]
    assert (note.type, note.url, note.title) == ("url_citation", cited["url"], "Paris")
    assert len(upstream.recorded()) == 1


def test_a_stream_that_breaks_raises(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.APIError, match="it broke"):
        list(client.responses.create(model="llama-3.3-70b", input=play(text="a b c d", broken="it broke"), stream=True))
    assert len(upstream.recorded()) == 1


def test_a_stream_that_is_left_is_left_upstream(client: openai.OpenAI, upstream: Upstream) -> None:
    stream = client.responses.create(model="gpt-4.1", input=play(text="a b c d", hang=True), stream=True)
    assert next(iter(stream)).type == "response.created"
    stream.close()
    assert upstream.wait_until_left()["path"] == "/v1/responses"


def test_the_async_client(gateway: str, upstream: Upstream) -> None:
    async def all_at_once() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=0) as client:
            answers = (client.responses.create(model=EVERY_MODEL[at % 4], input=play(text=f"answer {at}")) for at in range(8))
            return [answer.output_text for answer in await asyncio.gather(*answers)]

    assert asyncio.run(all_at_once()) == [f"answer {at}" for at in range(8)]
    assert len(upstream.recorded()) == 8


def test_errors_name_the_field(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(model="gpt-4.1", input=[{"role": "user", "content": 7}])
    assert wrong.value.param is not None and wrong.value.param.startswith("input")
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="no-such-model", input="hi")
    assert missing.value.code == "model_not_found"
    assert upstream.recorded() == []
