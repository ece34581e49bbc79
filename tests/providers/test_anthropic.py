"""The Anthropic adapter: what is asked on the wire, what comes back in the OpenAI dialect, and what goes wrong."""

import asyncio
import base64
import itertools
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
import pytest
from anthropic.types import (
    Message,
    MessageCreateParams,
    RawMessageStreamEvent,
)
from anthropic.types.message_create_params import MessageCreateParamsBase
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from gateway.chat import data_of, read_head
from gateway.chat_forms import assemble
from gateway.errors import ClientError, UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.anthropic_request import HINTS, MAX_TOKENS_DEFAULT, anthropic_body
from gateway.providers.anthropic_stream import StreamTranslation
from gateway.providers.base import Call, Piece
from gateway.providers.http import HttpClient
from gateway.request import ChatRequest
from gateway.sse import EventParser, event_data
from gateway.usage import Usage
from gateway.wire_usage import TOKENS_MAX
from tests.scripted_server import CUT, HANG, Reply, Request, ScriptedServer, Step, json_reply, split, sse_reply

KEY = "sk-ant-test-0123456789"
MODEL = Model(name="claude", provider="anthropic", id="claude-sonnet-4-5", context_tokens=200_000, price=None)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
# The SDK's newest types lack these; the API has them under the version that is asked for.
SAMPLING = {"temperature", "top_p", "top_k"}


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(8):
            return await coroutine

    return asyncio.run(bounded())


def call_of(**fields: Any) -> Call:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    return Call(ChatRequest(request_id="r1", body=body, head=read_head(body)), MODEL, connect_s=2.0)


async def ask(script: Sequence[Reply], call: Call, **options: Any) -> tuple[list[Piece], list[Request]]:
    """All pieces of one answer, and what the server was asked."""
    http = HttpClient("turnout-test")
    try:
        async with ScriptedServer(script) as server:
            provider = AnthropicProvider("claude", http, server.url, api_key=KEY, **options)
            exchange = await provider.open(call)
            pieces: list[Piece] = []
            try:
                while not (pieces and pieces[-1].is_end):
                    pieces += await exchange.read()
            finally:
                await exchange.aclose()
            return pieces, server.requests
    finally:
        await http.aclose()


def translated(**fields: Any) -> dict[str, Any]:
    """The request as Anthropic gets it, checked against the SDK's types, which must know every field."""
    request = call_of(**fields).request
    body = json.loads(anthropic_body(request.body, "claude-sonnet-4-5", is_stream=request.is_stream))
    PARAMS.validate_python(body)
    assert set(body) <= {*MessageCreateParamsBase.__annotations__, *SAMPLING, "stream"}
    return dict(body)


def refused(**fields: Any) -> UpstreamError:
    request = call_of(**fields).request
    with pytest.raises(UpstreamError) as caught:
        anthropic_body(request.body, "claude-sonnet-4-5", is_stream=False)
    return caught.value


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(**usage: int) -> bytes:
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 1, **usage},
    }
    return event("message_start", message=message)


def block(index: int, content_block: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=content_block),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text_block(index: int, *texts: str) -> list[bytes]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": t} for t in texts))


def tool_block(index: int, id_: str, name: str, *parts: str) -> list[bytes]:
    content_block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
    return block(index, content_block, *({"type": "input_json_delta", "partial_json": p} for p in parts))


def finish(stop_reason: str = "end_turn", **usage: Any) -> list[bytes]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": 15, **usage}), event("message_stop")]


PING = event("ping")
HELLO = [start(), PING, *text_block(0, "Hello", " world", "!"), *finish()]
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Let me "},
    {"type": "thinking_delta", "thinking": "see."},
    {"type": "signature_delta", "signature": "c2lnbmVk"},
)
TOOLS = [
    start(cache_read_input_tokens=100, cache_creation_input_tokens=10),
    *THINKING,
    *block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
    *text_block(2, "Checking two places: Zürich, 東京."),
    *tool_block(3, "toolu_a", "get_weather", "", '{"loca', 'tion": "Zür', 'ich"}'),
    *tool_block(4, "toolu_b", "get_weather", '{"location": "東京"}'),
    *tool_block(5, "toolu_c", "get_time"),
    *finish("tool_use", input_tokens=25, output_tokens_details={"thinking_tokens": 6}),
]


def chunks_of(pieces: Sequence[Piece]) -> list[ChatCompletionChunk]:
    """The pieces' events, each checked against the openai package's type."""
    events = EventParser().feed(b"".join(piece.data for piece in pieces))
    return [ChatCompletionChunk.model_validate_json(data, strict=True) for e in events if (data := event_data(e))]


