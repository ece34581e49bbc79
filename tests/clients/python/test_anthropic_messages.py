"""The `anthropic` client's messages with nothing changed but the base URL, whichever provider answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import COST_USD, EVERY_MODEL, IDS, PATHS

CLAUDE = "claude-sonnet-4-6"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.4 nothing to see").decode()


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture
def client(gateway: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway, api_key="sk-callers-own", max_retries=0) as opened:
        yield opened


def asks(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_plain_answer(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    answer = client.messages.create(model=model, max_tokens=77, messages=asks(play(text="Grüß dich")))
    assert [block.text for block in answer.content if block.type == "text"] == ["Grüß dich"]
    assert (answer.stop_reason, answer.model) == ("end_turn", IDS[model])
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    asked = upstream.last()
    assert (asked["path"], asked["body"]["model"]) == (PATHS[model], IDS[model])
    bound = {"max_tokens", "max_completion_tokens", "max_output_tokens"} & set(asked["body"])
    assert [asked["body"][name] for name in bound] == [77]
    credentials = asked["headers"].get("authorization", "") + asked["headers"].get("x-api-key", "")
    assert "upstream" in credentials and "sk-callers-own" not in json.dumps(asked)


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_instructions_and_earlier_turns(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    turns: list[Any] = [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello Ada."}]},
        {"role": "user", "content": [{"type": "text", "text": "Who am I?"}]},
    ]
    answer = client.messages.create(model=model, max_tokens=9, system="Be brief.", messages=turns)
    assert [block.text for block in answer.content if block.type == "text"] == ["Heard: Who am I?"]
    said = [("system", "Be brief."), ("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert seen.turns(upstream.last()) == said


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_the_stream_helper(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=9, messages=asks(play(text="One, two, drei — 四 🙂", split=7))) as stream:
        assert "".join(stream.text_stream) == "One, two, drei — 四 🙂"
        final = stream.get_final_message()
    assert [block.text for block in final.content if block.type == "text"] == ["One, two, drei — 四 🙂"]
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7)
    assert upstream.last()["body"]["stream"] is True


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_raw_stream_in_order_and_with_its_cost(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    events = list(client.messages.create(model=model, max_tokens=9, messages=asks(play(text="a b c")), stream=True))
    kinds = [event.type for event in events if event.type not in ("ping", "content_block_delta")]
    ends = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    assert kinds == ends
    used = events[-2].usage
    assert used.output_tokens == 7
    assert used.model_extra is not None and used.model_extra["cost"] == pytest.approx(COST_USD)
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_usage_keeps_what_was_cached(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    prompt = play(text="ok", usage={"input": 100, "output": 30, "cached": 60})
    used = client.messages.create(model=model, max_tokens=99, messages=asks(prompt)).usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.output_tokens) == (40, 60, 30)
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize("model", EVERY_MODEL)
@pytest.mark.parametrize("is_url", [True, False], ids=["url", "base64"])
def test_images(client: anthropic.Anthropic, upstream: Upstream, model: str, is_url: bool) -> None:
    url = {"type": "url", "url": "https://example.org/cat.png"}
    source = url if is_url else {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content: list[Any] = [{"type": "image", "source": source}, {"type": "text", "text": play(text="A cat")}]
    answer = client.messages.create(model=model, max_tokens=9, messages=[{"role": "user", "content": content}])
    assert [block.text for block in answer.content if block.type == "text"] == ["A cat"]
    assert seen.images(upstream.last()) == [url["url"] if is_url else f"data:image/png;base64,{PIXEL}"]


@pytest.mark.parametrize("model", [CLAUDE, "gpt-4.1", "gpt-5.1"])
def test_documents(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    content: list[Any] = [
        {"type": "document", "source": source, "title": "Report"},
        {"type": "text", "text": play(text="Nothing")},
    ]
    answer = client.messages.create(model=model, max_tokens=9, messages=[{"role": "user", "content": content}])
    assert [block.text for block in answer.content if block.type == "text"] == ["Nothing"]
    assert PDF in json.dumps(upstream.last()["body"])


def test_documents_with_citations_are_answered_with_them(client: anthropic.Anthropic, upstream: Upstream) -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Paris is the capital."}
    document = {"type": "document", "source": source, "citations": {"enabled": True}, "context": "trusted"}
    prompt = play(text="Paris", citations=[{"url": "https://example.org/paris", "title": "Paris"}])
    content: list[Any] = [document, {"type": "text", "text": prompt}]
    answer = client.messages.create(model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": content}])
    (block,) = answer.content
    assert block.type == "text" and block.citations is not None
    assert [citation.cited_text for citation in block.citations] == ["Paris"]
    assert upstream.last()["body"]["messages"][0]["content"][0] == document


def test_thinking_goes_round_with_its_signature(client: anthropic.Anthropic, upstream: Upstream) -> None:
    prompt = play(text="42", thinking="Six times seven", signature="c2lnbmVk")
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    first = client.messages.create(model=CLAUDE, max_tokens=2048, thinking=thinking, messages=asks(prompt))
    thought = first.content[0]
    assert thought.type == "thinking" and (thought.thinking, thought.signature) == ("Six times seven", "c2lnbmVk")
    assert upstream.last()["body"]["thinking"] == thinking
    turns: list[Any] = [*asks(prompt), {"role": "assistant", "content": first.content}, *asks("Sure?")]
    client.messages.create(model=CLAUDE, max_tokens=2048, thinking=thinking, messages=turns)
    sent = upstream.last()["body"]["messages"][1]["content"]
    assert sent[0] == {"type": "thinking", "thinking": "Six times seven", "signature": "c2lnbmVk"}


def test_thinking_is_streamed_with_its_signature(client: anthropic.Anthropic, upstream: Upstream) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    prompt = play(text="42", thinking="Six times seven", signature="c2lnbmVk")
    with client.messages.stream(model=CLAUDE, max_tokens=2048, thinking=thinking, messages=asks(prompt)) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds.index("thinking") < kinds.index("signature") < kinds.index("text")
    thought = final.content[0]
    assert thought.type == "thinking" and (thought.thinking, thought.signature) == ("Six times seven", "c2lnbmVk")
    assert len(upstream.recorded()) == 1


def test_marks_for_the_prompt_cache_reach_anthropic(client: anthropic.Anthropic, upstream: Upstream) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    system: list[Any] = [{"type": "text", "text": "A long manual.", "cache_control": mark}]
    content: list[Any] = [
        {"type": "text", "text": play(text="ok", usage={"input": 50, "cache_write": 30}), "cache_control": mark}
    ]
    tool: Any = {"name": "look", "input_schema": {"type": "object"}, "cache_control": mark}
    messages: list[Any] = [{"role": "user", "content": content}]
    answer = client.messages.create(model=CLAUDE, max_tokens=9, system=system, tools=[tool], messages=messages)
    assert (answer.usage.input_tokens, answer.usage.cache_creation_input_tokens) == (20, 30)
    body = upstream.last()["body"]
    assert [body["system"][0]["cache_control"], body["tools"][0]["cache_control"]] == [mark, mark]
    assert body["messages"][0]["content"][0]["cache_control"] == mark


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_why_an_answer_ended(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    answer = client.messages.create(model=model, max_tokens=9, messages=asks(play(text="and", finish="length")))
    assert answer.stop_reason == "max_tokens"
    assert len(upstream.recorded()) == 1


def test_a_stop_sequence_is_named(client: anthropic.Anthropic, upstream: Upstream) -> None:
    answer = client.messages.create(
        model=CLAUDE, max_tokens=9, stop_sequences=["END"], messages=asks(play(text="a", finish="stop_sequence"))
    )
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")
    assert upstream.last()["body"]["stop_sequences"] == ["END"]


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_an_answer_by_a_schema_is_parsed(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    prompt = play(text='{"city": "Lyon", "people": 522000}')
    answer = client.messages.parse(model=model, max_tokens=99, messages=asks(prompt), output_format=Place)
    assert answer.parsed_output == Place(city="Lyon", people=522000)
    assert seen.schema(upstream.last())["required"] == ["city", "people"]


def test_what_only_anthropic_knows_reaches_it_and_is_refused_elsewhere(client: anthropic.Anthropic, upstream: Upstream) -> None:
    tools: list[Any] = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    extra = {"service_tier": "auto", "x_unheard_of": {"a": 1}}
    client.messages.create(model=CLAUDE, max_tokens=9, messages=asks("hi"), tools=tools, extra_body=extra)
    body = upstream.last()["body"]
    assert (body["tools"], body["x_unheard_of"]) == (tools, {"a": 1})
    upstream.forget()
    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\]|tools\.0"):
        client.messages.create(model="gpt-4.1", max_tokens=9, messages=asks("hi"), tools=tools)
    assert upstream.recorded() == []


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_tokens_are_counted(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    counted = client.messages.count_tokens(model=model, messages=asks("How many tokens may this be?"), system="Count.")
    if model == CLAUDE:
        assert counted.input_tokens == 101
        assert upstream.last()["path"] == "/v1/messages/count_tokens"
    else:
        assert 5 <= counted.input_tokens <= 30
        assert upstream.recorded() == []


def test_headers_of_anthropics_own(client: anthropic.Anthropic, upstream: Upstream) -> None:
    raw = client.messages.with_raw_response.create(
        model=CLAUDE, max_tokens=9, messages=asks("hi"), extra_headers={"anthropic-beta": "context-1m-2025-08-07"}
    )
    assert raw.headers["x-turnout-provider"] == "anthropic"
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    headers = upstream.last()["headers"]
    assert headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert headers["x-api-key"] == "sk-ant-upstream"
    assert headers["anthropic-version"] == client.default_headers["anthropic-version"]


def test_a_stream_that_is_left_is_left_upstream(client: anthropic.Anthropic, upstream: Upstream) -> None:
    with client.messages.stream(model=CLAUDE, max_tokens=9, messages=asks(play(text="a b c d e f", hang=True))) as stream:
        assert next(iter(stream)).type == "message_start"
    assert upstream.wait_until_left()["path"] == "/v1/messages"


def test_a_timeout_of_the_client_ends_the_call_upstream(client: anthropic.Anthropic, upstream: Upstream) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(model=CLAUDE, max_tokens=9, messages=asks(play(hang=True)), timeout=0.5)
    assert upstream.wait_until_left()["path"] == "/v1/messages"


def test_models_are_listed(client: anthropic.Anthropic, upstream: Upstream) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", *EVERY_MODEL} <= set(listed)
    assert listed[CLAUDE].type == "model" and listed[CLAUDE].display_name
    assert client.models.retrieve(CLAUDE).id == CLAUDE
    assert upstream.recorded() == []


def test_the_async_client(gateway: str, upstream: Upstream) -> None:
    async def one(client: anthropic.AsyncAnthropic, at: int) -> str:
        async with client.messages.stream(
            model=EVERY_MODEL[at % 4], max_tokens=9, messages=asks(play(text=f"answer {at}"))
        ) as stream:
            return "".join([text async for text in stream.text_stream])

    async def all_at_once() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=gateway, api_key="x", max_retries=0) as client:
            return await asyncio.gather(*(one(client, at) for at in range(8)))

    assert asyncio.run(all_at_once()) == [f"answer {at}" for at in range(8)]
    assert len(upstream.recorded()) == 8
