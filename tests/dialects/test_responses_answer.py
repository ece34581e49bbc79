"""Answers as Responses, whole and streamed, as the official SDK reads them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from gateway.chat import sse
from gateway.chat_forms import assemble, to_events
from gateway.dialects.responses_answer import ResponsesWriter
from gateway.dialects.responses_input import chat_messages
from gateway.errors import Refused, UpstreamError
from gateway.reply import Closing
from gateway.sse import EventParser, event_data
from gateway.usage import Usage
from gateway.wire_usage import wire_usage

Json = dict[str, Any]
USAGE = Usage(input=11, output=7, cached_input=3, reasoning=2)
CLOSING = Closing(USAGE, 0.25)
SIGNED: Json = {"type": "thinking", "thinking": "let me see", "signature": "c2ln"}
STRICT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def writer(**fields: Any) -> ResponsesWriter:
    return ResponsesWriter({"model": "auto", **fields}, has_logprobs=True, clock=lambda: 1_790_000_000.0)


def chunk(delta: Json, finish: str | None = None, **choice: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_789_999_999, "model": "claude"}
    return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]})


def streamed(*chunks: bytes, **fields: Any) -> bytes:
    """The whole stream of an answer in these chunks."""
    one = writer(**fields)
    return b"".join([*(one.events(data) for data in chunks), one.end(CLOSING)])


def events_of(stream: bytes) -> list[Json]:
    """The events' data; each is named after its type, numbered, and as the SDK's types have it."""
    found = []
    for n, event in enumerate(EventParser().feed(stream)):
        data = event_data(event)
        assert data is not None
        fields = msgspec.json.decode(data)
        assert event.startswith(f"event: {fields['type']}\n".encode())
        assert fields["sequence_number"] == n
        STRICT.validate_json(data)
        found.append(fields)
    return found


def client(body: bytes, kind: str = "text/event-stream") -> openai.OpenAI:
    """An SDK that is answered with these bytes."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


def completion(message: Json, finish: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_789_999_999, "model": "claude"}
    return msgspec.json.encode({**head, "choices": [choice], "usage": wire_usage(USAGE)})


def anonymous(response: Json) -> Json:
    """Without the ids, which are made anew, and the cost, which only streams tell."""
    fields: Json = msgspec.json.decode(re.sub(rb'"id":"\w+_', b'"id":"', msgspec.json.encode(response)))
    fields["usage"].pop("cost", None)
    return {**fields, "id": "", "output": [{**item, "id": ""} for item in fields["output"]]}


