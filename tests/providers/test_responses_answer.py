"""Responses answers, whole and streamed, as chat completions."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.chat_forms import assemble
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.responses_answer import chat_body
from gateway.providers.responses_stream import ResponsesTranslation
from tests.providers import responses_events as wire
from tests.providers.responses_events import custom_call, function_call, message, reasoning, refusal, response, text_part

CITED = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "T", "url": "https://a.example"}
TOKEN = {
    "token": "Hi",
    "bytes": [72, 105],
    "logprob": -0.1,
    "top_logprobs": [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1}],
}
Json = dict[str, Any]


def whole(*output: Json, **more: Any) -> Json:
    said: Json = json.loads(chat_body("p", json.dumps(response(*output, **more)).encode()))
    ChatCompletion.model_validate(said, strict=True)
    return said


def pieces(events: list[Json], *, is_native: bool = False) -> list[Piece]:
    translation = ResponsesTranslation("p", is_native=is_native)
    return [piece for event in events for piece in translation.feed(json.dumps(event).encode())]


def streamed(*output: Json, **more: Any) -> Json:
    """A stream's chunks as one whole answer."""
    chunks = [piece.data for piece in pieces(wire.stream(*output, **more)) if piece.data]
    for chunk in chunks:
        if b'"custom"' not in chunk:  # which the SDK's types have in whole answers only
            ChatCompletionChunk.model_validate_json(chunk[6:])
    said: Json = json.loads(assemble(chunks))
    return said


def said(answer: Json) -> Json:
    """A message, without what a stream leaves out since it is null, and without the places that it gives."""
    message = {name: value for name, value in answer["choices"][0]["message"].items() if value is not None}
    for name in {"annotations", "reasoning_details"} & message.keys():
        assert [entry.pop("index", n) for n, entry in enumerate(message[name])] == list(range(len(message[name])))
    return message


def test_answer_keeps_id_model_time_and_usage_with_details() -> None:
    answer = whole(message("Hi"), service_tier="flex")
    assert (answer["id"], answer["model"], answer["created"], answer["service_tier"]) == (
        "resp_1",
        "gpt-real",
        1_700_000_000,
        "flex",
    )
    assert answer["usage"] == {
        "prompt_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
        "completion_tokens": 4,
        "completion_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
    }


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([message("Hi", " there")], {"content": "Hi there"}),
        ([message("One."), message("Two.", id="msg_2")], {"content": "One.\n\nTwo."}),
        ([message(refusal("No."))], {"content": "", "refusal": "No."}),
        ([reasoning("A", "B"), message("Hi")], {"content": "Hi", "reasoning_content": "A\n\nB"}),
        ([reasoning(content="deep"), message("Hi")], {"content": "Hi", "reasoning_content": "deep"}),
        ([reasoning("A"), reasoning("B", id="rs_2"), message("Hi")], {"content": "Hi", "reasoning_content": "A\n\nB"}),
        (
            [reasoning(sealed="xyz"), message("Hi")],
            {
                "content": "Hi",
                "reasoning_details": [
                    {"type": "reasoning.encrypted", "format": "openai-responses-v1", "id": "rs_1", "data": "xyz"}
                ],
            },
        ),
        (
            [message("One"), message(text_part("Hi", [CITED]), id="msg_2")],
            {
                "content": "One\n\nHi",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"start_index": 5, "end_index": 7, "title": "T", "url": "https://a.example"},
                    }
                ],
            },
        ),
    ],
)
def test_items_become_one_message_whole_and_streamed(output: list[Json], expected: Json) -> None:
    for answer in (whole(*output), streamed(*output)):
        assert {name: value for name, value in said(answer).items() if value != ""} == {
            "role": "assistant",
            **{name: value for name, value in expected.items() if value != ""},
        }
        assert answer["choices"][0]["finish_reason"] == "stop"


def test_calls_keep_their_order_ids_and_arguments() -> None:
    calls = [function_call("look", '{"a": 1}'), custom_call("run", "print(1)"), function_call("now", "", "call_2")]
    expected = [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
        {"id": "call_9", "type": "custom", "custom": {"name": "run", "input": "print(1)"}},
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    for answer in (whole(*calls), streamed(*calls)):
        assert answer["choices"][0]["message"]["tool_calls"] == expected
        assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert whole(*calls)["choices"][0]["message"]["content"] is None


def test_arguments_are_streamed_as_they_come() -> None:
    deltas = [json.loads(p.data[6:])["choices"][0]["delta"] for p in pieces(wire.stream(function_call("f", '{"a":1}'))) if p.text]
    assert [call["function"] for delta in deltas for call in delta["tool_calls"]] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"a'},
        {"arguments": '":1'},
        {"arguments": "}"},
    ]


