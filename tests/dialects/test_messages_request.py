"""An Anthropic request in the canonical form: what becomes what, what only Anthropic can hold, and what is wrong with a body."""

import asyncio
import json
from typing import Any

import pytest

from gateway.chat import read_head
from gateway.dialects.messages_mending import mended
from gateway.dialects.messages_request import Canonical, canonical
from gateway.edge.dialect import Incoming
from gateway.edge.messages import MessagesDialect
from gateway.errors import ClientError
from gateway.request import ChatRequest
from gateway.tenant import ANONYMOUS

PNG = "iVBORw0KGgo="
MARK = {"type": "ephemeral", "ttl": "1h"}
HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"], "additionalProperties": False}
TOOL = {"name": "weather", "description": "d", "input_schema": SCHEMA}


def body_of(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "max_tokens": 64, "messages": HI, **fields}).encode()


def read(**fields: Any) -> Canonical:
    found = canonical(body_of(**fields))
    read_head(found.body)  # the gateway can read what it made
    return found


def chat(**fields: Any) -> dict[str, Any]:
    """The request in the canonical form, which holds all of it."""
    found = read(**fields)
    assert found.only == ()
    return dict(json.loads(found.body))


def said(*turns: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = chat(messages=list(turns))["messages"]
    return messages


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def call(id_: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "weather", "input": {"place": "Rome"}, **more}


def result(id_: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, **more}


def incoming(body: bytes, **headers: str) -> ChatRequest:
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    given = Incoming("req_1", body, raw, b"beta=true", ANONYMOUS)
    return asyncio.run(MessagesDialect().read(given))


def refused(body: bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        incoming(body)
    assert caught.value.status == 400
    return caught.value


# --- turns


def test_a_question_keeps_its_words() -> None:
    assert chat() == {"model": "auto", "max_tokens": 64, "messages": HI}


def test_the_system_prompt_comes_first_with_its_marks() -> None:
    assert chat(system="Be brief.")["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    blocks = [text("Be brief.", cache_control=MARK), text("Say tu.")]
    assert chat(system=blocks)["messages"] == [{"role": "system", "content": blocks}, *HI]
    assert chat(system="")["messages"] == chat(system=[])["messages"] == HI


def test_what_claude_code_says_to_anthropic_of_itself_is_no_part_of_the_prompt() -> None:
    billing = text("x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;")
    assert chat(system=[billing, text("Be brief.")]) == chat(system=[text("Be brief.")])
    assert chat(system=[billing])["messages"] == HI


def test_a_system_message_between_turns_stays_there() -> None:
    messages = said(HI[0], {"role": "system", "content": "Now in French."})
    assert messages == [HI[0], {"role": "system", "content": "Now in French."}]


def test_a_lone_text_is_a_string_and_a_marked_one_a_part() -> None:
    assert said(user(text("a"))) == [{"role": "user", "content": "a"}]
    assert said(user(text("a", cache_control=MARK))) == [user(text("a", cache_control=MARK))]
    assert said(user(text("a"), text("b"))) == [user(text("a"), text("b"))]


def test_pictures_and_documents_become_parts_in_their_order() -> None:
    [message] = said(
        user(
            text("Look:"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}, "cache_control": MARK},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, "title": "a"},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        )
    )
    assert message["content"] == [
        text("Look:"),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}, "cache_control": MARK},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a"}},
        {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}},
    ]


def test_documents_of_text_and_search_results_become_framed_text() -> None:
    plain = {"type": "text", "media_type": "text/plain", "data": "Once."}
    [message] = said(
        user(
            {"type": "document", "source": plain, "title": 'A "tale"', "context": "old", "cache_control": MARK},
            {"type": "document", "source": {"type": "content", "content": "Twice."}, "citations": {"enabled": False}},
            {"type": "search_result", "source": "https://x", "title": "T", "content": [text("found"), text("more")]},
        )
    )
    assert message["content"] == [
        text('<document title="A &quot;tale&quot;" context="old">\nOnce.\n</document>', cache_control=MARK),
        text("<document>\nTwice.\n</document>"),
        text('<search_result source="https://x" title="T">\nfound\nmore\n</search_result>'),
    ]


def test_a_document_with_pictures_or_a_context_stands_between_its_tags() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}
    pdf = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "context": "a plan", "cache_control": MARK}
    content = {"type": "document", "source": {"type": "content", "content": [text("p"), image]}}
    [message] = said(user(pdf, content))
    assert message["content"] == [
        text('<document context="a plan">'),
        {"type": "file", "file": {"file_url": "https://x/a.pdf"}},
        text("</document>", cache_control=MARK),
        text("<document>"),
        text("p"),
        {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
        text("</document>"),
    ]


def test_a_tool_loop() -> None:
    messages = said(
        HI[0],
        assistant(text("I look."), call("toolu_1"), call("toolu_2", cache_control=MARK)),
        user(
            text("Here:"),
            result("toolu_1", content="18 °C"),
            result("toolu_2", content=[text("no"), text("way")], is_error=True, cache_control=MARK),
            text("And?"),
        ),
    )
    function = {"name": "weather", "arguments": '{"place": "Rome"}'}
    assert messages == [
        HI[0],
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": function},
                {"id": "toolu_2", "type": "function", "function": function, "cache_control": MARK},
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "18 °C"},
        {
            "role": "tool",
            "tool_call_id": "toolu_2",
            "content": [text("no"), text("way")],
            "is_error": True,
            "cache_control": MARK,
        },
        user(text("Here:"), text("And?")),
    ]