def test_the_events_of_a_text_in_their_order() -> None:
    stream = streamed(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop"))
    events = events_of(stream)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    id_ = events[2]["item"]["id"]
    assert id_.startswith("msg_")
    assert events[2] | {"sequence_number": 0} == {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"id": id_, "type": "message", "status": "in_progress", "role": "assistant", "content": []},
        "sequence_number": 0,
    }
    at = {"item_id": id_, "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert events[3] == {"type": "response.content_part.added", **at, "part": part, "sequence_number": 3}
    assert events[5] == {"type": "response.output_text.delta", **at, "delta": "lo", "logprobs": [], "sequence_number": 5}
    assert events[6] == {"type": "response.output_text.done", **at, "text": "Hello", "logprobs": [], "sequence_number": 6}
    assert events[7] == {"type": "response.content_part.done", **at, "part": {**part, "text": "Hello"}, "sequence_number": 7}
    final = events[9]["response"]
    assert final["id"] == events[0]["response"]["id"]
    assert (final["status"], final["model"], final["output"][0]) == ("completed", "claude", events[8]["item"])
    assert final["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
        "cost": 0.25,
    }
    assert b"[DONE]" not in stream


def test_the_events_of_thoughts_and_calls_in_their_order() -> None:
    stream = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "let me "}),
        chunk({"reasoning_content": "see"}),
        chunk({"thinking_blocks": [SIGNED]}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"at":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "c2", "type": "custom", "custom": {"name": "shell", "input": "date"}}]}),
        chunk({}, "tool_calls"),
    )
    events = events_of(stream)
    kinds = [(event["type"].removeprefix("response."), event.get("output_index")) for event in events]
    assert kinds[2:-1] == [
        ("output_item.added", 0),
        ("reasoning_summary_part.added", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.done", 0),
        ("reasoning_summary_part.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("function_call_arguments.delta", 1),
        ("function_call_arguments.delta", 1),
        ("function_call_arguments.done", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("custom_tool_call_input.delta", 2),
        ("custom_tool_call_input.done", 2),
        ("output_item.done", 2),
    ]
    thought, call, custom = events[-1]["response"]["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "let me see"}]
    assert thought["encrypted_content"].startswith("turnout-reasoning-v1:")
    assert (call["call_id"], call["name"], call["arguments"]) == ("c1", "look", '{"at":"Rome"}')
    assert (custom["type"], custom["call_id"], custom["input"]) == ("custom_tool_call", "c2", "date")


def test_calls_that_all_have_the_index_zero_stay_apart() -> None:
    calls = [{"index": 0, "id": f"c{n}", "function": {"name": "look", "arguments": f'{{"n":{n}}}'}} for n in (1, 2)]
    events = events_of(streamed(chunk({"tool_calls": calls[:1]}), chunk({"tool_calls": calls[1:]}), chunk({}, "tool_calls")))
    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ['{"n":1}', '{"n":2}']


def test_a_call_that_is_named_in_pieces_or_gets_its_id_late_is_one() -> None:
    first = {"index": 0, "function": {"name": "get_", "arguments": ""}}
    rest = [{"index": 0, "function": {"name": "weather"}}, {"index": 0, "id": "c1", "function": {"arguments": "{}"}}]
    events = events_of(streamed(chunk({"tool_calls": [first]}), chunk({"tool_calls": rest}), chunk({}, "tool_calls")))
    (call,) = events[-1]["response"]["output"]
    assert (call["name"], call["arguments"]) == ("get_weather", "{}")
    assert [event["name"] for event in events if event["type"] == "response.function_call_arguments.done"] == ["get_weather"]


def test_a_call_that_grows_after_another_has_begun_is_told_whole_in_the_end() -> None:
    first, second = ({"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": "{"}} for n in (0, 1))
    late = [{"index": n, "function": {"arguments": "}"}} for n in (0, 1)]
    events = events_of(streamed(chunk({"tool_calls": [first, second]}), chunk({"tool_calls": late}), chunk({}, "tool_calls")))
    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ["{}", "{}"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert {item["call_id"]: item["arguments"] for item in done} == {"c0": "{}", "c1": "{}"}


def test_a_refusal_and_citations() -> None:
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, "url": "https://a", "title": "A"}}
    stream = streamed(chunk({"content": "Hi"}), chunk({"annotations": [cited]}), chunk({"refusal": "No."}), chunk({}, "stop"))
    [message] = events_of(stream)[-1]["response"]["output"]
    text, refused = message["content"]
    assert text["annotations"] == [{"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://a", "title": "A"}]
    assert refused == {"type": "refusal", "refusal": "No."}


def test_citations_of_other_kinds_are_as_openai_has_them() -> None:
    cited = {"file_id": "file_1", "filename": "a.txt", "index": 4}
    annotation = {"type": "file_citation", "file_citation": cited}
    events = events_of(streamed(chunk({"content": "Hi", "annotations": [annotation]}), chunk({}, "stop")))
    assert events[-1]["response"]["output"][0]["content"][0]["annotations"] == [{"type": "file_citation", **cited}]


def test_logprobs_of_a_text() -> None:
    one = {
        "token": "Hi",
        "logprob": -0.1,
        "bytes": [72, 105],
        "top_logprobs": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}],
    }
    events = events_of(streamed(chunk({"content": "Hi"}, logprobs={"content": [one]}), chunk({}, "stop")))
    [delta] = [event for event in events if event["type"] == "response.output_text.delta"]
    assert delta["logprobs"] == [{"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [one]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_short_is_incomplete(finish: str, reason: str) -> None:
    last = events_of(streamed(chunk({"content": "Hel"}), chunk({}, finish)))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][0]["status"] == "incomplete"
    whole = msgspec.json.decode(writer().whole(completion({"content": "Hel"}, finish), b""))
    assert anonymous(whole) == anonymous(last["response"])


def test_an_answer_with_nothing_in_it_is_a_response_too() -> None:
    assert [event["type"] for event in events_of(writer().end(CLOSING))] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]


