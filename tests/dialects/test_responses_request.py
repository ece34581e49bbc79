"""Responses requests in the canonical form: what is carried, what is named as having no place, and what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway import chat
from gateway.dialects.responses_request import canonical_body, given_items, lacks_input, native_body, read_body
from gateway.dialects.sealed_reasoning import PREFIX, Sealed, seal
from gateway.errors import ClientError

Json = dict[str, Any]
SIGNED: Json = {"type": "thinking", "thinking": "let me see", "signature": "c2ln"}
FUNCTION: Json = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}


def translated(**fields: Any) -> tuple[Json, list[str]]:
    """The canonical request, and the paths of what is not in it."""
    given = {"model": "m", "input": "hi", **fields}
    body = read_body(given)
    items = [(f"input[{i}]", item) for i, item in enumerate(given_items(body))]
    canonical, only = canonical_body(body, given, items)
    chat.read_head(canonical)  # it is a chat request
    return msgspec.json.decode(canonical), list(only)


def messages(*items: Json) -> list[Json]:
    found, only = translated(input=list(items))
    assert only == []
    kept: list[Json] = found["messages"]
    return kept


def refusal(**fields: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        translated(**fields)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, True),
        ({"model": "m", "instructions": "Be brief.", "input": None}, True),
        ({"input": "x"}, False),
        ({"previous_response_id": "resp_1"}, False),
        ({"conversation": "conv_1"}, False),
        ({"prompt": {"id": "pmpt_1"}}, False),
    ],
)
def test_a_request_that_asks_nothing_is_for_its_own_dialect_alone(given: Json, lacks: bool) -> None:
    body = read_body(given)
    assert body.model == given.get("model", "auto")
    _, only = canonical_body(body, given, [])
    assert ("input" in only) == lacks == lacks_input(body, given)


def test_a_text_is_what_the_user_says_and_instructions_come_first() -> None:
    found, only = translated(input="Hello", instructions="Be brief.")
    assert found == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }
    assert only == []


def test_messages_of_all_roles_with_and_without_their_type() -> None:
    assert messages(
        {"role": "developer", "content": "Speak French."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Salut", "annotations": [], "logprobs": []}]},
        {"role": "user", "content": "Encore"},
    ) == [
        {"role": "developer", "content": "Speak French."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Salut"},
        {"role": "user", "content": "Encore"},
    ]  # fmt: skip


def test_images_files_and_sounds() -> None:
    [message] = messages(
        {"role": "user", "content": [
            {"type": "input_text", "text": "Compare", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "input_file", "file_url": "https://example.com/b.pdf"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ]}
    )  # fmt: skip
    assert message["content"] == [
        {"type": "text", "text": "Compare", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_url": "https://example.com/b.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_one_turn_of_the_model_is_one_message_whatever_items_it_stands_in() -> None:
    assert messages(
        {"role": "user", "content": "Weather in Rome and Oslo?"},
        {"type": "reasoning", "id": "rs_turnout_1", "summary": [{"type": "summary_text", "text": "let me see"}],
         "encrypted_content": seal(Sealed(thinking_blocks=[SIGNED]))},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"at":"Rome"}'},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "shell", "input": "date"},
        {"type": "function_call_output", "call_id": "c1", "output": "sun"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "today"},
                                                                       {"type": "input_image", "image_url": "u"}]},
        {"role": "user", "content": "And?"},
    ) == [
        {"role": "user", "content": "Weather in Rome and Oslo?"},
        {"role": "assistant", "content": "I look.", "reasoning_content": "let me see", "thinking_blocks": [SIGNED],
         "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"Rome"}'}},
            {"id": "c2", "type": "custom", "custom": {"name": "shell", "input": "date"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "today"},
                                                           {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip


def test_reasoning_of_openais_own_stays_encrypted_and_goes_on() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    [_, message] = messages({"role": "user", "content": "x"}, item, {"role": "assistant", "content": "y"})
    assert message["reasoning_details"] == [
        {"type": "reasoning.encrypted", "id": "rs_1", "data": "gAAAA", "format": "openai-responses-v1"}
    ]
    assert "reasoning_content" not in message


def test_a_refusal_stays_one() -> None:
    [_, message] = messages(
        {"role": "user", "content": "x"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
    )
    assert message == {"role": "assistant", "content": None, "refusal": "I cannot."}


def test_tools_and_which_of_them() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    found, only = translated(
        tools=[FUNCTION, {"type": "custom", "name": "shell", "format": grammar}],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
    )
    assert only == []
    assert found["tools"] == [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}},
        {"type": "custom", "custom": {"name": "shell", "format": {
            "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}}}},
    ]  # fmt: skip
    assert found["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert found["parallel_tool_calls"] is False


def test_tools_that_are_allowed() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}
    found, _ = translated(tools=[FUNCTION], tool_choice=choice)
    named = {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]}
    assert found["tool_choice"] == {"type": "allowed_tools", "allowed_tools": named}


def test_how_to_choose_says_nothing_without_tools() -> None:
    found, only = translated(tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert found.keys() == {"model", "messages"}
    assert only == []


def test_what_the_answer_is_to_be_like() -> None:
    schema = {"type": "object"}
    found, only = translated(
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=3,
        service_tier="flex",
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        metadata={"a": "b"},
        store=True,
        stream=True,
        stream_options={"include_obfuscation": False},
        truncation="disabled",
        background=False,
    )
    assert only == []
    assert found | {"messages": 0} == {
        "model": "m",
        "messages": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        "verbosity": "low",
        "reasoning_effort": "high",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 100,
        "logprobs": True,
        "top_logprobs": 3,
        "service_tier": "flex",
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "stream": True,
    }


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": [FUNCTION, {"type": "web_search"}]}, ["tools[1].type"]),
        ({"tools": [{**FUNCTION, "defer_loading": True}]}, ["tools[0].defer_loading"]),
        ({"tools": [{**FUNCTION, "defer_loading": False, "allowed_callers": ["direct"]}]}, []),
        ({"tools": [{**FUNCTION, "allowed_callers": ["programmatic"]}]}, ["tools[0].allowed_callers"]),
        ({"tool_choice": {"type": "file_search"}}, ["tool_choice.type"]),
        ({"conversation": "conv_1"}, ["conversation"]),
        ({"prompt": {"id": "p"}}, ["prompt"]),
        ({"max_tool_calls": 3}, ["max_tool_calls"]),
        ({"truncation": "auto"}, ["truncation"]),
        ({"made_up": 1}, ["made_up"]),
        ({"made_up": None}, []),
        ({"client_metadata": {"x": "y"}}, []),
        ({"reasoning": {"context": "all_turns"}}, ["reasoning.context"]),
        ({"text": {"made_up": 1}}, ["text.made_up"]),
        ({"include": ["made.up"]}, ["include[0]"]),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, ["input[0].type"]),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, ["input[0]"]),
        ({"input": [{"id": "msg_1"}]}, ["input[0]"]),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, ["input[0].content[0].file_id"]),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, ["input[0].content[0].type"]),
        ({"input": [{"role": "user", "content": "x", "made_up": 1}]}, ["input[0].made_up"]),
        ({"input": [{"role": "user", "content": "x", "phase": "commentary"}]}, []),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "n", "arguments": "", "parsed_arguments": {"a": 1}}]}, []),
    ],
)
def test_what_the_canonical_form_has_no_place_for_is_named(fields: Json, named: list[str]) -> None:
    assert translated(**fields)[1] == named


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 1}, "model"),
        ({"model": ""}, "model"),
        ({"input": 1}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": 1}]}, "input[0].type"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "filename": "x"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [{}]}]}, "input[0].output[0].type"),
        ({"input": [{"type": "reasoning", "encrypted_content": PREFIX + "?"}]}, "input[0].encrypted_content"),
        ({"input": [{"type": "reasoning", "encrypted_content": PREFIX + "W10="}]}, "input[0].encrypted_content"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "x"}]}, "tools[0].type"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "tools": 1}}, "tool_choice.tools"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"include": [1]}, "include[0]"),
        ({"truncation": "some"}, "truncation"),
        ({"background": True}, "background"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
    ],
)
def test_what_is_wrong_is_said_by_its_field(fields: Json, param: str) -> None:
    error = refusal(**fields)
    assert error.param == param
    assert param in error.message


def test_a_native_request_that_needs_no_change_keeps_its_bytes() -> None:
    raw = b'{ "model": "m",  "input": [{"role":"user","content":"x"}] }'
    assert native_body(raw, [{"role": "user", "content": "x"}], [], is_resolved=False) is raw


def test_a_native_request_has_none_of_our_reasoning_but_the_providers_own() -> None:
    own = {"type": "reasoning.encrypted", "id": "rs_1", "data": "gAAAA", "format": "openai-responses-v1"}
    user: Json = {"role": "user", "content": "x"}
    given: list[Json] = [
        user,
        {"type": "reasoning", "id": "rs_turnout_1", "encrypted_content": seal(Sealed(thinking_blocks=[SIGNED]))},
        {"type": "reasoning", "id": "rs_turnout_2", "summary": []},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": None},
        {"type": "reasoning", "id": "rs_turnout_3", "encrypted_content": seal(Sealed(reasoning_details=[own]))},
    ]
    raw = msgspec.json.encode({"model": "m", "input": given, "x": 1.0})
    sent = msgspec.json.decode(native_body(raw, given, [], is_resolved=False))
    assert sent == {
        "model": "m",
        "x": 1.0,
        "input": [user, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}],
    }


def test_a_native_request_that_goes_on_holds_all_of_the_conversation() -> None:
    before: list[Json] = [
        {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "n", "arguments": "{}"},
    ]
    output: Json = {"type": "function_call_output", "call_id": "c", "output": "y"}
    raw = msgspec.json.encode({"model": "m", "previous_response_id": "resp_1", "input": [output], "store": False})
    sent = msgspec.json.decode(native_body(raw, [output], before, is_resolved=True))
    assert sent == {
        "model": "m",
        "store": False,
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"},
            {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
            output,
        ],
    }