def whole_of(pieces: Sequence[Piece]) -> ChatCompletion:
    return ChatCompletion.model_validate_json(pieces[0].data, strict=True)


# --- what is asked


def test_headers_carry_the_key_and_the_version() -> None:
    _, [request] = run(ask([sse_reply(*HELLO)], call_of(stream=True), headers={"Anthropic-Beta": "x-1"}))
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["anthropic-beta"] == "x-1"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert request.json()["model"] == "claude-sonnet-4-5"
    assert request.json()["stream"] is True


def test_a_configured_version_wins() -> None:
    _, [request] = run(ask([sse_reply(*HELLO)], call_of(stream=True), headers={"Anthropic-Version": "2026-10-21"}))
    assert request.headers["anthropic-version"] == "2026-10-21"


def test_the_recorded_events_are_what_the_sdk_takes() -> None:
    events: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for recorded in (HELLO, TOOLS):
        for e in recorded:
            if e is not PING:
                events.validate_json(event_data(e) or b"")


def test_system_and_developer_prompts_are_joined() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": [{"type": "text", "text": "Say tu."}]},
    ]
    body = translated(messages=messages)
    assert body["system"] == "Be brief.\n\nSay tu."
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


def test_cache_marks_survive() -> None:
    marked = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    body = translated(messages=[{"role": "system", "content": [marked]}, {"role": "user", "content": [marked]}])
    assert body["system"] == [marked]
    assert body["messages"][0]["content"] == [marked]


def test_a_tool_loop_becomes_alternating_turns() -> None:
    def tool_call(id_: str, arguments: str) -> dict[str, Any]:
        return {"id": id_, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}

    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    calls = [tool_call("call_a", '{"location": "Rome"}'), tool_call("functions.f:1", "")]
    assistant = {"role": "assistant", "content": None, "tool_calls": calls, "thinking_blocks": [thought], "name": "bot"}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "Weather?"},
        {**assistant, "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": "call_a", "content": "18 °C"},
        {"role": "tool", "tool_call_id": "functions.f:1", "content": [{"type": "text", "text": ""}]},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": ""},
    ]
    first, second, third = translated(messages=messages)["messages"]
    assert first == {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Weather?"}]}
    assert second["role"] == "assistant"
    assert second["content"][0] == thought
    assert second["content"][1] == {"type": "tool_use", "id": "call_a", "name": "get_weather", "input": {"location": "Rome"}}
    assert second["content"][2]["input"] == {}
    foreign = second["content"][2]["id"]
    assert foreign.startswith("functions_f_1_")
    assert third["role"] == "user"
    assert third["content"] == [
        {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "18 °C"}]},
        {"type": "tool_result", "tool_use_id": foreign},
        {"type": "text", "text": "And?"},
    ]


def test_images_and_pdfs() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
        {"type": "text", "text": "What is this?"},
    ]
    [message] = translated(messages=[{"role": "user", "content": content}])["messages"]
    assert message["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
        {"type": "text", "text": "What is this?"},
    ]


def test_documents_by_address_and_of_text() -> None:
    text = base64.b64encode("Füße".encode()).decode()
    content = [
        {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}, "cache_control": {"type": "ephemeral"}},
        {"type": "file", "file": {"file_data": f"data:text/markdown;base64,{text}", "filename": "a.md"}},
    ]
    [message] = translated(messages=[{"role": "user", "content": content}])["messages"]
    assert message["content"] == [
        {
            "type": "document",
            "source": {"type": "url", "url": "https://example.com/a.pdf"},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Füße"}, "title": "a.md"},
    ]


def test_what_a_tool_gave_keeps_its_marks_and_pictures() -> None:
    mark = {"type": "ephemeral"}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "cache_control": mark}
    result = {"role": "tool", "tool_call_id": "a", "content": [image], "is_error": True, "cache_control": mark}
    asked, given = translated(messages=[{"role": "assistant", "tool_calls": [call]}, result])["messages"]
    assert asked["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": {}, "cache_control": mark}]
    [block] = given["content"]
    assert (block["is_error"], block["cache_control"]) == (True, mark)
    assert block["content"] == [{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]


def test_only_signed_thinking_goes_back() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    blocks = [
        {**signed, "index": 0},
        {"type": "thinking", "thinking": "So.", "signature": ""},
        {"type": "thinking", "thinking": "x"},
    ]
    message = {"role": "assistant", "content": "Yes.", "thinking_blocks": blocks, "reasoning_content": "Hm.So.x"}
    [turn] = translated(messages=[message])["messages"]
    assert turn["content"] == [signed, {"type": "text", "text": "Yes."}]


def test_a_large_body_is_translated_in_a_thread() -> None:
    url = "data:image/png;base64," + "A" * 400_000
    content = [{"type": "image_url", "image_url": {"url": url}}]
    _, [request] = run(ask([sse_reply(*HELLO)], call_of(stream=True, messages=[{"role": "user", "content": content}])))
    assert len(request.json()["messages"][0]["content"][0]["source"]["data"]) == 400_000


SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}