def test_the_request_is_echoed() -> None:
    fields: Json = {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": True}],
        "tool_choice": "required",
        "max_output_tokens": 9,
        "previous_response_id": "resp_0",
        "store": False,
    }
    response = msgspec.json.decode(writer(**fields).whole(completion({"content": "Hi"}), b""))
    Response.model_validate(response)
    assert {name: response[name] for name in fields} == {**fields, "text": {"format": {"type": "text"}, "verbosity": "low"}}


def test_a_stream_that_breaks_is_raised_by_the_sdk_with_our_code() -> None:
    one = writer()
    stream = one.events(chunk({"content": "Hel"})) + one.broken(UpstreamError("claude: the stream was cut", fault="cut"))
    events = [msgspec.json.decode(event_data(event) or b"") for event in EventParser().feed(stream)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    failed = events[-2]
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "claude: the stream was cut"}
    seen: list[str] = []
    with pytest.raises(openai.APIError, match="claude: the stream was cut") as caught:
        seen.extend(event.type for event in client(stream).responses.create(model="m", input="x", stream=True))
    assert caught.value.code == "upstream_cut"
    assert seen[-1] == "response.failed"


def test_a_conversation_that_is_too_long_is_told_so_that_agents_shorten_it() -> None:
    stream = writer().broken(UpstreamError("too long", fault="reported", code="context_length_exceeded"))
    failed = msgspec.json.decode(event_data(EventParser().feed(stream)[0]) or b"")
    assert failed["response"]["error"] == {"code": "context_length_exceeded", "message": "too long"}


def test_a_break_before_anything_was_said_is_told_as_well() -> None:
    stream = writer().broken(Refused("slow down", status=429, code="rate_limit_exceeded"))
    failed, error = (msgspec.json.decode(event_data(event) or b"") for event in EventParser().feed(stream))
    assert failed["response"]["error"]["code"] == "rate_limit_exceeded"
    assert (error["type"], error["code"], error["message"]) == ("error", "rate_limit_exceeded", "slow down")


class Person(BaseModel):
    name: str
    age: int


def test_the_sdk_parses_what_was_asked_for() -> None:
    whole = writer().whole(completion({"content": '{"name":"Ada","age":36}'}), b"")
    parsed = client(whole, "application/json").responses.parse(model="m", input="x", text_format=Person)
    assert parsed.output_parsed == Person(name="Ada", age=36)
    stream = streamed(chunk({"content": '{"name":"Ada"'}), chunk({"content": ',"age":36}'}, "stop"))
    with client(stream).responses.stream(model="m", input="x", text_format=Person) as reading:
        assert reading.get_final_response().output_parsed == Person(name="Ada", age=36)