def test_logprobs_come_along() -> None:
    output = message(text_part("Hi", logprobs=[TOKEN]))
    assert whole(output)["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}
    (token,) = streamed(output)["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["top_logprobs"][0]["token"]) == ("Hi", -0.1, "Hi")


@pytest.mark.parametrize(("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_incomplete_answer_says_why(reason: str, finish: str) -> None:
    more: Json = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    assert whole(message("Hi"), **more)["choices"][0]["finish_reason"] == finish
    assert streamed(message("Hi"), **more)["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [
        ({"code": "server_error", "message": "it broke sk-secret"}, True),
        ({"code": "rate_limit_exceeded", "message": "slow down"}, True),
        ({"code": "invalid_image", "message": "no image"}, False),
        (None, True),
    ],
)
def test_failed_answer_is_an_error_and_no_empty_answer(error: Json | None, is_retryable: bool) -> None:
    body = json.dumps(response(status="failed", error=error)).encode()
    with pytest.raises(UpstreamError) as whole_one:
        chat_body("p", body, "sk-secret")
    translation = ResponsesTranslation("p", "sk-secret")
    with pytest.raises(UpstreamError) as streamed_one:
        translation.feed(json.dumps({"type": "response.failed", "response": json.loads(body)}).encode())
    for caught in (whole_one.value, streamed_one.value):
        assert (caught.fault, caught.is_retryable, caught.code) == ("reported", is_retryable, error and error["code"])
        assert "sk-secret" not in caught.message
        assert (error or {"message": "without an error"})["message"].replace("sk-secret", "***") in caught.message


@pytest.mark.parametrize("status", [None, "completed"])
def test_error_beside_an_answer_does_not_withhold_it(status: str | None) -> None:
    error = {"code": "server_error", "message": "it broke"}
    said = json.loads(chat_body("p", json.dumps(response(message("Hi"), status=status, error=error)).encode()))
    assert said["choices"][0]["message"]["content"] == "Hi"
    with pytest.raises(UpstreamError, match="it broke"):
        chat_body("p", json.dumps(response(status=status, error=error)).encode())


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "it broke", "param": None},
        {"type": "error", "error": {"code": "server_error", "message": "it broke"}},
        {"error": {"message": "it broke", "code": "server_error"}},
    ],
)
def test_error_event_is_an_error(event: Json) -> None:
    with pytest.raises(UpstreamError, match="it broke") as caught:
        ResponsesTranslation("p").feed(json.dumps(event).encode())
    assert (caught.value.fault, caught.value.code) == ("reported", "server_error")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "cut"),
        (b"[]", "malformed"),
        (b"nonsense", "malformed"),
        (b'{"object": "list", "data": []}', "malformed"),
        (b'{"object": "response", "status": "completed", "output": [{"type": "message", "content": "x"}]}', "malformed"),
        (b'{"object": "response", "status": "in_progress", "output": []}', "cut"),
        (b'{"object": "response", "status": "cancelled", "output": []}', "cut"),
        (b'{"error": {"message": "no", "code": "server_error"}}', "reported"),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, fault: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        chat_body("p", body)
    assert caught.value.fault == fault


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"1",
        b'{"type": 5}',
        b'{"type": "response.created", "response": []}',
        b'{"type": "response.output_text.delta", "delta": {}}',
        b'{"type": "response.output_text.annotation.added", "annotation": [1]}',
        b'{"type": "response.output_item.added", "item": {"type": "message", "content": 5}}',
    ],
)
def test_event_that_cannot_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        ResponsesTranslation("p").feed(data)
    assert caught.value.fault == "malformed"


def test_text_before_the_answer_has_begun_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="does not begin"):
        pieces(wire.stream(message("Hi"))[3:])


def test_unknown_events_and_items_are_passed_over() -> None:
    events = wire.stream(message("Hi"))
    strange: list[Json] = [
        {"type": "response.hologram.delta", "delta": {"x": 1}, "item": 5},
        {"type": "response.output_item.added", "output_index": 7, "item": {"type": "web_search_call", "action": [1]}},
        {"type": "response.output_item.done", "output_index": 7, "item": {"type": "web_search_call", "action": [1]}},
    ]
    assert [p.data for p in pieces([*events[:3], *strange, *events[3:]])] == [p.data for p in pieces(events)]