def test_tools() -> None:
    body = translated(tools=[TOOL, {"type": "function", "function": {"name": "g"}}])
    assert body["tools"] == [
        {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"tool_choice": "required", "parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(fields: dict[str, Any], choice: dict[str, Any]) -> None:
    assert translated(tools=[TOOL], **fields)["tool_choice"] == choice


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"max_tokens": MAX_TOKENS_DEFAULT}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 0, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"safety_identifier": "u-2"}, {"metadata": {"user_id": "u-2"}}),
        # An address, which Anthropic refuses, as its SHA-256.
        (
            {"user": "me@example.com"},
            {"metadata": {"user_id": "8c2a47d3bdb8d3096a6479f53eac3b724291db5f1c31611100f675be5537329d"}},
        ),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ({"top_k": 5}, {"top_k": 5}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
    ],
)
def test_fields_that_are_carried(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = translated(**fields)
    assert {name: body[name] for name in expected} == expected


def test_values_that_ask_for_nothing_are_left_out() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "temperature": 1,
        "top_p": 1.0,
        "logprobs": False,
        "logit_bias": {},
        "frequency_penalty": 0.0,
        "presence_penalty": 0,
        "modalities": ["text"],
        "response_format": {"type": "text"},
        "audio": None,
        "stop": None,
        "tools": [],
    }
    assert set(translated(**neutral)) == {"model", "max_tokens", "messages", "stream"}
    hints: dict[str, Any] = {hint: {"a": "b"} for hint in HINTS - {"stream_options"}}
    assert set(translated(**hints)) == {"model", "max_tokens", "messages", "stream"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"audio": {"voice": "ash"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 7, "max_completion_tokens": -1}, "max_completion_tokens"),
        ({"temperature": 1.2}, "temperature"),
        ({"stop": ["\n"]}, "stop"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}]}
                ]
            },
            "messages[0].content[0].image_url",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]}]}, "messages[0].content[0]"),
        *(
            (
                {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": f"data:{data}"}}]}]},
                "messages[0].content[0].file",
            )
            for data in ("text/plain;base64,/w==", "text/plain;base64,A", "audio/wav;base64,AA==")
        ),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert (error.fault, error.param, error.is_callers_fault, error.is_retryable) == ("unsupported", param, False, False)
    assert f"`{param}`" in error.message


def test_a_body_that_is_no_chat_request_is_the_callers_fault() -> None:
    error = refused(messages=[{"role": "assistant", "tool_calls": [{"id": 5}]}])
    assert (error.is_callers_fault, error.status) == (True, 400)
    assert "tool_calls" in error.message


@pytest.mark.parametrize("padding", [0, 100_000])
def test_a_number_that_cannot_be_read_is_the_callers_error(padding: int) -> None:
    """In a field that the head passes over; in a small body and in one that is read in a thread."""
    good = call_of(x=0, y="y" * padding).request
    body = good.body.replace(b'"x": 0', b'"x": 1e999')
    call = Call(ChatRequest(request_id="r1", body=body, head=read_head(body)), MODEL, connect_s=2.0)
    with pytest.raises(ClientError) as caught:
        run(ask([json_reply(WHOLE)], call))
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


# Values of all shapes, some of them right in some place.
VALUES: list[Any] = [None, True, 0, 3, -1.5, 0.5, "", " ", "none", "required", "data:image/png;base64,AA", [], [None], ["a"], {}]
VALUES += [{"type": "ephemeral"}, {"url": "https://x"}, {"url": ""}, {"type": "json_schema", "json_schema": {}}, [{"type": "x"}]]
VALUES += [[{"id": "a.b", "function": {"name": "f", "arguments": "[]"}}], [{"id": "a", "function": {"name": "f"}}]]
JSON = st.sampled_from(VALUES)
FIELDS = ["tools", "tool_choice", "stop", "response_format", "user", "thinking", "temperature", "max_tokens", "n", "x"]
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "refusal", "x"])},
    optional={"text": JSON, "image_url": JSON, "file": JSON, "cache_control": JSON},
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
    optional={
        "content": st.text(max_size=5) | st.lists(PARTS, max_size=3),
        "tool_calls": JSON,
        "tool_call_id": JSON,
        "thinking_blocks": JSON,
    },
)