def test_the_asynchronous_sdk_reads_the_stream_too() -> None:
    stream = streamed(chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop"))

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    async def read() -> str:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        async with openai.AsyncOpenAI(api_key="k", base_url="http://gateway/v1", http_client=http) as sdk:
            async with sdk.responses.stream(model="m", input="x") as reading:
                return (await reading.get_final_response()).output_text

    assert asyncio.run(read()) == "Hello"


def test_an_answer_that_came_as_responses_passes_and_its_usage_gets_the_cost() -> None:
    begun = b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_9"}}\n\n'
    odd = b'event: response.made_up\ndata: {"sequence_number": 1,   "type":"response.made_up"}\n\n'
    last = (
        b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2,'
        b'"response":{"id":"resp_9","x":1.0,"usage":{"input_tokens":5}}}\n\n'
    )
    one = writer()
    assert one.passing(begun) + one.passing(odd) == begun + odd
    end = one.end(Closing(USAGE, 0.25, native=last))
    assert end == last.replace(b'{"input_tokens":5}', b'{"input_tokens":5,"cost":0.25}')
    assert one.response == b'{"id":"resp_9","x":1.0,"usage":{"input_tokens":5,"cost":0.25}}'


@pytest.mark.parametrize("told", ["", ',"usage":null', ',"usage":"soon"', ',"usage":[1]'])
def test_a_usage_that_is_none_is_told_as_it_was_counted(told: str) -> None:
    last = f'event: response.completed\ndata: {{"type":"response.completed","response":{{"id":"resp_9"{told}}}}}\n\n'
    one = writer()
    one.end(Closing(USAGE, 0.25, native=last.encode()))
    usage = json.loads(one.response)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (USAGE.input, USAGE.output, 0.25)


def test_a_native_answer_says_again_what_its_provider_was_not_sent() -> None:
    def event(kind: str, number: int, response: str) -> bytes:
        return f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{number},{response}}}\n\n'.encode()

    null, told = '"previous_response_id":null', '"previous_response_id":"resp_turnout_1"'
    begun = event("response.created", 0, f'"response":{{"id":"resp_9",{null},"usage":null}}')
    delta = event("response.output_text.delta", 1, r'"delta":"\"previous_response_id\":null"')
    last = event("response.completed", 2, f'"response":{{"id":"resp_9",{null},"usage":{{"input_tokens":5}}}}')
    one = ResponsesWriter({"model": "m"}, has_logprobs=False, replaced_id="resp_turnout_1")
    assert one.passing(begun + delta) == begun.replace(null.encode(), told.encode()) + delta
    assert told.encode() in one.end(Closing(USAGE, 0.25, native=last))
    assert told.encode() in one.response
    whole = ResponsesWriter({"model": "m"}, has_logprobs=False, replaced_id="resp_turnout_1")
    assert whole.whole(b"", b'{"x": 1.0,' + null.encode() + b"}") == b'{"x":1.0,' + told.encode() + b"}"


def test_a_native_stream_that_breaks_goes_on_with_its_numbers_and_its_response() -> None:
    begun = b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_9"}}\n\n'
    more = b'event: response.made_up\ndata: {"type":"response.made_up","sequence_number":41}\n\n'
    one = writer()
    one.passing(begun)
    one.passing(more)
    failed, error = (
        msgspec.json.decode(event_data(event) or b"")
        for event in EventParser().feed(one.broken(UpstreamError("cut", fault="cut")))
    )
    assert (failed["sequence_number"], error["sequence_number"]) == (42, 43)
    assert (failed["response"]["id"], failed["response"]["status"]) == ("resp_9", "failed")


def test_a_native_answer_is_given_as_it_came() -> None:
    one = writer()
    assert one.whole(completion({"content": "Hi"}), b'{ "id":"resp_9" }') == b'{ "id":"resp_9" }'
    assert one.response == b'{ "id":"resp_9" }'


def test_an_answer_that_is_no_chat_answer_is_the_providers_fault() -> None:
    with pytest.raises(UpstreamError) as caught:
        writer().events(sse({"choices": [{"index": 0, "delta": {"content": 5}}]}))
    assert caught.value.fault == "malformed"