def test_results_stand_right_behind_their_calls_whatever_the_user_said_before() -> None:
    messages = said(
        assistant(call("a")), assistant(call("b")), user(text("wait")), user(result("b", content="2")), user(result("a"))
    )
    assert [(m["role"], m.get("tool_call_id", m["content"])) for m in messages] == [
        ("assistant", None),
        ("tool", "b"),
        ("tool", "a"),
        ("user", "wait"),
    ]
    assert [c["id"] for c in messages[0]["tool_calls"]] == ["a", "b"]


def test_a_result_may_show_pictures() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    [_, message] = said(assistant(call()), user(result(content=[image])))
    assert message["content"] == [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]


def test_thinking_goes_with_its_signature_and_unsigned_thinking_as_text() -> None:
    signed = {"type": "thinking", "thinking": "Hm. ", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    found = read(messages=[*HI, assistant(signed, redacted, {**signed, "signature": ""}, text("Yes."))])
    [_, message] = json.loads(found.body)["messages"]
    assert message == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm. Hm. ",
        "thinking_blocks": [signed, redacted],
    }
    assert (found.only, found.is_mended) == ((), True)
    assert not read(messages=[*HI, assistant(signed, redacted, text("Yes."))]).is_mended


# --- fields


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"stream": True}, {"stream": True}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
        ({"stop_sequences": []}, {}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {"user_id": None}}, {}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"cache_control": MARK}, {"cache_control": MARK}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"thinking": {"type": "adaptive", "display": "omitted"}}),
        ({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA, "strict": True}}},
        ),
        (
            {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": False},
                }
            },
        ),
        ({"speed": "standard", "container": None, "mcp_servers": None}, {}),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, {}),
        ({"tool_choice": {"type": "auto"}}, {}),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
    ],
)
def test_fields(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert chat(**given) == {**chat(), **expected}


def test_tools() -> None:
    strict = {**TOOL, "strict": True, "cache_control": MARK, "type": "custom", "eager_input_streaming": True}
    fields = chat(tools=[strict, {"name": "now", "input_schema": {"type": "object"}, "allowed_callers": ["direct"]}])
    assert fields["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "d", "parameters": SCHEMA, "strict": True},
            "cache_control": MARK,
        },
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "weather"}, {"tool_choice": {"type": "function", "function": {"name": "weather"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = chat(tools=[TOOL], tool_choice=choice)
    assert {name: fields[name] for name in ("tool_choice", "parallel_tool_calls") if name in fields} == expected


def test_what_a_coding_agent_sends_can_be_asked_of_any_provider() -> None:
    tools = [{**TOOL, "eager_input_streaming": True, "strict": False}, {**TOOL, "name": "now", "cache_control": MARK}]
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    turns = [
        user(text("<system-reminder>…</system-reminder>"), text("Fix it.", cache_control=MARK)),
        assistant(thought, text("I look."), call()),
        user(result(content=[text("18 °C")], is_error=False, cache_control=MARK)),
    ]
    found = read(
        system=[text("You are an agent."), text("Be brief.", cache_control=MARK)],
        messages=turns,
        tools=tools,
        tool_choice={"type": "auto"},
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": "u" * 150},
        max_tokens=32_000,
        temperature=1,
        stream=True,
    )
    assert (found.only, found.is_mended) == ((), False)


# --- what only Anthropic can hold

SERVER_USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
PDF = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}

ONLY: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]}, ("tools.1.type",)),
    (
        {"tools": [{**TOOL, "input_examples": [{"place": "Rome"}], "defer_loading": True}]},
        ("tools.0.input_examples", "tools.0.defer_loading"),
    ),
    ({"messages": [*HI, assistant(SERVER_USE, text("a"))]}, ("messages.1.content.0",)),
    ({"messages": [user({**PDF, "citations": {"enabled": True}})]}, ("messages.0.content.0.citations.enabled",)),
    ({"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]}, ("messages.0.content.0.source",)),
    ({"messages": [user({"type": "document", "source": {"type": "file", "file_id": "f"}})]}, ("messages.0.content.0.source",)),
    ({"messages": [user({"type": "container_upload", "file_id": "f"})]}, ("messages.0.content.0",)),
    ({"messages": [user(text("a", tomorrow=1))]}, ("messages.0.content.0.tomorrow",)),
    (
        {"messages": [assistant(call(caller={"type": "code_execution_20250825", "tool_id": "s"}))]},
        ("messages.0.content.0.caller",),
    ),
    (
        {"messages": [assistant(call()), user(result(content=[{"type": "tool_reference", "tool_name": "x"}]))]},
        ("messages.1.content.0.content.0",),
    ),
    ({"max_tokens": 0}, ("max_tokens",)),
    ({"mcp_servers": [{"name": "x"}]}, ("mcp_servers",)),
    ({"container": "c"}, ("container",)),
    ({"inference_geo": "eu"}, ("inference_geo",)),
    ({"speed": "fast"}, ("speed",)),
    ({"metadata": {"user_id": "u", "tomorrow": 1}}, ("metadata.tomorrow",)),
    ({"output_config": {"effort": "low", "task_budget": {}}}, ("output_config.task_budget",)),
    ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, ("context_management.edits.0",)),
    ({"a_field_of_tomorrow": 1, "thread": {"type": "create"}}, ("thread", "a_field_of_tomorrow")),
]