@settings(deadline=None)
@given(fields=st.dictionaries(st.sampled_from(FIELDS), JSON), messages=st.lists(MESSAGES, max_size=4))
def test_any_request_is_translated_or_refused(fields: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    try:
        body = json.loads(anthropic_body(json.dumps({"messages": messages, **fields}).encode(), "m", is_stream=False))
    except UpstreamError as exc:
        assert exc.fault == "unsupported"
        return
    roles = [message["role"] for message in body["messages"]]
    assert all(a != b for a, b in itertools.pairwise(roles))
    assert all(message["content"] for message in body["messages"])


# --- what comes back


def test_a_stream_in_the_openai_dialect() -> None:
    pieces, _ = run(ask([sse_reply(*HELLO)], call_of(stream=True)))
    chunks = chunks_of(pieces)
    assert [c.choices[0].delta.content for c in chunks if c.choices] == ["", "Hello", " world", "!", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {c.id for c in chunks} == {"msg_01"}
    assert {c.model for c in chunks} == {"claude-sonnet-4-5-20250929"}
    assert [c.choices[0].finish_reason for c in chunks if c.choices] == [None, None, None, None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == CompletionUsage(prompt_tokens=25, completion_tokens=15, total_tokens=40)
    assert [(p.has_content, len(p.text), p.is_usage_only, p.is_end) for p in pieces] == [
        (False, 0, False, False),
        (True, 5, False, False),
        (True, 6, False, False),
        (True, 1, False, False),
        (False, 0, False, False),
        (False, 0, True, False),
        (False, 0, False, True),
    ]
    assert pieces[0].usage == Usage(input=25, output=1, estimated=True)
    assert pieces[-2].usage == Usage(input=25, output=15)


def test_a_stream_of_thoughts_and_tool_calls() -> None:
    pieces, _ = run(ask([sse_reply(*TOOLS)], call_of(stream=True)))
    chunks_of(pieces)
    whole = ChatCompletion.model_validate_json(assemble(p.data for p in pieces if p.data))
    message = whole.choices[0].message
    assert whole.choices[0].finish_reason == "tool_calls"
    assert message.content == "Checking two places: Zürich, 東京."
    assert message.model_extra == {
        "reasoning_content": "Let me see.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
        ],
    }
    assert message.tool_calls is not None
    assert [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls if c.type == "function"] == [
        ("toolu_a", "get_weather", {"location": "Zürich"}),
        ("toolu_b", "get_weather", {"location": "東京"}),
        ("toolu_c", "get_time", {}),
    ]
    assert pieces[-2].usage == Usage(input=135, output=15, cached_input=100, cache_write=10, reasoning=6)


def test_what_a_thinking_model_said_can_be_said_back() -> None:
    pieces, _ = run(ask([sse_reply(*TOOLS)], call_of(stream=True)))
    message = json.loads(assemble(p.data for p in pieces if p.data))["choices"][0]["message"]
    [_, said] = translated(messages=[{"role": "user", "content": "Hi"}, message])["messages"]
    assert [b["type"] for b in said["content"]] == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use", "tool_use"]


def test_for_how_long_its_cache_keeps_what_was_written_and_the_tier_are_told() -> None:
    written = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 90}
    usage = {"input_tokens": 5, "output_tokens": 9, "cache_creation_input_tokens": 100, "cache_creation": written}
    told = Usage(input=105, output=9, cache_write=100, cache_write_1h=90, service="batch")
    whole, _ = run(ask([json_reply({**WHOLE, "usage": {**usage, "service_tier": "batch"}})], call_of()))
    assert whole[0].usage == told
    begun: Any = {**usage, "service_tier": "batch"}
    pieces, _ = run(ask([sse_reply(start(**begun), *text_block(0, "x"), *finish(output_tokens=9))], call_of(stream=True)))
    assert pieces[-2].usage == told
    usual, _ = run(ask([json_reply({**WHOLE, "usage": {**usage, "service_tier": "standard"}})], call_of()))
    assert usual[0].usage == msgspec.structs.replace(told, service=None)


@pytest.mark.parametrize("usage", ["?", ["?"], {"input_tokens": "?"}, {"input_tokens": 3, "cache_creation": 7}, None])
def test_an_answer_is_not_lost_for_a_count_that_cannot_be_read(usage: Any) -> None:
    whole, _ = run(ask([json_reply({**WHOLE, "usage": usage})], call_of()))
    assert whole[0].usage is None and whole[0].is_end
    begun: Any = event("message_start", message={**WHOLE, "content": [], "stop_reason": None, "usage": usage})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    ended = [event("message_delta", delta=delta, usage=usage), event("message_stop")]
    pieces, _ = run(ask([sse_reply(begun, *text_block(0, "x"), *ended)], call_of(stream=True)))
    assert [p.usage for p in pieces if p.usage] == []
    assert pieces[-1].is_end


def test_a_later_count_wins_and_what_it_leaves_out_stays() -> None:
    stream = [start(cache_read_input_tokens=7), *text_block(0, "x"), *finish(input_tokens=30, cache_read_input_tokens=None)]
    pieces, _ = run(ask([sse_reply(*stream)], call_of(stream=True)))
    assert pieces[-2].usage == Usage(input=37, output=15, cached_input=7)


def test_a_count_that_is_not_of_the_end_stays_an_estimate() -> None:
    finished = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"input_tokens": 30})
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "x"), finished, event("message_stop"))], call_of(stream=True)))
    assert [p.usage for p in pieces if p.usage][-1] == Usage(input=30, output=1, estimated=True)
    assert not any(p.is_usage_only for p in pieces)