TEXTS = st.text(min_size=1, max_size=12)
CALLS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["look", "add"]), "arguments": st.sampled_from(["{}", '{"a":"ü"}'])}),
    max_size=3,
)
MESSAGES = st.fixed_dictionaries(
    {
        "content": st.none() | TEXTS,
        "reasoning_content": st.none() | TEXTS,
        "thinking_blocks": st.none() | st.just([SIGNED]) | st.just([SIGNED, {"type": "redacted_thinking", "data": "xx"}]),
        "refusal": st.none() | TEXTS,
        "tool_calls": CALLS.map(
            lambda calls: [{"id": f"c{n}", "type": "function", "function": call} for n, call in enumerate(calls)] or None
        ),
    }
).map(lambda message: {name: value for name, value in message.items() if value is not None})


def in_pieces(message: Json, cut: int) -> list[bytes]:
    """The message as a stream, each text in pieces of `cut` characters."""
    chunks = [chunk({"role": "assistant", "content": ""})]

    def pieces(text: str) -> list[str]:
        return [text[i : i + cut] for i in range(0, len(text), cut)]

    chunks += [chunk({"reasoning_content": piece}) for piece in pieces(message.get("reasoning_content", ""))]
    chunks += [chunk({"thinking_blocks": [block]}) for block in message.get("thinking_blocks", ())]
    chunks += [chunk({"content": piece}) for piece in pieces(message.get("content") or "")]
    chunks += [chunk({"refusal": piece}) for piece in pieces(message.get("refusal", ""))]
    for n, call in enumerate(message.get("tool_calls", ())):
        opened = {**call, "index": n, "function": {**call["function"], "arguments": ""}}
        chunks.append(chunk({"tool_calls": [opened]}))
        for piece in pieces(call["function"]["arguments"]):
            chunks.append(chunk({"tool_calls": [{"index": n, "function": {"arguments": piece}}]}))
    return [*chunks, chunk({}, "stop")]


@given(MESSAGES, st.integers(1, 6))
def test_a_stream_as_the_sdk_adds_it_up_is_the_whole_answer(message: Json, cut: int) -> None:
    whole = msgspec.json.decode(writer().whole(completion(message), b""))
    stream = streamed(*in_pieces(message, cut))
    events = events_of(stream)
    assert anonymous(events[-1]["response"]) == anonymous(whole)
    with client(stream).responses.stream(model="m", input="x") as reading:
        final = reading.get_final_response()
    assert final.output_text == "".join(message.get("content") or "")
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert deltas == (message.get("content") or "")


@given(MESSAGES)
def test_what_the_model_said_comes_back_as_it_was(message: Json) -> None:
    said = msgspec.json.decode(writer().whole(completion(message), b""))
    only: list[str] = []
    back = chat_messages([("input", item) for item in said["output"]], only)
    assert only == []
    is_said = bool(message.get("content") or message.get("refusal") or message.get("tool_calls"))
    assert bool(back) == is_said
    if not is_said:
        return
    [found] = back
    expected = {"role": "assistant", "content": None, **message}
    if "refusal" in message and "content" in message:  # both stand in one list of parts
        parts = [{"type": "text", "text": message["content"]}, {"type": "refusal", "refusal": message["refusal"]}]
        expected = {name: value for name, value in expected.items() if name != "refusal"} | {"content": parts}
    if "thinking_blocks" in message and "reasoning_content" not in message:
        expected["reasoning_content"] = SIGNED["thinking"]
    assert found == expected


@given(MESSAGES)
def test_the_canonical_forms_of_one_answer_make_the_same_response(message: Json) -> None:
    body = completion(message)
    events = to_events(body)
    again = assemble(EventParser().feed(events), USAGE)
    wholes = [msgspec.json.decode(writer().whole(one, b"")) for one in (body, again)]
    assert anonymous(wholes[0]) == anonymous(wholes[1])
    assert anonymous(events_of(streamed(events))[-1]["response"]) == anonymous(wholes[0])
