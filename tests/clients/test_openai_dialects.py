"""The real `openai` client's completions, and its chat with a server that speaks Responses alone, through the whole gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.live_gateway import LiveGateway
from tests.providers import responses_events as wire
from tests.providers.openai_calls import DONE, HI, STOP, THERE, USAGE, WHOLE
from tests.providers.responses_events import function_call, message, reasoning, response
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply, sse_reply

COUNT = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
PRICE = "price: {input: 2, output: 8}"
OUTPUT = [reasoning("I think"), message("Hi there"), function_call("look", '{"at": "here"}')]
TOOLS: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def policy(url: str) -> str:
    """both: speaks chat and completions. chat-only: says 404 to completions. thinker: speaks responses alone."""
    return f"""\
version: 1
providers:
  both: {{kind: openai, base_url: "{url}/both/v1"}}
  chatty: {{kind: openai, base_url: "{url}/chatty/v1"}}
  thinking: {{kind: openai, base_url: "{url}/thinking/v1", dialects: [responses]}}
models:
  both-1: {{provider: both, id: both-id, {PRICE}}}
  chat-only: {{provider: chatty, id: chat-id, {PRICE}}}
  thinker: {{provider: thinking, id: think-id, {PRICE}}}
  thinker-too: {{provider: thinking, id: failing-id, {PRICE}}}
routes:
  - {{name: all, model: chat-only, fallback: [both-1]}}
"""


def completion(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "both-id", "choices": [choice]}


def event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def answer(request: Request) -> Reply:
    body = request.json()
    is_stream = body.get("stream", False)
    match request.path:
        case "/both/v1/completions":
            ends = {**completion(""), "choices": [], "usage": COUNT}
            said = [event(completion("Hi")), event(completion(" there", finish="stop")), event(ends), DONE]
            whole = {**completion(" and so on", finish="stop"), "usage": COUNT, "vendor": [1]}
            return sse_reply(*said) if is_stream else json_reply(whole)
        case "/chatty/v1/chat/completions":
            return sse_reply(HI, THERE, STOP, USAGE, DONE) if is_stream else json_reply(WHOLE)
        case "/thinking/v1/responses" if body["model"] == "think-id":
            return sse_reply(*wire.wire(*wire.stream(*OUTPUT))) if is_stream else json_reply(response(*OUTPUT))
        case "/thinking/v1/responses":
            failed = response(status="failed", error={"code": "server_error", "message": "it broke"})
            events = [wire.stream()[0], {"type": "response.failed", "response": failed}]
            return sse_reply(*wire.wire(*events)) if is_stream else json_reply(failed)
    return json_reply({"error": {"message": f"no {request.path}"}}, status=404)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream.of(answer) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("dialects"), policy(upstream.url)) as live:
        yield live


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="whatever", max_retries=0) as opened:
        yield opened


def last(upstream: Upstream) -> Request:
    return upstream.server.requests[-1]


def test_completion_of_a_server_that_has_them(client: openai.OpenAI, upstream: Upstream) -> None:
    raw = client.completions.with_raw_response.create(model="both-1", prompt="Once", suffix="end", logprobs=2)
    said = raw.parse()
    assert (said.choices[0].text, said.choices[0].finish_reason) == (" and so on", "stop")
    assert said.model_extra == {"vendor": [1]}
    assert last(upstream).json() == {"model": "both-id", "prompt": "Once", "suffix": "end", "logprobs": 2}
    assert float(raw.headers["x-turnout-cost-usd"]) == pytest.approx((5 * 2 + 2 * 8) / 1e6)


def test_stream_of_a_server_that_has_completions(client: openai.OpenAI) -> None:
    stream = client.completions.create(model="both-1", prompt="Once", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert [chunk.choices[0].text for chunk in chunks if chunk.choices] == ["Hi", " there"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_extra == {"cost": pytest.approx((5 * 2 + 2 * 8) / 1e6)}


def test_usage_comes_only_if_it_is_wanted(client: openai.OpenAI) -> None:
    assert all(chunk.choices for chunk in client.completions.create(model="both-1", prompt="Once", stream=True))


def test_completion_of_a_server_that_has_chat_alone(client: openai.OpenAI, upstream: Upstream) -> None:
    said = client.completions.create(model="chat-only", prompt="Once", max_tokens=5)
    assert (said.object, said.choices[0].text, said.choices[0].finish_reason) == ("text_completion", "Hi there", "stop")
    assert last(upstream).path == "/chatty/v1/chat/completions"
    assert last(upstream).json() == {"model": "chat-id", "messages": [{"role": "user", "content": "Once"}], "max_tokens": 5}
    stream = client.completions.create(model="chat-only", prompt="Twice", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Hi thére 😀"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_extra == {"cost": pytest.approx((9 * 2 + 4 * 8) / 1e6)}
    asked = [request.path for request in upstream.server.requests if request.path.startswith("/chatty")]
    assert asked.count("/chatty/v1/completions") == 1, "what is not there is not asked for again"


def test_what_a_chat_cannot_do_goes_to_who_can(client: openai.OpenAI, upstream: Upstream) -> None:
    raw = client.completions.with_raw_response.create(model="auto", prompt=[1, 2, 3])
    assert raw.headers["x-turnout-model"] == "both-1"
    assert last(upstream).json()["prompt"] == [1, 2, 3]


def test_what_nobody_can_do_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="chat-only", prompt="Once", suffix="end")
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "suffix")
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(model="chat-only", prompt=[])
    assert wrong.value.param == "prompt"


def test_chat_with_a_server_that_speaks_responses_alone(client: openai.OpenAI, upstream: Upstream) -> None:
    said = client.chat.completions.create(
        model="thinker", messages=[{"role": "user", "content": "Hi"}], tools=TOOLS, max_tokens=50
    )
    choice = said.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hi there", "tool_calls")
    assert choice.message.model_extra == {"reasoning_content": "I think"}
    assert choice.message.tool_calls is not None
    assert [call.function.arguments for call in choice.message.tool_calls if call.type == "function"] == ['{"at": "here"}']
    assert said.usage is not None and said.usage.completion_tokens_details is not None
    assert said.usage.completion_tokens_details.reasoning_tokens == 2
    body = last(upstream).json()
    assert (last(upstream).path, body["model"], body["max_output_tokens"]) == ("/thinking/v1/responses", "think-id", 50)


def test_streamed_chat_with_a_server_that_speaks_responses_alone(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Hi"}]
    with client.chat.completions.stream(
        model="thinker", messages=asked, tools=TOOLS, stream_options={"include_usage": True}
    ) as stream:
        said = stream.get_final_completion()
    choice = said.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hi there", "tool_calls")
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"at": "here"}'
    assert said.usage is not None and said.usage.model_extra is not None
    assert said.usage.model_extra["cost"] == pytest.approx((9 * 2 + 4 * 8) / 1e6)


@pytest.mark.parametrize("is_stream", [False, True])
def test_response_that_failed_is_no_empty_answer(client: openai.OpenAI, is_stream: bool) -> None:
    asked: Any = [{"role": "user", "content": "Hi"}]
    with pytest.raises(openai.InternalServerError, match="it broke"):
        client.chat.completions.create(model="thinker-too", messages=asked, stream=is_stream)


def test_field_that_responses_have_not_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="thinker", messages=[{"role": "user", "content": "Hi"}], stop=["x"])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "stop")