@pytest.mark.parametrize(("fields", "only"), ONLY)
def test_what_only_anthropic_can_hold_is_named(fields: dict[str, Any], only: tuple[str, ...]) -> None:
    assert read(**fields).only == only
    request = incoming(body_of(**fields))
    assert request.native is not None
    assert request.native.only == only
    assert request.native.body == body_of(**fields)


# --- what is wrong with a body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        ({"messages": [user({"text": "x"})]}, "messages.0.content.0.type"),
        ({"messages": [user(text("a"), {"type": "text", "text": 5})]}, "messages.0.content.1.text"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text"),
        ({"messages": [user(text("a", cache_control="yes"))]}, "messages.0.content.0.cache_control"),
        ({"messages": [user({"type": "image", "source": "x"})]}, "messages.0.content.0.source"),
        (
            {"messages": [user({"type": "image", "source": {"type": "base64", "data": "x"}})]},
            "messages.0.content.0.source.media_type",
        ),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.0.source"),
        (
            {"messages": [user({"type": "search_result", "source": "s", "title": "t", "content": "x"})]},
            "messages.0.content.0.content",
        ),
        ({"messages": [user({"type": "tool_result"})]}, "messages.0.content.0.tool_use_id"),
        ({"messages": [user(result(is_error="no"))]}, "messages.0.content.0.is_error"),
        ({"messages": [assistant(call(input="x"))]}, "messages.0.content.0.input"),
        ({"messages": [assistant({"type": "thinking"})]}, "messages.0.content.0.thinking"),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": ["x"]}, "tools.0"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [5]}, "stop_sequences.0"),
        ({"temperature": "hot"}, "temperature"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"service_tier": "fast"}, "service_tier"),
        ({"output_config": {"effort": 5}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"context_management": {"edits": [{}]}}, "context_management.edits.0.type"),
        ({"thinking": True}, "thinking"),
    ],
)
def test_a_wrong_field_is_named_as_anthropic_names_it(fields: dict[str, Any], param: str) -> None:
    error = refused(body_of(**fields))
    assert error.param == param
    assert error.message.startswith((f"{param}: ", f"`{param}`"))


def test_a_missing_bound_is_named() -> None:
    error = refused(json.dumps({"model": "auto", "messages": HI}).encode())
    assert (error.param, error.message) == ("max_tokens", "`max_tokens` is missing")


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'{"model": "\xff"}', b'{"a":' * 100_000])
def test_a_body_that_is_no_object(body: bytes) -> None:
    assert refused(body).code in ("invalid_json", "invalid_type")


def test_a_schema_that_is_nested_too_deeply_is_the_callers_error() -> None:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    head = body_of()[:-1] + b', "output_config": {"format": {"type": "json_schema", "schema": '
    assert refused(head + deep + b"}}}").code == "invalid_json"


# --- the edge


def test_the_request_is_kept_as_it_came_with_the_headers_that_belong_to_it() -> None:
    body = body_of(stream=True)
    request = incoming(body, anthropic_version="2023-06-01", anthropic_beta="a,b", x_other="c")
    assert (request.dialect, request.is_stream, request.output_bound) == ("anthropic_messages", True, 64)
    assert request.native is not None
    assert (request.native.dialect, request.native.body) == ("anthropic_messages", body)
    assert request.native.headers == {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    native = incoming(body).native
    assert native is not None
    assert native.headers == {}


def test_what_another_provider_said_is_mended_before_anthropic_sees_it() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    odd, even = "functions.weather:0", "call_1"
    turns = [
        *HI,
        assistant(unsigned),
        assistant(unsigned, text("a"), call(odd, caller={"type": "direct"}), call(even)),
        user(result(odd, content="1"), result(even, content="2")),
    ]
    native = incoming(body_of(messages=turns)).native
    assert native is not None
    first, second, third = json.loads(native.body)["messages"]
    assert first == HI[0]
    assert [block["type"] for block in second["content"]] == ["text", "tool_use", "tool_use"]
    id_ = second["content"][1]["id"]
    assert id_.startswith("functions_weather_0_")
    assert [block["tool_use_id"] for block in third["content"]] == [id_, even]
    assert second["content"][1] == {**call(id_), "caller": {"type": "direct"}}
    assert mended(native.body) == native.body


def test_how_to_choose_among_no_tools_says_nothing() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert chat(tool_choice=choice).keys().isdisjoint({"tool_choice", "parallel_tool_calls"})
