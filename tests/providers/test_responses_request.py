"""A chat request as a Responses request: what is said in which words, what is refused, and that nothing is lost on the way."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway.dialects.responses_request import canonical_body, given_items, read_body
from gateway.errors import UpstreamError
from gateway.providers.responses_request import HINTS, responses_body

Json = dict[str, Any]

ASKED: Json = {"role": "user", "content": "Say hi"}
CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
CUSTOM: Json = {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}
_PARAMS = TypeAdapter[Any](ResponseCreateParamsNonStreaming)


def translated(*messages: Json, is_stream: bool = False, **fields: Any) -> Json:
    body = json.dumps({"model": "auto", "messages": list(messages) or [ASKED], **fields}).encode()
    said: Json = json.loads(responses_body(body, "gpt-real", is_stream=is_stream))
    _PARAMS.validate_python({name: value for name, value in said.items() if name != "stream"})
    return said


def refused(*messages: Json, **fields: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        translated(*messages, **fields)
    return caught.value


def test_plain_request() -> None:
    said = {"model": "gpt-real", "input": [{"type": "message", "role": "user", "content": "Say hi"}], "store": False}
    assert translated() == said
    assert translated(is_stream=True, stream_options={"include_usage": True}) == {**said, "stream": True}


def test_conversation_keeps_its_order() -> None:
    said = translated(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
        ASKED,
        {"role": "assistant", "content": "Looking.", "tool_calls": [CALL, CUSTOM], "reasoning_content": "hm", "name": "x"},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen", "is_error": True},
        {
            "role": "tool",
            "tool_call_id": "call_2",
            "content": [{"type": "text", "text": "1", "cache_control": {"type": "ephemeral"}}],
        },
        {"role": "assistant", "content": None, "refusal": "No."},
    )
    assert said["input"] == [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "message", "role": "developer", "content": "A\n\nB"},
        {"type": "message", "role": "user", "content": "Say hi"},
        {"type": "message", "role": "assistant", "content": "Looking."},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"a": 1}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": "print(1)"},
        {"type": "function_call_output", "call_id": "call_1", "output": "seen"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1"},
        {
            "type": "message",
            "id": "msg_6",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
        },
    ]


def test_images_and_files_are_carried_in_questions_and_results() -> None:
    parts: list[Json] = [
        {"type": "text", "text": "this", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_url": "https://a.example/x.pdf"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ]
    expected = [
        {"type": "input_text", "text": "this", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://a.example/x.pdf"},
        {"type": "input_file", "file_id": "file_1"},
    ]
    calls = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": parts}
    question, _, output = translated({"role": "user", "content": parts}, calls, result)["input"]
    assert question["content"] == output["output"] == expected


def test_sealed_reasoning_goes_back_before_what_came_of_it() -> None:
    sealed = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "id": "rs_1", "data": "xyz"}
    foreign = {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": "abc"}
    said = translated(ASKED, {"role": "assistant", "content": "Hi", "reasoning_details": [sealed, foreign]})
    assert said["input"][1:] == [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"},
        {"type": "message", "role": "assistant", "content": "Hi"},
    ]


def test_tools_and_what_is_asked_of_them() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}
    tools: list[Json] = [
        {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}, "strict": True}},
        {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral"}},
        {"type": "custom", "custom": {"name": "c", "description": "C", "format": grammar}},
    ]
    said = translated(tools=tools, tool_choice="required", parallel_tool_calls=False)
    assert said["tools"] == [
        {"type": "function", "name": "f", "description": "F", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {
            "type": "custom",
            "name": "c",
            "description": "C",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
        },
    ]
    assert (said["tool_choice"], said["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_tool_choice(choice: str | Json, expected: str | Json) -> None:
    assert translated(tools=[{"type": "function", "function": {"name": "f"}}], tool_choice=choice)["tool_choice"] == expected


def test_format_effort_length_and_logprobs() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}
    said = translated(
        response_format={"type": "json_schema", "json_schema": schema},
        verbosity="low",
        reasoning_effort="high",
        max_tokens=5,
        max_completion_tokens=50,
        logprobs=True,
        top_logprobs=2,
    )
    assert said["text"] == {"format": {"type": "json_schema", **schema}, "verbosity": "low"}
    assert (said["reasoning"], said["max_output_tokens"], said["top_logprobs"]) == ({"effort": "high"}, 50, 2)
    assert said["include"] == ["message.output_text.logprobs"]
    assert translated(response_format={"type": "json_object"})["text"] == {"format": {"type": "json_object"}}
    assert "text" not in translated(response_format={"type": "text"})
    assert translated(max_tokens=5)["max_output_tokens"] == 5


@pytest.mark.parametrize(
    ("budget", "effort"), [(1024, "low"), (4096, "low"), (4097, "medium"), (16_384, "medium"), (31_999, "high")]
)
def test_budget_for_thinking_is_said_as_an_effort(budget: int, effort: str) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert translated(thinking=thinking)["reasoning"] == {"effort": effort}
    assert translated(thinking=thinking, reasoning_effort="minimal")["reasoning"] == {"effort": "minimal"}


def test_fields_of_the_same_name_and_meaning() -> None:
    same = {
        "temperature": 0.5,
        "top_p": 0.9,
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "store": True,
    }
    said = translated(**same)
    assert {name: said[name] for name in same} == same


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("stop", ["x"]),
        ("logit_bias", {"1": 5}),
        ("frequency_penalty", 0.5),
        ("presence_penalty", 1),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy"}),
        ("functions", [{"name": "f"}]),
        ("top_k", 5),
        ("vendor_extra", 1),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert (error.fault, error.code, error.param) == ("unsupported", "unsupported_parameter", name)
    assert not error.is_callers_fault


@pytest.mark.parametrize(
    "fields", [{"n": 1}, {"stop": None}, {"stop": []}, {"logit_bias": {}}, {"presence_penalty": 0}, {"modalities": ["text"]}]
)
def test_what_asks_for_nothing_is_not_refused(fields: Json) -> None:
    assert translated(**fields) == translated()


def test_hints_are_left_out() -> None:
    values: Json = {"seed": 1, "prediction": {"type": "content", "content": "x"}, "cache_control": {"type": "ephemeral"}}
    said = translated(**values, thinking={"type": "disabled"})
    assert {*values, "thinking"} == HINTS
    assert said == translated()


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "function", "name": "f", "content": "x"}, "messages[0]"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}, "messages[0]"),
        ({"role": "assistant", "content": None, "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[0].content[0]"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "hologram"}]}, "messages[0].tool_calls[0]"),
    ],
)
def test_message_that_cannot_be_carried_is_refused_by_name(message: Json, param: str) -> None:
    error = refused(message)
    assert (error.fault, error.param) == ("unsupported", param)


@pytest.mark.parametrize(
    "fields", [{"max_tokens": "many"}, {"tools": [{"function": {}}]}, {"messages": [{"role": "user", "content": 5}]}]
)
def test_what_is_no_chat_request_is_the_callers_fault(fields: Json) -> None:
    with pytest.raises(UpstreamError) as caught:
        responses_body(json.dumps({"messages": [ASKED], **fields}).encode(), "m", is_stream=False)
    assert (caught.value.is_callers_fault, caught.value.status) == (True, 400)


# Nothing is lost: from chat to Responses, and from there, as the gateway reads a caller's, to chat again.

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
TEXTS = st.text(min_size=1, max_size=12)
IMAGES = st.sampled_from(["auto", "low", "high"]).map(
    lambda detail: {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": detail}}
)
FILES = st.sampled_from([{"file_id": "f"}, {"file_url": "https://a.example/f"}, {"file_data": "data:,", "filename": "f"}]).map(
    lambda file: {"type": "file", "file": file}
)
PARTS = st.one_of(TEXTS.map(lambda text: {"type": "text", "text": text}), IMAGES, FILES)
# With an image in front, since texts alone become one.
SHOWN = st.tuples(IMAGES, st.lists(PARTS, max_size=3)).map(lambda t: [t[0], *t[1]])
CONTENTS = st.one_of(TEXTS, SHOWN)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A question, and maybe what the model called and got for it."""
    said: list[Json] = [{"role": "user", "content": draw(CONTENTS)}]
    calls: list[Json] = []
    for id_ in draw(st.lists(st.uuids().map(str), max_size=3, unique=True)):
        name, text = draw(NAMES), draw(st.text(max_size=12))
        custom = {"id": id_, "type": "custom", "custom": {"name": name, "input": text}}
        function = {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps({"x": text})}}
        calls.append(draw(st.sampled_from([custom, function])))
    content = draw(TEXTS if not calls else st.one_of(st.none(), TEXTS))
    said.append({"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})})
    return [*said, *({"role": "tool", "tool_call_id": call["id"], "content": draw(CONTENTS)} for call in calls)]


TOOLS = st.lists(
    st.one_of(
        st.tuples(NAMES, TEXTS, st.booleans()).map(
            lambda t: {
                "type": "function",
                "function": {"name": t[0], "description": t[1], "parameters": {"type": "object"}, "strict": t[2]},
            }
        ),
        NAMES.map(lambda name: {"type": "custom", "custom": {"name": name, "format": {"type": "text"}}}),
    ),
    min_size=1,
    max_size=3,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "tools": TOOLS,
        "max_completion_tokens": st.integers(16, 1000),
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "verbosity": st.sampled_from(["low", "high"]),
        "user": TEXTS,
        "response_format": st.sampled_from(
            [
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
            ]
        ),
        "service_tier": st.sampled_from(["auto", "flex"]),
        "logprobs": st.just(True),
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(turns(), min_size=1, max_size=3), FIELDS)
def test_a_request_comes_back_as_it_went(conversation: list[list[Json]], fields: Json) -> None:
    messages = [message for turn in conversation for message in turn]
    given: Json = translated(*messages, **fields)
    read = read_body(given)
    items = [(f"input[{i}]", item) for i, item in enumerate(given_items(read))]
    body, only = canonical_body(read, given, items)
    assert only == ()
    assert json.loads(body) == {"model": "gpt-real", "messages": messages, **fields}