def test_citations_in_a_stream_are_placed_in_the_whole_text() -> None:
    cited = {"type": "web_search_result_location", "url": "https://x", "title": "X", "cited_text": "c", "encrypted_index": "e"}
    second = block(
        1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "is so."}, {"type": "citations_delta", "citation": cited}
    )
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "It "), *second, *finish())], call_of(stream=True)))
    message = json.loads(assemble(p.data for p in pieces if p.data))["choices"][0]["message"]
    [note] = message["annotations"]
    place = slice(note["url_citation"]["start_index"], note["url_citation"]["end_index"])
    assert message["content"][place] == "is so."


def test_counts_that_cannot_be_are_bounded() -> None:
    usage = {"input_tokens": 10**18, "output_tokens": -5, "cache_read_input_tokens": -1, "cache_creation_input_tokens": 10**18}
    details = {"thinking_tokens": 10**30}
    stream = [start(**usage), *text_block(0, "x"), *finish(output_tokens=-5, output_tokens_details=details)]
    bounded = Usage(input=TOKENS_MAX, output=0, cache_write=TOKENS_MAX, reasoning=TOKENS_MAX)
    pieces, _ = run(ask([sse_reply(*stream)], call_of(stream=True)))
    assert pieces[0].usage == Usage(input=TOKENS_MAX, output=0, cache_write=TOKENS_MAX, estimated=True)
    assert pieces[-2].usage == bounded
    whole, _ = run(ask([json_reply({**WHOLE, "usage": {**usage, "output_tokens_details": details}})], call_of()))
    assert whole[0].usage == bounded


WHOLE = {
    "id": "msg_02",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {"a": [1, "ü"]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2},
}


def test_a_whole_answer_in_the_openai_dialect() -> None:
    Message.model_validate(WHOLE)
    pieces, [request] = run(ask([json_reply(WHOLE)], call_of()))
    assert request.json()["stream"] is False
    assert (len(pieces), pieces[0].is_end, pieces[0].has_content) == (1, True, True)
    assert pieces[0].usage == Usage(input=10, output=9, cached_input=5, cache_write=2)
    answer = whole_of(pieces)
    choice = answer.choices[0]
    assert (answer.id, choice.finish_reason, choice.message.content) == ("msg_02", "tool_calls", "Let me look.")
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].type == "function"
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"a": [1, "ü"]}
    assert choice.message.model_extra == {
        "reasoning_content": "Hm.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
    }
    assert answer.usage is not None
    assert answer.usage.total_tokens == 19


def test_whole_and_streamed_answers_are_counted_alike() -> None:
    usage = {"input_tokens": 25, "output_tokens": 15, "cache_read_input_tokens": 9}
    whole, _ = run(ask([json_reply({**WHOLE, "usage": usage})], call_of()))
    streamed, _ = run(ask([sse_reply(start(cache_read_input_tokens=9), *text_block(0, "x"), *finish())], call_of(stream=True)))
    assert whole[0].usage == streamed[-2].usage