def test_item_that_came_without_deltas_is_said_when_it_is_done() -> None:
    output = [reasoning("Thinking"), message(text_part("Hi", [CITED])), function_call("f", '{"a":1}'), custom_call("c", "x")]
    events = [event for event in wire.stream(*output) if not event["type"].endswith((".delta", ".annotation.added"))]
    assert [e["type"] for e in events].count("response.output_item.done") == 4
    answer = json.loads(assemble([p.data for p in pieces(events) if p.data]))
    assert said(answer) == said(whole(*output))


def test_answer_told_at_the_end_alone_is_said_then() -> None:
    output = [message("Hi"), function_call("f", "{}")]
    first, *_, last = wire.stream(*output)
    assert said(json.loads(assemble([p.data for p in pieces([first, last]) if p.data]))) == said(whole(*output))


def test_reasoning_told_in_full_and_in_summary_is_said_once() -> None:
    events = wire.stream(reasoning("short", content="long"), message("Hi"))
    answer = json.loads(assemble([p.data for p in pieces(events) if p.data]))
    assert answer["choices"][0]["message"]["reasoning_content"] == "short"


def test_end_brings_finish_then_usage_then_the_end() -> None:
    *_, finish, usage, end = pieces(wire.stream(message("Hi")))
    assert (finish.finish, finish.has_content) == ("stop", False)
    assert usage.is_usage_only
    assert usage.usage is not None
    assert (usage.usage.input, usage.usage.output, usage.usage.cached_input, usage.usage.reasoning) == (9, 4, 5, 2)
    assert end == Piece(is_end=True)


def test_stream_without_usage_ends_all_the_same() -> None:
    *_, finish, end = pieces(wire.stream(message("Hi"), usage=None))
    assert (finish.finish, end.is_end) == ("stop", True)


def test_nothing_is_content_before_something_is_said() -> None:
    events = wire.stream(message("Hi"))
    upto = [e["type"] for e in events].index("response.output_text.delta")
    assert not any(piece.has_content for piece in pieces(events[:upto]))


TEXTS = st.text(min_size=1, max_size=20)
PARTS = st.one_of(TEXTS.map(text_part), TEXTS.map(refusal))
ITEMS = st.one_of(
    st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: message(*parts)),
    st.lists(TEXTS, max_size=3).map(lambda texts: reasoning(*texts)),
    TEXTS.map(lambda text: reasoning(content=text, sealed="s")),
    st.tuples(TEXTS, st.text(max_size=20), st.uuids()).map(lambda t: function_call(t[0], t[1], str(t[2]))),
    st.tuples(TEXTS, st.text(max_size=20), st.uuids()).map(lambda t: custom_call(t[0], t[1], str(t[2]))),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=5), st.integers(1, 5))
def test_a_stream_says_what_the_whole_answer_says(output: list[Json], pieces: int) -> None:
    one, other = whole(*output), streamed(*output, pieces=pieces)
    assert {k: v for k, v in said(other).items() if v != ""} == {k: v for k, v in said(one).items() if v != ""}
    assert other["choices"][0]["finish_reason"] == one["choices"][0]["finish_reason"]
    assert other["usage"] == one["usage"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content", "index"]), inner, max_size=3)
    ),
    max_leaves=6,
)
TYPES = st.sampled_from([event["type"] for event in wire.stream(reasoning("a"), message("b"), function_call("f", "{}"))])
EVENTS = st.builds(
    lambda type_, fields: {**fields, "type": type_},
    TYPES,
    st.dictionaries(
        st.sampled_from(["delta", "item", "response", "part", "output_index", "logprobs", "annotation", "error"]), VALUES
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=5))
def test_whatever_comes_is_read_or_an_error_of_the_providers(events: list[Json]) -> None:
    translation = ResponsesTranslation("p")
    translation.feed(json.dumps(wire.stream()[0]).encode())
    for event in events:
        try:
            translation.feed(json.dumps(event).encode())
        except UpstreamError as exc:
            assert exc.fault in ("malformed", "reported")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["object", "status", "output", "usage", "error", "id", "model", "created_at"]), VALUES))
def test_whatever_stands_in_a_body_is_read_or_an_error_of_the_providers(fields: Json) -> None:
    try:
        chat_body("p", json.dumps({"object": "response", **fields}).encode())
    except UpstreamError as exc:
        assert exc.fault in ("malformed", "reported", "cut")
