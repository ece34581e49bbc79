"""Requests that came in another dialect, as servers of OpenAI's chat dialect take them."""

import json
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway.errors import UpstreamError
from gateway.providers.openai_request import HINTS, openai_body
from gateway.providers.openai_server import Server, server_at

Json = dict[str, Any]

OPENAI, GROQ, OTHER = Server(is_openai=True, is_strict=True), Server(is_strict=True), Server()
ASKED: Json = {"role": "user", "content": "Say hi"}
CALLS: Json = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
MARK: Json = {"type": "ephemeral"}
IMAGE: Json = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}
FILE: Json = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}
_PARAMS = TypeAdapter[Any](CompletionCreateParamsNonStreaming)


def sent(*messages: Json, to: Server = OPENAI, is_stream: bool = False, **fields: Any) -> Json:
    body = json.dumps({"model": "auto", "messages": list(messages) or [ASKED], **fields}).encode()
    said: Json = json.loads(openai_body(body, "gpt-real", to, is_stream=is_stream))
    if to is OPENAI:
        _PARAMS.validate_python(said)
    return said


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("https://api.openai.com/v1", OPENAI),
        ("https://eu.openai.azure.com/openai/v1", OPENAI),
        ("https://api.groq.com/openai/v1", GROQ),
        ("https://api.mistral.ai/v1", GROQ),
        ("http://127.0.0.1:8000/v1", OTHER),
        ("https://api.openai.com.example/v1", OTHER),
    ],
)
def test_servers_are_known_by_their_address(base_url: str, server: Server) -> None:
    assert server_at(base_url) == server


def test_fields_of_the_gateways_own_do_not_reach_openai() -> None:
    thought = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}], "reasoning_content": "hm"}
    said = sent(
        {"role": "system", "content": [{"type": "text", "text": "A", "cache_control": MARK}, {"type": "text", "text": "B"}]},
        {"role": "user", "content": [{"type": "text", "text": "See", "cache_control": MARK}, {**IMAGE, "cache_control": MARK}]},
        {**CALLS, **thought},
        {"role": "tool", "tool_call_id": "call_1", "content": "broken", "is_error": True, "cache_control": MARK},
        {"role": "assistant", "content": [{"type": "text", "text": "It "}, {"type": "text", "text": "broke."}]},
        tools=[{"type": "function", "function": {"name": "look"}, "cache_control": MARK}],
        cache_control=MARK,
    )
    assert said == {
        "model": "gpt-real",
        "messages": [
            {"role": "system", "content": "A\n\nB"},
            {"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]},
            {**CALLS, "content": None},
            {"role": "tool", "tool_call_id": "call_1", "content": "broken"},
            {"role": "assistant", "content": "It broke."},
        ],
        "tools": [{"type": "function", "function": {"name": "look"}}],
    }


def test_stream_is_asked_for_its_usage() -> None:
    options = {"include_obfuscation": False, "include_usage": False}
    assert sent(to=OTHER, is_stream=True, stream=True, stream_options=options)["stream_options"] == {
        **options,
        "include_usage": True,
    }


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, "low"),
        ({"type": "enabled", "budget_tokens": 4096}, "low"),
        ({"type": "enabled", "budget_tokens": 10_000}, "medium"),
        ({"type": "enabled", "budget_tokens": 31_999}, "high"),
        ({"type": "adaptive"}, None),
        ({"type": "disabled"}, None),
        ("odd", None),
    ],
)
def test_thinking_is_said_as_an_effort(thinking: Any, effort: str | None) -> None:
    for server in (OPENAI, GROQ, OTHER):
        said = sent(thinking=thinking, to=server)
        assert (said.get("reasoning_effort"), "thinking" in said) == (effort, False)
    assert sent(thinking=thinking, reasoning_effort="minimal")["reasoning_effort"] == "minimal"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("server", "known"), [(OPENAI, "max_completion_tokens"), (GROQ, "max_tokens"), (OTHER, "max_tokens")], ids=str
)
def test_bound_has_the_name_that_the_server_knows(name: str, server: Server, known: str) -> None:
    said = sent(to=server, **{name: 5})
    assert {key: value for key, value in said.items() if key.startswith("max_")} == {known: 5}