def test_a_whole_answer_where_a_stream_was_asked_becomes_one() -> None:
    pieces, _ = run(ask([json_reply(WHOLE)], call_of(stream=True)))
    assert pieces[-1].is_end
    assert [c.choices[0].finish_reason for c in chunks_of(pieces)] == [None, "tool_calls"]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(stop_reason: str, finish_reason: str) -> None:
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "x"), *finish(stop_reason))], call_of(stream=True)))
    assert [c.choices[0].finish_reason for c in chunks_of(pieces) if c.choices][-1] == finish_reason
    pieces, _ = run(ask([json_reply({**WHOLE, "stop_reason": stop_reason})], call_of()))
    assert whole_of(pieces).choices[0].finish_reason == finish_reason


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    stream = [start(), event("message_delta", delta=delta, usage={"output_tokens": 0}), event("message_stop")]
    pieces, _ = run(ask([sse_reply(*stream)], call_of(stream=True)))
    assert json.loads(assemble(p.data for p in pieces if p.data))["choices"][0]["message"]["refusal"] == "Not this."
    assert [p.has_content for p in pieces] == [False, True, False, False]
    whole = {**WHOLE, "content": [], "stop_reason": "refusal", "stop_details": details}
    assert whole_of(run(ask([json_reply(whole)], call_of()))[0]).choices[0].message.refusal == "Not this."


def test_a_stream_may_be_sent_as_plain_text() -> None:
    pieces, _ = run(ask([Reply(HELLO, 200, {"content-type": "text/plain"})], call_of(stream=True)))
    assert sum(len(p.text) for p in pieces) == len("Hello world!")


def test_usage_that_nobody_counted_is_not_made_up() -> None:
    silent = event("message_start", message={k: v for k, v in WHOLE.items() if k != "usage"})
    stopped = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    uncounted, _ = run(ask([sse_reply(silent, *text_block(0, "x"), *stopped)], call_of(stream=True)))
    assert [p.usage for p in uncounted if p.usage] == []
    half, _ = run(ask([sse_reply(start(), *text_block(0, "x"), *stopped)], call_of(stream=True)))
    assert {p.usage for p in half if p.usage} == {Usage(input=25, output=1, estimated=True)}
    assert not any(p.is_usage_only for p in (*uncounted, *half))
    whole, _ = run(ask([json_reply({k: v for k, v in WHOLE.items() if k != "usage"})], call_of()))
    assert whole[0].usage is None and whole[0].is_end


def test_blocks_and_events_of_unknown_types_are_passed_over() -> None:
    unknown = [event("moon_phase", phase=3), *block(0, {"type": "hologram", "x": 1}, {"type": "hologram_delta", "x": 2})]
    pieces, _ = run(ask([sse_reply(start(), b": comment\n\n", *unknown, *text_block(1, "x"), *finish())], call_of(stream=True)))
    assert [len(p.text) for p in pieces if p.has_content] == [1]


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 6000), max_size=40), crlf=st.booleans())
def test_the_network_may_cut_a_stream_anywhere(cuts: list[int], crlf: bool) -> None:
    wire = b"".join(TOOLS)
    wire = wire.replace(b"\n", b"\r\n") if crlf else wire

    def translate(parts: Sequence[bytes]) -> list[Any]:
        parser, translation = EventParser(), StreamTranslation("claude")
        pieces: list[Piece] = []
        for part in parts:
            for e in parser.feed(part):
                data = event_data(e)
                pieces += translation.feed(data) if data is not None else []
        return [(*(json.loads(data_of(p.data)).get(k) for k in ("choices", "usage")), p.text, p.usage) for p in pieces if p.data]

    assert translate(split(wire, cuts)) == translate([wire])


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_chunk_sizes_do_not_show_over_http(size: int) -> None:
    wire = b"".join(TOOLS)
    pieces, _ = run(ask([sse_reply(*split(wire, range(0, len(wire), size)))], call_of(stream=True)))
    reference, _ = run(ask([sse_reply(*TOOLS)], call_of(stream=True)))
    assert [_timeless(p) for p in pieces] == [_timeless(p) for p in reference]


def _timeless(piece: Piece) -> Any:
    fields = json.loads(data_of(piece.data)) if piece.data else {}
    fields.pop("created", None)
    return fields, piece.text, piece.has_content, piece.usage, piece.is_end


