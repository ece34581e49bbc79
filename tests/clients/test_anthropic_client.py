"""The real `anthropic` client with nothing changed but its base URL, whatever dialect the provider behind speaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from tests.clients.processes import Upstream, play, running_upstream
from tests.live_gateway import LiveGateway

EVERY = ["claude-1", "chat-1", "reasoning-1"]
PATHS = {"claude-1": "/v1/messages", "chat-1": "/v1/chat/completions", "reasoning-1": "/v1/responses"}
LOOK: Any = {
    "name": "look",
    "description": "The weather at a place.",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
}
WEB_SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}
PNG = "iVBORw0KGgo="


def policy(url: str) -> str:
    price = "price: {input: 2, output: 8}"
    return f"""
version: 1
providers:
  anthropic: {{kind: anthropic, base_url: "{url}", api_key: k, headers: {{anthropic-beta: ours-1}}}}
  chat: {{kind: openai, base_url: "{url}/v1", api_key: k, dialects: [chat]}}
  responses: {{kind: openai, base_url: "{url}/v1", api_key: k, dialects: [responses]}}
models:
  claude-1: {{provider: anthropic, id: claude-id, {price}}}
  chat-1: {{provider: chat, id: chat-id, {price}}}
  reasoning-1: {{provider: responses, id: reasoning-id, {price}}}
defaults:
  timeouts: {{connect: 5s, first_token: 20s, idle: 20s, total: 40s}}
  retry: {{attempts: 1}}
routes:
  - {{name: faq, when: {{model: faq}}, answer: {{static: "Yes."}}}}
  - {{name: all, model: chat-1, fallback: [claude-1]}}
