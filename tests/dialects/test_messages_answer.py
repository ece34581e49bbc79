"""Chat completions said as Anthropic's messages: whole and as streams, read by Anthropic's own SDK."""

import json
from typing import Any

import anthropic
import pytest

from gateway.chat import sse
from gateway.chat_forms import to_events
from gateway.dialects.anthropic_errors import error_body
from gateway.dialects.messages_mending import mended
from gateway.dialects.messages_request import canonical
from gateway.dialects.messages_writer import MessagesWriter
from gateway.edge.error_response import error_response
from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, Refused, TurnoutError, UpstreamError
from gateway.reply import Closing
from gateway.usage import Usage
from tests.dialects.messages_sdk import ASKED, accumulated, client, kinds, parsed

USAGE = Usage(input=100, output=7, cached_input=60, cache_write=30, cache_write_1h=10, reasoning=3)


def writer() -> MessagesWriter:
    return MessagesWriter("req_1", 12)


def completion(message: dict[str, Any], finish: str = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    answer = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": "gpt-x", "choices": [choice], **fields}
    return json.dumps(answer).encode()


def whole(message: dict[str, Any], finish: str = "stop", **fields: Any) -> dict[str, Any]:
    return parsed(writer().whole(completion(message, finish, **fields), b""))


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return sse({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x", "choices": [choice]})


def stream(*chunks: bytes, closing: Closing | None = None) -> bytes:
    said = writer()
    return b"".join(map(said.events, chunks)) + said.end(closing or Closing(USAGE, 0.25))


def call(arguments: str, id_: str = "call_1", name: str = "f") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def part(index: int, arguments: str, id_: str | None = None, name: str | None = None) -> dict[str, Any]:
    begun = {} if id_ is None else {"id": id_, "type": "function"}
    function = {"arguments": arguments, **({} if name is None else {"name": name})}
    return {"tool_calls": [{"index": index, **begun, "function": function}]}


ROLE = chunk({"role": "assistant", "content": ""})


# --- whole


def test_a_text() -> None:
    message = whole({"content": "Hello"})
    assert (message["id"], message["role"], message["model"]) == ("msg_7", "assistant", "gpt-x")
    assert [(b["type"], b["text"], b["citations"]) for b in message["content"]] == [("text", "Hello", None)]
    assert (message["stop_reason"], message["stop_sequence"], message["stop_details"]) == ("end_turn", None, None)


def test_anthropics_own_id_is_kept() -> None:
    assert whole({"content": "a"}, id="msg_01")["id"] == "msg_01"
    assert whole({"content": "a"}, id=None)["id"].startswith("msg_")


def test_thinking_comes_first_then_text_then_calls() -> None:
    signed = {"type": "thinking", "thinking": "So.", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3A="}
    message = whole(
        {
            "tool_calls": [call('{"x": [1]}')],
            "content": "Hi",
            "thinking_blocks": [signed, redacted],
            "reasoning_content": "Hm. So.",
        },
        "tool_calls",
    )
    unsigned = {"type": "thinking", "thinking": "Hm. ", "signature": ""}
    assert message["content"][:3] == [unsigned, signed, redacted]
    assert message["content"][3]["text"] == "Hi"
    assert {k: message["content"][4][k] for k in ("type", "id", "name", "input")} == {
        "type": "tool_use",
        "id": "call_1",
        "name": "f",
        "input": {"x": [1]},
    }


@pytest.mark.parametrize(
    "said", [{"reasoning": "Hm."}, {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}]
)
def test_thinking_under_other_names(said: dict[str, Any]) -> None:
    assert whole(said)["content"] == [{"type": "thinking", "thinking": "Hm.", "signature": ""}]


def test_a_block_that_nobody_signed_is_said_once() -> None:
    message = {"reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}], "content": "Hi"}
    content = whole(message)["content"]
    assert content[0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}
    assert len(content) == 2
    assert accumulated(stream(chunk(message), chunk({}, "stop")))["content"] == content


@pytest.mark.parametrize("arguments", ['{"x": ', "five", "[1]", "null", '"a"', "[" * 100_000])
def test_arguments_that_are_no_object_are_handed_on_as_text(arguments: str) -> None:
    assert whole({"tool_calls": [call(arguments)]})["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_a_call_without_arguments_or_id() -> None:
    [block] = whole({"tool_calls": [call("", id_="")]})["content"]
    assert block["input"] == {}
    assert block["id"].startswith("toolu_")


@pytest.mark.parametrize(
    ("message", "finish", "stop_reason"),
    [
        ({"content": "a"}, "stop", "end_turn"),
        ({"content": "a"}, "length", "max_tokens"),
        ({"content": "a"}, "content_filter", "refusal"),
        ({"content": "a"}, "something_new", "end_turn"),
        ({"tool_calls": [call("{}")]}, "tool_calls", "tool_use"),
        ({"tool_calls": [call("{}")]}, "stop", "tool_use"),
        ({"tool_calls": [call("{}")]}, "length", "max_tokens"),
        ({"refusal": "No."}, "stop", "refusal"),
    ],
)
def test_stop_reasons(message: dict[str, Any], finish: str, stop_reason: str) -> None:
    assert whole(message, finish)["stop_reason"] == stop_reason
    calls = [{**c, "index": i} for i, c in enumerate(message.get("tool_calls", []))]
    delta = {**message, **({"tool_calls": calls} if calls else {})}
    assert accumulated(stream(chunk(delta), chunk({}, finish)))["stop_reason"] == stop_reason


def test_a_refusal_is_said_and_explained() -> None:
    message = whole({"refusal": "I will not."})
    assert [block["text"] for block in message["content"]] == ["I will not."]
    assert message["stop_details"] == {"type": "refusal", "category": None, "explanation": "I will not."}


def test_the_text_that_ended_it_is_told_where_the_server_told_it() -> None:
    body = json.loads(completion({"content": "a"}))
    body["choices"][0]["stop_reason"] = "END"
    message = parsed(writer().whole(json.dumps(body).encode(), b""))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    body["choices"][0]["stop_reason"] = 128_009  # a token's number, as vLLM has it
    assert parsed(writer().whole(json.dumps(body).encode(), b""))["stop_reason"] == "end_turn"
    streamed = accumulated(stream(chunk({"content": "a"}), chunk({}, "stop", stop_reason="END")))
    assert (streamed["stop_reason"], streamed["stop_sequence"]) == ("stop_sequence", "END")


def test_the_text_that_ended_it_is_told_of_a_whole_answer_in_a_stream() -> None:
    answer = {"id": "c", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop", "stop_reason": "END"}]}
    message = accumulated(stream(to_events(json.dumps(answer).encode())))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_usage_tells_apart_what_the_cache_had() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "total_tokens": 107,
        "prompt_tokens_details": {
            "cached_tokens": 60,
            "cache_write_tokens": 30,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 10},
        },
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    told = whole({"content": "a"}, usage=usage, service_tier="priority")["usage"]
    assert {name: value for name, value in told.items() if value is not None} == {
        "input_tokens": 10,
        "output_tokens": 7,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens_details": {"thinking_tokens": 3},
        "service_tier": "priority",
    }
    assert whole({"content": "a"}, service_tier="flex")["usage"]["service_tier"] is None
    assert whole({"content": "a"}, service_tier="default")["usage"]["service_tier"] == "standard"


def test_web_pages_are_cited() -> None:
    page = {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 0, "end_index": 1}}
    [block] = whole({"content": "a", "annotations": [page]})["content"]
    assert [(c["type"], c["url"], c["title"]) for c in block["citations"]] == [("web_search_result_location", "https://x", "X")]
    [streamed] = accumulated(stream(chunk({"content": "a"}), chunk({"annotations": [page]}), chunk({}, "stop")))["content"]
    assert streamed["citations"] == block["citations"]


def test_an_answer_in_the_dialect_passes_as_it_came() -> None:
    assert writer().whole(completion({"content": "a"}), b'{"type": "message", "x": 1}') == b'{"type": "message", "x": 1}'


# --- streams


def test_the_events_are_in_anthropics_order() -> None:
    data = stream(ROLE, chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))
    assert kinds(data) == [
        ("message_start", None),
        ("ping", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("message_delta", None),
        ("message_stop", None),
    ]
    message = accumulated(data)
    assert (message["id"], message["model"], message["content"][0]["text"]) == ("msg_7", "gpt-x", "Hello")


def test_the_last_usage_tells_the_cost() -> None:
    seen: list[Any] = []
    message = accumulated(stream(ROLE, chunk({"content": "a"}), chunk({}, "stop")), seen.append)
    [last] = [event for event in seen if event.type == "message_delta"]
    assert last.usage.model_extra == {"cost": 0.25}
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (10, 7)
    assert (message["usage"]["cache_read_input_tokens"], message["usage"]["cache_creation_input_tokens"]) == (60, 30)
    [start] = [event for event in seen if event.type == "message_start"]
    assert start.message.usage.input_tokens == 12
    unknown = stream(ROLE, chunk({"content": "a"}), chunk({}, "stop"), closing=Closing(USAGE, None))
    assert b'"cost":null' in unknown


def test_an_answer_without_a_word() -> None:
    data = stream(ROLE, chunk({}, "stop"))
    assert [kind for kind, _ in kinds(data)] == ["message_start", "ping", "message_delta", "message_stop"]
    assert accumulated(data)["content"] == []
    assert [kind for kind, _ in kinds(stream())] == ["message_start", "ping", "message_delta", "message_stop"]


def test_thinking_gets_its_signature_when_it_comes() -> None:
    signed = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3A="}
    data = stream(
        ROLE,
        chunk({"reasoning_content": "Let me "}),
        chunk({"reasoning_content": "see."}),
        chunk({"thinking_blocks": [signed]}),
        chunk({"thinking_blocks": [redacted]}),
        chunk({"content": "Yes."}),
        chunk({}, "stop"),
    )
    assert [index for kind, index in kinds(data) if kind == "content_block_start"] == [0, 1, 2]
    assert data.count(b'"signature_delta"') == 1
    message = accumulated(data)
    assert message["content"][:2] == [signed, redacted]


def test_a_signature_for_thinking_that_was_not_shown_has_a_block_of_its_own() -> None:
    hidden = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    assert accumulated(stream(chunk({"thinking_blocks": [hidden]}), chunk({}, "stop")))["content"] == [hidden]
    other = {"type": "thinking", "thinking": "Other.", "signature": "c2ln"}
    data = stream(chunk({"reasoning_content": "Hm."}), chunk({"thinking_blocks": [other]}), chunk({}, "stop"))
    assert accumulated(data)["content"] == [{"type": "thinking", "thinking": "Hm.", "signature": ""}, other]


def test_what_another_providers_model_needs_back_is_the_signature_of_its_thinking() -> None:
    sealed = {"type": "reasoning.encrypted", "id": "rs_1", "data": "b3A=", "format": "openai-responses-v1"}
    plain = {"type": "reasoning.text", "text": "Hm."}
    message = {"reasoning_content": "Hm. So.", "reasoning_details": [plain, sealed], "content": "Hi"}
    content = whole(message)["content"]
    streamed = stream(
        chunk({"reasoning_content": "Hm. "}),
        chunk({"reasoning_details": [{**plain, "index": 0}, {**sealed, "data": "b3", "index": 1}]}),
        chunk({"reasoning_content": "So.", "reasoning_details": [{"type": "reasoning.encrypted", "data": "A=", "index": 1}]}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
    )
    at_once = stream(chunk(message), chunk({}, "stop"))
    assert accumulated(streamed)["content"] == accumulated(at_once)["content"] == content
    late = accumulated(stream(chunk({"content": "Hi"}), chunk({"reasoning_details": [sealed]}), chunk({}, "stop")))["content"]
    assert [block["type"] for block in late] == ["text", "thinking"]
    assert late[1]["signature"] == content[0]["signature"]
    unneeded = accumulated(stream(chunk({"reasoning_details": [plain], "content": "Hi"}), chunk({}, "stop")))["content"]
    assert [block["type"] for block in unneeded] == ["text"]

    asked = {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": content[:1]}]}
    found = canonical(json.dumps(asked).encode())
    [turn] = json.loads(found.body)["messages"]
    assert turn == {"role": "assistant", "content": "", "reasoning_content": "Hm. So.", "reasoning_details": [sealed]}
    assert (found.only, found.is_mended) == ((), True)
    assert json.loads(mended(json.dumps(asked).encode()))["messages"] == []
    content[0]["signature"] = content[0]["signature"][:-3]
    with pytest.raises(ClientError, match=r"messages\.0\.content\.0\.signature: not as this gateway gave it"):
        canonical(json.dumps(asked).encode())


def test_calls_whose_pieces_are_mixed_come_one_after_the_other() -> None:
    data = stream(
        ROLE,
        chunk(part(0, "", "call_a", "f")),
        chunk(part(1, "", "call_b", "g")),
        chunk(part(1, '{"y": ')),
        chunk(part(0, '{"x"')),
        chunk(part(2, '{"z": 3}', "call_c", "h")),
        chunk(part(1, "[2]}")),
        chunk({"content": "Done."}),
        chunk(part(0, ": 1}")),
        chunk({}, "tool_calls"),
    )
    told = kinds(data)
    assert [kind for kind, _ in told if kind in ("content_block_start", "content_block_stop")] == [
        "content_block_start",
        "content_block_stop",
    ] * 4
    content = accumulated(data)["content"]
    assert [(b.get("id"), b.get("input"), b.get("text")) for b in content] == [
        ("call_a", {"x": 1}, None),
        ("call_b", {"y": [2]}, None),
        ("call_c", {"z": 3}, None),
        (None, None, "Done."),
    ]


def test_calls_in_their_order_stream_without_delay() -> None:
    said = writer()
    said.events(ROLE)
    assert said.events(chunk(part(0, "", "call_a", "f"))) == b""  # its name may go on
    begun = said.events(chunk(part(0, '{"x": 1}')))
    assert begun.index(b"content_block_start") < begun.index(b"partial_json")
    second = said.events(chunk(part(1, '{"y"', "call_b", "g")))
    assert second.index(b"content_block_stop") < second.index(b"content_block_start") < second.index(b"partial_json")


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    data = stream(chunk(part(0, '{"x": 1}', "a", "f")), chunk(part(0, '{"x": 2}', "b", "f")), chunk(part(0, " "), "stop"))
    assert [(b["id"], b["input"]) for b in accumulated(data)["content"]] == [("a", {"x": 1}), ("b", {"x": 2})]


def test_what_comes_behind_whole_arguments_is_no_argument() -> None:
    data = stream(chunk(part(0, '{"x": 1}', "a", "f")), chunk({"content": "b"}), chunk(part(0, " "), "stop"))
    assert [b["type"] for b in accumulated(data)["content"]] == ["tool_use", "text"]


@pytest.mark.parametrize(
    ("parts", "calls"),
    [
        ([part(0, "", "a", "get_"), part(0, "", None, "weather"), part(0, "{}")], [("a", "get_weather", {})]),
        ([part(0, '{"x"', "a", "f"), part(0, ": 1}", "a", "f")], [("a", "f", {"x": 1})]),
        ([part(0, "", "a", "f"), part(0, "", "a", "f"), part(0, "{}", "a", "f")], [("a", "f", {})]),
        ([part(0, "", None, "f"), part(0, "{}", "a")], [("a", "f", {})]),
        ([part(0, "", "a", "f"), part(1, "", "b", "g")], [("a", "f", {}), ("b", "g", {})]),
    ],
    ids=["name in pieces", "all again", "name again", "late id", "no arguments"],
)
def test_a_call_is_named_once_and_whole(parts: list[dict[str, Any]], calls: list[Any]) -> None:
    content = accumulated(stream(*map(chunk, parts), chunk({}, "tool_calls")))["content"]
    assert [(block["id"], block["name"], block["input"]) for block in content] == calls


def test_arguments_that_are_an_object_already_are_taken_as_they_are() -> None:
    called = {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
    assert accumulated(stream(chunk({"tool_calls": [called]}), chunk({}, "tool_calls")))["content"][0]["input"] == {"x": 1}
    assert whole({"tool_calls": [called]}, "tool_calls")["content"][0]["input"] == {"x": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"tool_calls": {"a": 1}},
        {"tool_calls": [None]},
        {"tool_calls": [{"index": "0", "function": {"name": "f"}}]},
        {"tool_calls": [{"index": 0, "function": "f"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": [1]}}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": 1, "signature": "x"}]},
        {"annotations": [1]},
        {"reasoning_details": True},
        {"content": [{"type": "text", "text": 1}]},
    ],
)
def test_an_answer_of_other_types_is_the_providers_fault(said: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError, match="cannot be told"):
        whole(said)
    with pytest.raises(UpstreamError, match="cannot be told"):
        stream(chunk(said))


def test_arguments_cut_short_end_with_the_stream() -> None:
    data = stream(chunk(part(0, '{"x": [1', "a", "f")), chunk({"content": "b"}), chunk({}, "length"))
    message = accumulated(data)
    assert (message["stop_reason"], message["content"][0]["input"]) == ("max_tokens", {"x": [1]})
    assert message["content"][1]["text"] == "b"


def test_other_choices_and_events_without_one_say_nothing() -> None:
    empty = sse({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    second = sse({"id": "x", "model": "m", "choices": [{"index": 1, "delta": {"content": "no"}}]})
    said = writer()
    assert said.events(empty + second + b": comment\n\ndata: [DONE]\n\n") == b""
    assert accumulated(stream(empty, second, chunk({"content": "yes"}), chunk({}, "stop")))["content"][0]["text"] == "yes"


def test_keep_alive_is_a_ping_that_the_sdk_passes_over() -> None:
    data = stream(ROLE, chunk({"content": "a"}), chunk({}, "stop"))
    assert accumulated(MessagesWriter.keep_alive + data) == accumulated(data)


# --- native streams


def native(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def test_closing_events_pass_with_the_cost_in_the_last_usage() -> None:
    first = native("message_delta", delta={}, usage={"output_tokens": 1})
    last = native("message_delta", delta={"stop_reason": "end_turn", "new": 1}, usage={"output_tokens": 3, "new": [2]})
    stop = native("message_stop", new=True)
    said = writer()
    assert said.passing(b"event: x\ndata: 1\n\n") == b"event: x\ndata: 1\n\n"
    data = said.end(Closing(USAGE, 0.5, native=first + last + stop))
    assert data.startswith(first)
    assert data.endswith(stop)
    changed = json.loads(data[len(first) : -len(stop)].split(b"data: ")[1])
    assert changed == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "new": 1},
        "usage": {"output_tokens": 3, "new": [2], "cost": 0.5},
    }


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": "soon"}, {"usage": [1]}])
def test_closing_events_without_usage_tell_the_cost(usage: dict[str, Any]) -> None:
    data = writer().end(Closing(USAGE, None, native=native("message_delta", delta={}, **usage) + native("message_stop")))
    assert b'"usage":{"cost":null}' in data


# --- errors

ERRORS: list[tuple[TurnoutError, type[anthropic.APIStatusError], str]] = [
    (ClientError("x", param="messages.0"), anthropic.BadRequestError, "invalid_request_error"),
    (ClientError("x", status=401), anthropic.AuthenticationError, "authentication_error"),
    (ClientError("x", status=403), anthropic.PermissionDeniedError, "permission_error"),
    (ClientError("x", status=404), anthropic.NotFoundError, "not_found_error"),
    (ClientError("x", status=413), anthropic.APIStatusError, "request_too_large"),
    (Refused("x", status=422, code="refused"), anthropic.UnprocessableEntityError, "invalid_request_error"),
    (Refused("x", status=429, code="rate_limit_exceeded", retry_after_s=3), anthropic.RateLimitError, "rate_limit_error"),
    (Refused("x", status=503, code="overloaded"), anthropic.InternalServerError, "overloaded_error"),
    (AllTargetsFailed("x", [{"model": "m"}]), anthropic.InternalServerError, "api_error"),
    (DeadlineExceeded("x", []), anthropic.InternalServerError, "timeout_error"),
    (TurnoutError("x"), anthropic.InternalServerError, "api_error"),
]


@pytest.mark.parametrize(("error", "raised", "kind"), ERRORS)
def test_the_sdk_raises_the_class_that_its_users_expect(
    error: TurnoutError, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    status, body, headers = error_response(error, "req_1", error_body)
    with pytest.raises(raised) as caught:
        client(status, "application/json", body, **dict(headers)).messages.create(**ASKED)
    told: Any = caught.value.body
    assert (told["type"], told["error"]["type"], told["error"]["message"]) == ("error", kind, "x")
    assert told["request_id"] == "req_1"


def test_a_thread_that_no_target_keeps_is_refused_so_that_the_sdk_sends_the_whole_conversation() -> None:
    status, body, _ = error_response(ClientError("x", param="thread"), "req_1", error_body)
    with pytest.raises(anthropic.types.ThreadUnsupportedRequestError):
        client(status, "application/json", body).messages.create(**ASKED)


def test_a_stream_that_breaks_off_raises() -> None:
    said = writer()
    data = said.events(chunk({"content": "a"})) + said.broken(UpstreamError("m: the stream was cut", fault="cut"))
    with pytest.raises(anthropic.APIStatusError) as caught:
        accumulated(data)
    told: Any = caught.value.body
    assert told["error"] == {"type": "api_error", "message": "m: the stream was cut", "code": "upstream_cut"}
    assert b"message_stop" not in data