# --- what goes wrong


def failure(reply: Reply, call: Call | None = None) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        run(ask([reply], call or call_of(stream=True)))
    assert KEY not in caught.value.message
    return caught.value


def error_reply(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return json_reply(body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    ("status", "kind", "is_retryable", "is_callers_fault"),
    [
        (400, "invalid_request_error", False, True),
        (401, "authentication_error", False, False),
        (403, "permission_error", False, False),
        (404, "not_found_error", False, False),
        (413, "request_too_large", False, True),
        (429, "rate_limit_error", True, False),
        (500, "api_error", True, False),
        (529, "overloaded_error", True, False),
    ],
)
def test_error_statuses(status: int, kind: str, is_retryable: bool, is_callers_fault: bool, is_stream: bool) -> None:
    error = failure(error_reply(status, kind, f"no: {KEY}", retry_after="3"), call_of(stream=is_stream))
    assert (error.fault, error.status, error.code, error.retry_after_s) == ("status", status, kind, 3.0)
    assert (error.is_retryable, error.is_callers_fault) == (is_retryable, is_callers_fault)
    assert error.message == "claude: no: ***"


def test_a_prompt_that_is_too_long_may_fit_elsewhere() -> None:
    error = failure(error_reply(400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum"))
    assert (error.code, error.is_callers_fault) == ("context_length_exceeded", False)


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "`temperature` is deprecated for this model.",
        "temperature and top_p cannot both be specified for this model. Please use only one.",
        "max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5",
        "This model does not support assistant message prefill.",
    ],
)
def test_trouble_of_the_account_or_the_model_is_not_the_callers(message: str) -> None:
    assert failure(error_reply(400, "invalid_request_error", message)).is_callers_fault is False


@pytest.mark.parametrize("before", [[], [start()], [start(), *text_block(0, "Hel")]])
def test_an_error_event_is_reported(before: list[bytes]) -> None:
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    error = failure(sse_reply(*before, overloaded))
    assert (error.fault, error.code, error.message) == ("reported", "overloaded_error", "claude: Overloaded")
    assert error.is_retryable


def test_what_came_before_an_error_in_the_same_chunk_is_kept() -> None:
    """The executor books the counted input of an answer that broke off, and sends its text on."""
    wire = b"".join([start(), *text_block(0, "Hel"), event("error", error={"type": "overloaded_error", "message": "no"})])

    async def scenario() -> tuple[list[Piece], UpstreamError]:
        http = HttpClient("turnout-test")
        try:
            async with ScriptedServer([sse_reply(wire)]) as server:
                exchange = await AnthropicProvider("claude", http, server.url).open(call_of(stream=True))
                pieces = await exchange.read()
                with pytest.raises(UpstreamError) as caught:
                    await exchange.read()
                await exchange.aclose()
                return pieces, caught.value
        finally:
            await http.aclose()

    pieces, error = run(scenario())
    assert [c.choices[0].delta.content for c in chunks_of(pieces)] == ["", "Hel"]
    assert pieces[0].usage == Usage(input=25, output=1, estimated=True)
    assert (error.fault, error.code) == ("reported", "overloaded_error")


def test_an_error_under_a_200_is_reported() -> None:
    error = failure(error_reply(200, "api_error", "Internal"), call_of())
    assert (error.fault, error.code) == ("reported", "api_error")


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_reported_error_does_not_show_the_key(is_stream: bool) -> None:
    reply = error_reply(200, "api_error", f"no: {KEY}")
    if is_stream:
        reply = sse_reply(start(), event("error", error={"type": "api_error", "message": f"no: {KEY}"}))
    assert failure(reply, call_of(stream=is_stream)).message == "claude: no: ***"


@pytest.mark.parametrize("length", range(len(HELLO) - 1))
def test_a_stream_that_ends_early_is_cut(length: int) -> None:
    assert failure(sse_reply(*HELLO[:length])).fault == "cut"


def test_a_connection_that_breaks_is_cut() -> None:
    assert failure(sse_reply(*HELLO[:4], CUT)).fault == "cut"
    assert failure(Reply([b'{"id": ', CUT], 200, {"content-type": "application/json"}), call_of()).fault == "cut"


@pytest.mark.parametrize("said", [{"stop_reason": None}, {"stop_reason": ""}, {}])
def test_an_end_without_a_stop_reason_is_cut(said: dict[str, Any]) -> None:
    changed = event("message_delta", delta=said, usage={"output_tokens": 1})
    whole = {**{k: v for k, v in WHOLE.items() if k != "stop_reason"}, **said}
    for error in (
        failure(sse_reply(start(), *text_block(0, "x"), event("message_stop"))),
        failure(sse_reply(start(), *text_block(0, "x"), changed, event("message_stop"))),
        failure(json_reply(whole), call_of()),
    ):
        assert (error.fault, error.is_retryable) == ("cut", True)


@pytest.mark.parametrize(
    "steps",
    [
        [b"data: {nonsense\n\n"],
        [b'data: {"type": "caf\xe9"}\n\n'],
        [b"data: [1]\n\n"],
        text_block(0, "before the start"),
        [start(), event("content_block_delta", index=3, delta={"type": "text_delta", "text": "x"})],
        [start(), event("content_block_stop", index=3)],
        [event("message_start")],
    ],
)
def test_a_stream_that_makes_no_sense_is_malformed(steps: Sequence[Step]) -> None:
    assert failure(sse_reply(*steps)).fault == "malformed"


@pytest.mark.parametrize("body", [b"{nonsense", b"[]", b"{}", b'{"type": "list", "data": []}', b"<html>", b'{"type": "caf\xe9"}'])
def test_a_body_that_is_no_message_is_malformed(body: bytes) -> None:
    assert failure(json_reply(body), call_of()).fault == "malformed"


def test_a_body_that_stops_in_the_middle_is_cut() -> None:
    assert failure(json_reply(json.dumps(WHOLE).encode()[:-9]), call_of()).fault == "cut"


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_web_page_is_no_answer(is_stream: bool) -> None:
    page = Reply([b"<html>"], 200, {"content-type": "text/html"})
    assert failure(page, call_of(stream=is_stream)).message == "claude: answered with a web page; is base_url right?"


def test_an_event_without_end_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sse.EVENT_BYTES_MAX", 1000)
    assert failure(sse_reply(start(), b"data: " + b"x" * 2000)).fault == "malformed"


def test_no_server_is_a_failed_connection() -> None:
    async def scenario() -> None:
        http = HttpClient("turnout-test")
        try:
            await AnthropicProvider("claude", http, "http://127.0.0.1:9", api_key=KEY).open(call_of())
        finally:
            await http.aclose()

    with pytest.raises(UpstreamError) as caught:
        run(scenario())
    assert (caught.value.fault, caught.value.is_retryable) == ("connect", True)


def test_what_is_refused_is_never_sent() -> None:
    async def scenario() -> int:
        http = HttpClient("turnout-test")
        try:
            async with ScriptedServer([json_reply(WHOLE)]) as server:
                with pytest.raises(UpstreamError, match="`n`"):
                    await AnthropicProvider("claude", http, server.url).open(call_of(n=2))
                return len(server.requests)
        finally:
            await http.aclose()

    assert run(scenario()) == 0


@pytest.mark.parametrize("is_stream", [True, False])
def test_closing_cancels_upstream(is_stream: bool) -> None:
    async def scenario() -> None:
        http = HttpClient("turnout-test")
        steps = [*HELLO[:3], HANG] if is_stream else [b'{"id"', HANG]
        kind = "text/event-stream" if is_stream else "application/json"
        try:
            async with ScriptedServer([Reply(steps, 200, {"content-type": kind})]) as server:
                exchange = await AnthropicProvider("claude", http, server.url).open(call_of(stream=is_stream))
                if is_stream:
                    await exchange.read()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        while True:
                            await exchange.read()
                await exchange.aclose()
                await server.client_left(0)
        finally:
            await http.aclose()

    run(scenario())


def test_the_connection_is_used_again_after_a_complete_stream() -> None:
    async def scenario() -> int:
        http = HttpClient("turnout-test")
        try:
            # The end of the HTTP body comes a little after message_stop.
            async with ScriptedServer([sse_reply(*HELLO, 0.01)]) as server:
                provider = AnthropicProvider("claude", http, server.url)
                for _ in range(3):
                    exchange = await provider.open(call_of(stream=True))
                    while not (await exchange.read())[-1].is_end:
                        pass
                    await exchange.aclose()
                    await asyncio.sleep(0.03)  # the next call comes when that end has come; aclose does not wait for it
                return server.connections
        finally:
            await http.aclose()

    assert run(scenario()) == 1


def test_unavailable_is_what_the_constructor_was_told() -> None:
    provider = AnthropicProvider("claude", HttpClient("t"), "http://x", unavailable="no key")
    assert provider.unavailable == "no key"