"""


@pytest.fixture(scope="module")
def started() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(started: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("anthropic"), policy(started.url)) as live:
        yield live


@pytest.fixture
def upstream(started: Upstream) -> Upstream:
    started.forget()
    return started


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key="whatever", max_retries=0) as opened:
        yield opened


def asked(said: Any, model: str = "auto", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": said}], **more}


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("model", EVERY)
def test_a_whole_answer(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    message = client.messages.create(**asked(play(text="Paris", usage={"input": 20, "output": 3, "cached": 8}), model))
    assert (text_of(message), message.stop_reason, message.role) == ("Paris", "end_turn", "assistant")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (12, 8, 3)
    assert message.id.startswith("msg_")
    assert message._request_id is not None
    assert upstream.last()["path"] == PATHS[model]


@pytest.mark.parametrize("model", EVERY)
def test_a_streamed_answer_tells_its_cost(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    with client.messages.stream(**asked(play(text="Zürich, 東京 und 🚆", split=3), model)) as stream:
        events = list(stream)
        message = stream.get_final_message()
    assert text_of(message) == "Zürich, 東京 und 🚆"
    assert events[0].type == "message_start"
    [last] = [event for event in events if event.type == "message_delta"]
    assert last.usage.model_extra is not None
    assert last.usage.model_extra["cost"] == pytest.approx((11 * 2 + 7 * 8) / 1e6)
    assert events[-1].type == "message_stop"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_loop_over_tools_with_thinking(client: anthropic.Anthropic, upstream: Upstream, model: str, is_stream: bool) -> None:
    calls = [{"name": "look", "arguments": {"at": place}} for place in ("Rome", "Oslo")]
    cue = play(thinking="Two places.", calls=calls, then=[{"text": "Warm and cold."}])
    more: dict[str, Any] = {"tools": [LOOK], "thinking": {"type": "enabled", "budget_tokens": 1024}}

    def ask(messages: list[Any]) -> anthropic.types.Message:
        given = {**asked("", model, **more), "messages": messages}
        if not is_stream:
            return client.messages.create(**given)
        with client.messages.stream(**given) as stream:
            return stream.get_final_message()

    turns: list[Any] = [{"role": "user", "content": cue}]
    first = ask(turns)
    assert first.stop_reason == "tool_use"
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    uses = [block for block in first.content if block.type == "tool_use"]
    assert [use.input for use in uses] == [{"at": "Rome"}, {"at": "Oslo"}]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "18 °C"} for use in uses]
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    assert text_of(ask(turns)) == "Warm and cold."
    again = json.dumps(upstream.last()["body"], ensure_ascii=False)
    assert again.count("18 °C") == 2
    if model == "claude-1":
        assert upstream.last()["body"]["messages"][1]["content"][0]["signature"]


def test_thinking_of_one_provider_is_no_hindrance_to_another(client: anthropic.Anthropic, upstream: Upstream) -> None:
    first = client.messages.create(**asked(play(thinking="Hm.", text="Rome"), "reasoning-1"))
    assert first.content[0].type == "thinking"
    turns: list[Any] = [{"role": "assistant", "content": first.content}, {"role": "user", "content": play(text="Oslo")}]
    for model in EVERY:
        assert text_of(client.messages.create(model=model, max_tokens=9, messages=turns)) == "Oslo"
    claudes = [request["body"] for request in upstream.recorded() if request["path"] == "/v1/messages"]
    assert [(block["type"], block["text"]) for block in claudes[0]["messages"][0]["content"]] == [("text", "Rome")]


@pytest.mark.parametrize("model", EVERY)
def test_pictures_and_a_system_prompt_arrive(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    said = [image, {"type": "text", "text": play(text="A cat")}]
    system: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    assert text_of(client.messages.create(**asked(said, model, system=system))) == "A cat"
    body = json.dumps(upstream.last()["body"])
    assert PNG in body
    assert "Be brief." in body
    assert ("cache_control" in body) == (model == "claude-1")


class Place(BaseModel):
    name: str


@pytest.mark.parametrize("model", EVERY)
def test_structured_output(client: anthropic.Anthropic, upstream: Upstream, model: str) -> None:
    message = client.messages.parse(**asked(play(text='{"name": "Rome"}'), model), output_format=Place)
    assert message.parsed_output == Place(name="Rome")
    assert '"name"' in json.dumps(upstream.last()["body"])


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize(
    ("cue", "stop_reason"),
    [({"finish": "length"}, "max_tokens"), ({"refusal": "I will not."}, "refusal"), ({}, "end_turn")],
)
def test_why_it_ended(client: anthropic.Anthropic, model: str, cue: dict[str, Any], stop_reason: str) -> None:
    said = asked(play(**({} if "refusal" in cue else {"text": "a b"}), **cue), model)
    whole = client.messages.create(**said)
    with client.messages.stream(**said) as stream:
        streamed = stream.get_final_message()
    assert whole.stop_reason == streamed.stop_reason == stop_reason


@pytest.mark.parametrize(
    ("status", "raised"),
    [(400, anthropic.BadRequestError), (429, anthropic.RateLimitError), (500, anthropic.InternalServerError)],
)
@pytest.mark.parametrize("model", EVERY)
def test_a_providers_error(client: anthropic.Anthropic, model: str, status: int, raised: type[anthropic.APIStatusError]) -> None:
    with pytest.raises(raised, match="told to fail") as caught:
        client.messages.create(**asked(play(fail={"status": status, "message": "told to fail"}), model))
    assert caught.value.request_id is not None


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("fault", [{"cut": True}, {"broken": "Overloaded"}])
def test_a_stream_that_breaks_off_raises(client: anthropic.Anthropic, model: str, fault: dict[str, Any]) -> None:
    with pytest.raises(anthropic.APIStatusError):
        with client.messages.stream(**asked(play(text="one two three", **fault), model)) as stream:
            stream.get_final_message()


def test_what_only_anthropic_has_goes_to_anthropic(client: anthropic.Anthropic, upstream: Upstream) -> None:
    message = client.messages.create(**asked(play(text="found"), tools=[WEB_SEARCH]))
    assert text_of(message) == "found"
    [request] = upstream.recorded()
    assert (request["path"], request["body"]["tools"]) == ("/v1/messages", [WEB_SEARCH])
    with pytest.raises(anthropic.BadRequestError, match=r"tools\.0\.type"):
        client.messages.create(**asked(play(text="found"), "chat-1", tools=[WEB_SEARCH]))


def test_betas_and_unknown_fields_reach_anthropic(client: anthropic.Anthropic, upstream: Upstream) -> None:
    client.beta.messages.create(**asked("Hi", "claude-1"), betas=["theirs-1"], extra_body={"tomorrow": {"x": 1}})
    request = upstream.last()
    assert request["headers"]["anthropic-beta"] == "ours-1,theirs-1"
    assert request["body"]["tomorrow"] == {"x": 1}
    assert request["body"]["model"] == "claude-id"


def test_a_wrong_body_raises_and_names_the_field(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0\.source: field required"):
        client.messages.create(**asked([{"type": "image"}]))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**asked("Hi", "no-such-model"))


def test_an_answer_of_the_gateways_own(client: anthropic.Anthropic) -> None:
    assert text_of(client.messages.create(**asked("Are you there?", "faq"))) == "Yes."
    with client.messages.stream(**asked("Are you there?", "faq")) as stream:
        assert stream.get_final_text() == "Yes."


def test_the_ledger_knows_the_dialect(client: anthropic.Anthropic, gateway: LiveGateway) -> None:
    for model in EVERY:
        raw = client.messages.with_raw_response.create(**asked("Hi", model))
        entry = gateway.http.get(f"/v1/requests/{raw.headers['x-request-id']}").json()
        assert (entry["dialect"], entry["usage"]["input"], entry["usage"]["output"]) == ("anthropic_messages", 11, 7)
        assert entry["cost_usd"] == float(raw.headers["x-turnout-cost-usd"])


# --- counting


def counted(client: anthropic.Anthropic, said: Any, model: str = "auto", **more: Any) -> int:
    messages: Any = [{"role": "user", "content": said}]
    return client.messages.count_tokens(model=model, messages=messages, **more).input_tokens


def test_anthropic_is_asked_to_count(client: anthropic.Anthropic, upstream: Upstream, gateway: LiveGateway) -> None:
    assert counted(client, "Hi", "claude-1") > 0
    [request] = upstream.recorded()
    assert (request["path"], request["body"]["model"]) == ("/v1/messages/count_tokens", "claude-id")


def test_other_models_are_counted_here(client: anthropic.Anthropic, upstream: Upstream) -> None:
    short, long = counted(client, "Hi"), counted(client, "word " * 400)
    assert 0 < short < 20 < 350 < long < 600
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
    assert counted(client, [image]) > short + 500
    assert counted(client, [pdf]) > short + 1_500
    assert counted(client, "Hi", tools=[LOOK]) > short + 10
    assert counted(client, "Are you there?", "faq") > 0
    assert upstream.recorded() == []


def test_counting_is_refused_as_answering_is(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        counted(client, "Hi", "no-such-model")
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0\.text"):
        counted(client, [{"type": "text"}])
