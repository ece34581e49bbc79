"""The chat dialect: bodies keep their bytes, and a whole answer and its stream are the same answer."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chat import (
    call_text,
    completion,
    decode_body,
    patched_body,
    read_chunk,
    read_head,
    sse,
    usage_event,
    with_cost,
    worst_finish,
)
from gateway.chat_forms import assemble, to_events
from gateway.errors import ClientError
from gateway.sse import EventParser, event_data
from gateway.usage import Usage
from gateway.wire_usage import wire_usage

TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=4)
USAGES = st.builds(Usage, *[st.integers(0, 10**6)] * 5)


def raw(body: bytes) -> dict[str, bytes]:
    return {k: bytes(v) for k, v in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}


@pytest.mark.parametrize("name", ["Model", "MODEL", "mOdEl"])
def test_a_patched_body_names_one_model_whatever_the_case(name: str) -> None:
    body = f'{{"{name}": "dear", "model": "auto", "Models": ["a"], "n": 1.0}}'.encode()
    assert patched_body(body, "cheap", wants_usage=False) == b'{"model":"cheap","Models":["a"],"n":1.0}'


@given(OBJECT, TEXT, st.booleans(), st.integers(0, 4))
def test_patched_body_keeps_all_other_bytes(fields: dict[str, Any], model: str, wants_usage: bool, indent: int) -> None:
    body = json.dumps({**fields, "model": "auto"}, indent=indent, ensure_ascii=bool(indent % 2)).encode()
    before, after = raw(body), raw(patched_body(body, model, wants_usage=wants_usage and "stream_options" not in fields))
    assert json.loads(after.pop("model")) == model
    before.pop("model")
    after.pop("stream_options", None) if "stream_options" not in fields else None
    assert list(after) == list(before)
    assert after == before


@pytest.mark.parametrize(
    ("given_", "sent"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}),
    ],
)
def test_streams_are_asked_for_usage(given_: object, sent: object) -> None:
    body = json.dumps({"model": "auto", "stream_options": given_}).encode()
    assert json.loads(patched_body(body, "m", wants_usage=True))["stream_options"] == sent
    assert json.loads(patched_body(body, "m", wants_usage=False))["stream_options"] == given_
    assert json.loads(patched_body(b'{"model": "auto"}', "m", wants_usage=True))["stream_options"] == {"include_usage": True}


# A whole answer and its stream.

CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT, "type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})},
        optional={"vendor": JSON.filter(lambda v: v is not None)},
    ),
    min_size=1,
    max_size=3,
)
KNOWN = {"id", "object", "choices", "usage", "created", "model", "error"}
OTHERS = st.dictionaries(st.text("xyz", min_size=1, max_size=3), JSON.filter(lambda v: v is not None), max_size=2)
MESSAGES = st.builds(
    lambda fixed, others: {**fixed, **others},
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | TEXT},
        optional={
            "refusal": TEXT,
            "reasoning_content": TEXT,
            "tool_calls": CALLS,
            "function_call": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
            "annotations": st.lists(OBJECT, max_size=2),
            "audio": OBJECT,
        },
    ),
    OTHERS,
)
LOGPROBS = st.none() | st.fixed_dictionaries(
    {"content": st.lists(OBJECT, min_size=1, max_size=3)}, optional={"refusal": st.none()}
)
CHOICES = st.lists(
    st.builds(
        lambda fixed, others: {**fixed, **others},
        st.fixed_dictionaries(
            {"message": MESSAGES, "logprobs": LOGPROBS, "finish_reason": st.sampled_from(["stop", "tool_calls", "length"])}
        ),
        OTHERS,
    ),
    min_size=1,
    max_size=3,
).map(lambda choices: [{"index": n, **choice} for n, choice in enumerate(choices)])
COMPLETIONS = st.builds(
    lambda fixed, others: {**fixed, **others},
    st.fixed_dictionaries(
        {"id": TEXT, "object": st.just("chat.completion"), "created": st.integers(0, 2**31), "model": TEXT, "choices": CHOICES},
        optional={"usage": USAGES.map(wire_usage), "system_fingerprint": TEXT},
    ),
    OTHERS,
)


@given(COMPLETIONS)
def test_stream_of_an_answer_assembles_to_the_answer(whole: dict[str, Any]) -> None:
    events = EventParser().feed(to_events(msgspec.json.encode(whole)))
    usage = whole.get("usage")
    if usage is not None:
        events.append(sse({"id": whole["id"], "choices": [], "usage": usage}))
    assert json.loads(assemble(events)) == whole


@given(COMPLETIONS)
def test_every_event_of_a_stream_is_a_chunk(whole: dict[str, Any]) -> None:
    for event in EventParser().feed(to_events(msgspec.json.encode(whole))):
        fields = json.loads(event_data(event) or b"")
        assert fields["object"] == "chat.completion.chunk"
        assert fields["id"] == whole["id"]
        assert "usage" not in fields
        assert all("message" not in choice for choice in fields["choices"])


@given(COMPLETIONS, st.integers(1, 4))
def test_text_that_came_in_pieces_is_put_together(whole: dict[str, Any], size: int) -> None:
    pieces = []
    for event in EventParser().feed(to_events(msgspec.json.encode(whole))):
        fields = json.loads(event_data(event) or b"")
        for choice in fields["choices"]:
            text = choice["delta"].pop("content", None)
            pieces.append(sse(fields))
            for i in range(0, len(text or ""), size):
                part = {"index": choice["index"], "delta": {"content": text[i : i + size]}, "finish_reason": None}
                pieces.append(sse({**fields, "choices": [part]}))
    got = [c["message"]["content"] for c in json.loads(assemble(pieces))["choices"]]
    assert [text or None for text in got] == [c["message"]["content"] or None for c in whole["choices"]]


def test_calls_that_came_in_pieces_are_put_together() -> None:
    def fragment(index: int, **call: Any) -> bytes:
        return sse({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, **call}]}, "finish_reason": None}]})

    events = [
        fragment(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        fragment(1, id="b", type="function", function={"name": "g", "arguments": '{"x'}),
        fragment(0, function={"arguments": '{"y":'}),
        fragment(1, function={"arguments": '":1}'}),
        fragment(0, function={"arguments": "2}"}),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ]
    (choice,) = json.loads(assemble(events))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"y":2}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x":1}'}},
        ],
    }


def test_content_that_is_a_list_and_then_text_is_kept() -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    events = [sse({"choices": [{"index": 0, "delta": {"content": content}}]}) for content in (thought, thought, "Hi", " there")]
    (choice,) = json.loads(assemble(events))["choices"]
    assert choice["message"]["content"] == [
        *thought,
        *thought,
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": " there"},
    ]


def test_usage_of_a_stream_without_any_is_what_was_counted() -> None:
    events = EventParser().feed(to_events(completion("hi", "m", Usage())))
    assert json.loads(assemble(events, Usage(input=3, output=1)))["usage"] == wire_usage(Usage(input=3, output=1))
    assert "usage" not in json.loads(assemble(events))


def test_cost_of_an_earlier_answer_is_not_told_again() -> None:
    events = [*EventParser().feed(to_events(completion("hi", "m", Usage()))), usage_event(b"", Usage(input=1), 0.5)]
    assert "cost" not in json.loads(assemble(events))["usage"]


# Usage and cost.


@given(OTHERS, st.none() | st.floats(0, 10), USAGES)
def test_cost_is_added_and_nothing_else_is_changed(others: dict[str, Any], cost: float | None, usage: Usage) -> None:
    event = sse({"id": "c", "choices": [], "usage": {**wire_usage(usage), "vendor": 1}, **others})
    fields = json.loads(event_data(with_cost(event, Usage(), cost)) or b"")
    assert fields == {"id": "c", "choices": [], "usage": {**wire_usage(usage), "vendor": 1, "cost": cost}, **others}


def test_usage_event_without_usage_gets_what_was_counted() -> None:
    fields = json.loads(event_data(with_cost(sse({"choices": [], "usage": None}), Usage(input=2), None)) or b"")
    assert fields["usage"] == {**wire_usage(Usage(input=2)), "cost": None}


@pytest.mark.parametrize("told", [None, "soon", [], {}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_a_usage_event_that_counts_nothing_has_our_count(told: object) -> None:
    counted = Usage(input=2, output=1, estimated=True)
    fields = json.loads(event_data(with_cost(sse({"choices": [], "usage": told}), counted, 0.5)) or b"")
    assert fields["usage"] == {**wire_usage(counted), "cost": 0.5}


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ({"content": "Hi"}, "Hi"),
        ({"reasoning_content": "Hm. ", "content": "Hi"}, "Hm. Hi"),
        ({"reasoning": "Hm."}, "Hm."),
        ({"refusal": "No."}, "No."),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}]}, 'f{"a"'),
        ({"tool_calls": [{"function": {"arguments": ": 1}"}}, {"function": {"name": "g"}}]}, ": 1}g"),
        ({"tool_calls": {"odd": 1}}, '{"odd":1}'),
        ({"content": [{"type": "text", "text": "x"}]}, '{"type":"text","text":"x"}'),
        ({"role": "assistant", "content": ""}, ""),
    ],
)
def test_what_an_event_says_is_its_text(delta: dict[str, Any], text: str) -> None:
    [choice] = read_chunk(msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})).choices or []
    assert choice.delta is not None and choice.delta.text() == text


def test_usage_event_of_our_own_belongs_to_its_stream() -> None:
    events = to_events(completion("hi", "m", Usage()))
    first = json.loads(event_data(EventParser().feed(events)[0]) or b"")
    fields = json.loads(event_data(usage_event(events, Usage(input=2), 0.25)) or b"")
    assert (fields["id"], fields["model"], fields["created"]) == (first["id"], "m", first["created"])
    assert (fields["choices"], fields["usage"]["cost"], fields["usage"]["prompt_tokens"]) == ([], 0.25, 2)
    assert json.loads(event_data(usage_event(b"", Usage(), None)) or b"")["id"].startswith("chatcmpl-")


def test_usage_event_takes_its_id_from_a_stream_with_crlf_too() -> None:
    events = to_events(completion("hi", "m", Usage())).replace(b"\n", b"\r\n")
    assert json.loads(event_data(usage_event(events, Usage(), None)) or b"")["model"] == "m"


@given(TEXT.filter(bool))
def test_head_reads_the_text_of_messages(text: str) -> None:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "b"}]
    body = msgspec.json.encode(
        {"model": "m", "messages": [{"role": "user", "content": parts}, {"role": "user", "content": text}]}
    )
    assert [m.text() for m in read_head(body).messages] == [f"{text}\nb", text]


def test_an_answer_with_several_ends_counts_as_the_worst_of_them() -> None:
    assert worst_finish(None, "stop") == worst_finish("stop", None) == "stop"
    assert worst_finish("length", "stop") == worst_finish("stop", "length") == "length"
    assert worst_finish("stop", "tool_calls") == "tool_calls"
    assert worst_finish("", "stop") == worst_finish("stop", "") == "stop"
    assert worst_finish(None, "") is None


def test_a_body_that_cannot_be_read_whole_is_the_callers_fault() -> None:
    with pytest.raises(ClientError) as caught:
        decode_body(b'{"model": "m", "x": 1e999}')
    assert caught.value.code == "invalid_json"


def test_text_of_a_custom_tools_call_counts() -> None:
    call = {"index": 0, "id": "1", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}
    assert call_text(msgspec.Raw(msgspec.json.encode([call]))) == "runprint(1)"


def test_input_of_a_custom_tools_call_is_put_together() -> None:
    calls: list[dict[str, Any]] = [
        {"index": 0, "id": "1", "type": "custom", "custom": {"name": "run", "input": ""}},
        {"index": 0, "custom": {"input": "print"}},
        {"index": 0, "custom": {"input": "(1)"}},
    ]
    events = [sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}) for call in calls]
    (said,) = json.loads(assemble(events))["choices"][0]["message"]["tool_calls"]
    assert said == {"id": "1", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}


@pytest.mark.parametrize(
    "delta",
    [
        {},
        {"content": None},
        {"content": ""},
        {"content": "a"},
        {"content": "a", "tool_calls": None},
        {"content": "a", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"content": "a", "reasoning_content": "b"},
        {"content": "a", "reasoning": "b", "refusal": "c"},
        {"content": "a", "refusal": "c"},
        {"content": [{"type": "text", "text": "a"}]},
        {"content": "", "images": [{"image_url": {"url": "data:"}}]},
        {"audio": {}},
    ],
)
def test_what_a_delta_says_is_its_text_if_it_has_content(delta: dict[str, Any]) -> None:
    choices = read_chunk(json.dumps({"choices": [{"delta": delta}]}).encode()).choices
    assert choices is not None and choices[0].delta is not None
    made = choices[0].delta
    assert made.said() == (made.text() if made.has_content() else None)