def test_newer_bound_wins() -> None:
    assert sent(max_tokens=5, max_completion_tokens=0)["max_completion_tokens"] == 0


def test_developer_is_a_role_of_openais_only() -> None:
    message = {"role": "developer", "content": "Be brief."}
    assert [sent(message, ASKED, to=to)["messages"][0]["role"] for to in (OPENAI, GROQ, OTHER)] == [
        "developer",
        "system",
        "system",
    ]


def test_reasoning_goes_back_where_servers_take_it() -> None:
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "hm"}
    assert ["reasoning_content" in sent(ASKED, message, to=to)["messages"][1] for to in (OPENAI, GROQ, OTHER)] == [
        False,
        False,
        True,
    ]


def test_top_k_is_refused_where_it_is_not_known() -> None:
    assert sent(to=OTHER, top_k=5)["top_k"] == 5
    for server in (OPENAI, GROQ):
        with pytest.raises(UpstreamError) as caught:
            sent(to=server, top_k=5)
        assert (caught.value.fault, caught.value.code, caught.value.param) == ("unsupported", "unsupported_parameter", "top_k")


def test_hints_reach_openai_alone() -> None:
    hints: Json = {name: {"a": "b"} if name == "metadata" else "auto" for name in HINTS - {"prompt_cache_options"}}
    hints = {**hints, "store": False, "prompt_cache_retention": "24h"}
    assert {name: value for name, value in sent(**hints).items() if name in HINTS} == hints
    assert not HINTS & sent(to=GROQ, **hints).keys()


def test_mark_of_openais_for_its_cache_stays_at_openai() -> None:
    part = {"type": "text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert sent({"role": "user", "content": [part]})["messages"][0]["content"] == [part]
    assert sent({"role": "user", "content": [part]}, to=OTHER)["messages"][0]["content"] == "long"


def test_images_of_tool_results_follow_in_the_next_user_message() -> None:
    result = {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "Seen:"}, IMAGE, FILE]}
    other = {"role": "tool", "tool_call_id": "call_2", "content": [IMAGE]}
    shown = [
        *({"type": "text", "text": "[image 1]"}, IMAGE, {"type": "text", "text": "[file 2]"}, FILE),
        *({"type": "text", "text": "[image 3]"}, IMAGE),
    ]
    results: list[Json] = [
        {"role": "tool", "tool_call_id": "call_1", "content": "Seen:\n\n[image 1]\n\n[file 2]"},
        {"role": "tool", "tool_call_id": "call_2", "content": "[image 3]"},
    ]
    ended = sent(ASKED, CALLS, result, other)["messages"][2:]
    assert ended == [*results, {"role": "user", "content": shown}]
    asked_on = sent(ASKED, CALLS, result, other, {"role": "user", "content": "And?"})["messages"][2:]
    assert asked_on == [*results, {"role": "user", "content": [*shown, {"type": "text", "text": "And?"}]}]
    went_on = sent(ASKED, CALLS, result, other, {"role": "assistant", "content": "I see."}, ASKED)["messages"][2:]
    assert went_on == [*results, {"role": "user", "content": shown}, {"role": "assistant", "content": "I see."}, ASKED]


def test_address_of_a_file_is_refused_by_name() -> None:
    with pytest.raises(UpstreamError) as caught:
        sent({"role": "user", "content": [{"type": "file", "file": {"file_url": "https://a.example/x.pdf"}}]})
    assert (caught.value.fault, caught.value.param) == ("unsupported", "messages[0].content[0].file.file_url")


def test_tool_result_without_content_is_empty_text() -> None:
    assert sent(ASKED, CALLS, {"role": "tool", "tool_call_id": "call_1", "content": None})["messages"][2]["content"] == ""


def test_unknown_fields_pass() -> None:
    assert sent(to=OTHER, min_p=0.1)["min_p"] == 0.1


def test_user_longer_than_openai_takes_is_hashed() -> None:
    claude_codes = f"user_{'a' * 64}_account__session_{'b' * 36}"
    hashed = sent(user=claude_codes)["user"]
    assert len(hashed) == 64
    assert hashed != sent(user=claude_codes + "c")["user"]
    assert sent(user="u" * 64)["user"] == "u" * 64
