"""The OpenAI adapter in OpenAI's other dialects: who is asked in which, and that a caller's own bytes pass through."""

import asyncio
import dataclasses
import gc
import json
from typing import Any

import msgspec
import pytest

from gateway.chat_forms import assemble
from gateway.errors import UpstreamError
from gateway.providers.base import Call
from gateway.providers.http import HttpClient
from gateway.providers.openai import OpenAIProvider
from gateway.providers.responses_stream import ResponsesTranslation
from gateway.request import DialectName, Native
from gateway.sse import EventParser
from tests.providers import responses_events as wire
from tests.providers.openai_calls import ANSWERS, DONE, HI, STOP, WHOLE, asked, call, failure, shown
from tests.providers.responses_events import function_call, message, response
from tests.scripted_server import CUT, Reply, Request, ScriptedServer, json_reply, sse_reply

Json = dict[str, Any]

BOTH = {"dialects": ("chat", "responses", "completions")}
RESPONSES_ONLY = {"dialects": ("responses",)}
COUNT = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "text": " there",
            "index": 0,
            "logprobs": {
                "tokens": ["Hi", " there"],
                "token_logprobs": [None, -0.5],
                "top_logprobs": [None, {" there": -0.5}],
                "text_offset": [0, 2],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": COUNT,
}


def native(dialect: DialectName, body: Json, *, is_stream: bool = True, only: tuple[str, ...] = (), **headers: str) -> Call:
    """A call whose caller speaks the dialect."""
    made = call(is_stream)
    given = Native(dialect, json.dumps({**body, "stream": is_stream}).encode(), only, headers)
    return msgspec.structs.replace(
        made, request=msgspec.structs.replace(made.request, dialect=dialect, native=given), native=given
    )


SEARCHED = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}


def responses(is_stream: bool = True, **more: Any) -> Call:
    return native("openai_responses", {"model": "auto", "input": "Say  hi", "x": 1.50}, is_stream=is_stream, **more)


def completions(is_stream: bool = True, **more: Any) -> Call:
    return native("openai_completions", {"model": "auto", "prompt": "Say  hi"}, is_stream=is_stream, **more)


def text_chunk(text: str, finish: str | None = None, index: int = 0) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [choice]}).encode() + b"\n\n"


def content(pieces: ANSWERS) -> Json:
    """What the pieces say in the canonical form."""
    whole: Json = json.loads(assemble(EventParser().feed(shown(pieces))))
    said: Json = whole["choices"][0]
    return {"content": said["message"]["content"], "finish": said["finish_reason"]}


# Responses natively.


def test_responses_caller_is_passed_through() -> None:
    events = wire.wire(*wire.stream(message("Hi there")))
    pieces, (request,) = asked(sse_reply(b": hello\n\n", *events), responses(**{"openai-beta": "x"}), **BOTH, api_key="sk-1")
    assert request.path == "/v1/responses"
    assert request.body == b'{"model":"gpt-real","input":"Say  hi","x":1.5,"stream":true}'
    assert (request.headers["authorization"], request.headers["openai-beta"]) == ("Bearer sk-1", "x")
    assert [p.native for p in pieces if p.native] == events
    assert content(pieces) == {"content": "Hi there", "finish": "stop"}
    assert pieces[-1].is_end
    (usage,) = [p for p in pieces if p.is_usage_only]
    assert usage.native == events[-1]
    assert usage.usage is not None
    assert (usage.usage.input, usage.usage.output) == (9, 4)


def test_closing_event_is_held_back_also_without_usage() -> None:
    events = wire.wire(*wire.stream(message("Hi"), usage=None))
    pieces, _ = asked(sse_reply(*events), responses(), **BOTH)
    *_, usage, end = pieces
    assert (usage.native, usage.data, usage.is_usage_only, usage.usage) == (events[-1], b"", True, None)
    assert (end.is_end, end.native) == (True, b"")


def test_whole_response_is_passed_through() -> None:
    body = json.dumps(response(message("Hi")), indent=2).encode()
    (piece,), _ = asked(json_reply(body), responses(is_stream=False), **BOTH)
    assert (piece.native, piece.is_end, piece.has_content, piece.text) == (body, True, True, "Hi")
    assert json.loads(piece.data)["choices"][0]["message"]["content"] == "Hi"


def test_items_that_have_no_place_in_the_canonical_form_are_content_to_their_caller() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
    (piece,), _ = asked(json_reply(response(search)), responses(is_stream=False), **BOTH)
    assert piece.has_content
    begun = {"type": "response.output_item.added", "output_index": 0, "sequence_number": 2, "item": search}
    first, second, *_, last = wire.stream()
    pieces, _ = asked(sse_reply(*wire.wire(first, second, begun, last)), responses(), **BOTH)
    assert [p.has_content for p in pieces if p.native] == [False, False, True, False]


@pytest.mark.parametrize("output", [[], [message("")]])
def test_response_with_nothing_in_it_has_no_content(output: list[Json]) -> None:
    (piece,), _ = asked(json_reply(response(*output)), responses(is_stream=False), **BOTH)
    assert (piece.has_content, piece.is_end) == (False, True)


def test_answer_that_is_still_to_come_is_one_to_its_caller() -> None:
    body = response(status="queued", usage=None)
    (piece,), _ = asked(json_reply(body), responses(is_stream=False), **BOTH)
    assert (piece.has_content, json.loads(piece.native)) == (True, body)


def test_server_that_ignores_stream_is_read_all_the_same() -> None:
    pieces, _ = asked(json_reply(response(message("Hi"))), responses(), **BOTH)
    assert content(pieces) == {"content": "Hi", "finish": "stop"}
    assert not any(p.native for p in pieces)


def test_native_stream_that_breaks_off_is_cut() -> None:
    events = wire.wire(*wire.stream(message("Hi")))
    error = failure(sse_reply(*events[:-1]), responses(), **BOTH)
    assert (error.fault, error.is_retryable) == ("cut", True)
    assert failure(sse_reply(*events[:4], CUT), responses(), **BOTH).fault == "cut"
    assert failure(sse_reply(*events[:-1], DONE), responses(), **BOTH).fault == "cut"


def test_native_stream_that_fails_is_an_error() -> None:
    broken = {
        "type": "response.failed",
        "response": response(status="failed", error={"code": "server_error", "message": "sk-1 broke"}),
    }
    error = failure(sse_reply(*wire.wire(wire.stream()[0], broken)), responses(), **BOTH, api_key="sk-1")
    assert (error.fault, error.message) == ("reported", "p: *** broke")


# Responses for others.


def test_server_without_chat_is_asked_in_responses() -> None:
    events = wire.wire(*wire.stream(function_call("look", '{"a":1}')))
    pieces, (request,) = asked(sse_reply(*events), call(), **RESPONSES_ONLY)
    assert (request.path, request.json()["input"][0]["content"], request.json()["stream"]) == ("/v1/responses", "Say hi", True)
    assert not any(p.native for p in pieces)
    assert content(pieces)["finish"] == "tool_calls"
    (piece,), _ = asked(json_reply(response(message("Hi"))), call(is_stream=False), **RESPONSES_ONLY)
    assert (piece.text, piece.native, piece.finish) == ("Hi", b"", "stop")


def test_server_with_chat_is_asked_in_chat() -> None:
    pieces, (request,) = asked(sse_reply(HI, STOP, DONE), call(), **BOTH)
    assert (request.path, shown(pieces)) == ("/v1/chat/completions", HI + STOP)


def test_request_of_another_dialect_is_made_chat() -> None:
    made = call(
        is_stream=False, body={"model": "a", "messages": [{"role": "developer", "content": "Hi"}], "max_completion_tokens": 5}
    )
    made = msgspec.structs.replace(made, request=msgspec.structs.replace(made.request, dialect="anthropic_messages"))
    _, (request,) = asked(json_reply(WHOLE), made)
    assert request.json() == {"model": "gpt-real", "messages": [{"role": "system", "content": "Hi"}], "max_tokens": 5}


def test_chat_callers_bytes_are_left_alone() -> None:
    body = {"model": "a", "messages": [{"role": "developer", "content": "Hi", "is_error": True}], "max_completion_tokens": 5}
    _, (request,) = asked(json_reply(WHOLE), call(is_stream=False, body=body))
    assert request.json() == {**body, "model": "gpt-real"}


@pytest.mark.parametrize(
    ("wires", "spoken"),
    [
        (("chat",), set()),
        (("chat", "completions"), {"openai_completions"}),
        (("responses",), {"openai_responses"}),
        (("chat", "responses", "completions"), {"openai_responses", "openai_completions"}),
    ],
)
def test_dialects_are_told(wires: Any, spoken: set[str]) -> None:
    assert OpenAIProvider("p", HttpClient("test"), "http://x/v1", dialects=wires).dialects == spoken


# Completions natively.


def test_completion_is_passed_through() -> None:
    body = json.dumps(COMPLETION, indent=1).encode()
    (piece,), (request,) = asked(json_reply(body), completions(is_stream=False))
    assert (request.path, request.json()) == ("/v1/completions", {"model": "gpt-real", "prompt": "Say  hi", "stream": False})
    assert (piece.native, piece.text, piece.finish, piece.is_end) == (body, " there", "stop", True)
    said = json.loads(piece.data)
    assert said["object"] == "chat.completion"
    first, second = said["choices"][0]["logprobs"]["content"]
    assert (first["token"], first["logprob"], first["top_logprobs"]) == ("Hi", -9999.0, [])
    assert (second["logprob"], second["top_logprobs"][0]["token"], second["bytes"]) == (-0.5, " there", list(b" there"))


def test_stream_of_completions_is_passed_through() -> None:
    usage = (
        b"data: " + json.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [], "usage": COUNT}).encode() + b"\n\n"
    )
    events = [text_chunk("Hi"), text_chunk("Yo", index=1), text_chunk("", "stop"), text_chunk("", "length", 1), usage]
    pieces, (request,) = asked(sse_reply(*events, DONE), completions())
    assert request.json()["stream_options"] == {"include_usage": True}
    assert [p.native for p in pieces] == [*events, b""]
    assert [p.text for p in pieces] == ["Hi", "Yo", "", "", "", ""]
    assert [p.finish for p in pieces] == [None, None, "stop", "length", None, None]
    assert [p.is_usage_only for p in pieces] == [False, False, False, False, True, False]
    assert pieces[4].usage is not None
    assert pieces[-1].is_end


def test_server_that_ignores_stream_of_completions_is_read_all_the_same() -> None:
    pieces, _ = asked(json_reply(COMPLETION), completions())
    assert content(pieces) == {"content": " there", "finish": "stop"}
    assert not any(p.native for p in pieces)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (sse_reply(text_chunk("Hi"), DONE), "cut"),
        (sse_reply(text_chunk("Hi")), "cut"),
        (sse_reply(b"data: [1]\n\n"), "malformed"),
        (sse_reply(b'data: {"choices": [{"text": 5}]}\n\n'), "malformed"),
        (sse_reply(b'data: {"error": {"message": "no"}}\n\n'), "reported"),
        (sse_reply(b'event: error\ndata: {"message": "no"}\n\n'), "reported"),
    ],
)
def test_broken_stream_of_completions_is_an_error(reply: Reply, fault: str) -> None:
    assert failure(reply, completions()).fault == fault


@pytest.mark.parametrize(
    ("body", "fault"),
    [(b"nonsense", "malformed"), (b'{"choices": [', "cut"), (b'{"error": {"message": "no"}}', "reported"), (b"{}", "empty")],
)
def test_what_is_no_completion_is_an_error(body: bytes, fault: str) -> None:
    assert failure(json_reply(body), completions(is_stream=False)).fault == fault


# Dialects that are not there after all.


def missing(status: int = 404, **error: Any) -> Reply:
    return json_reply({"error": {"message": "This is a chat model", **error}}, status=status)


def in_turn(provider_options: Json, *calls: Call, reply: Reply) -> tuple[list[Request], list[ANSWERS | UpstreamError]]:
    """The same adapter asked again and again; /completions and /responses answer with `reply`, chat with an answer."""

    def answer(request: Request) -> Reply:
        return json_reply(WHOLE) if request.path.endswith("/chat/completions") else reply

    async def scenario() -> tuple[list[Request], list[ANSWERS | UpstreamError]]:
        http, results = HttpClient("test"), list[ANSWERS | UpstreamError]()
        try:
            async with ScriptedServer(answer) as server, asyncio.timeout(10):
                provider = OpenAIProvider("p", http, f"{server.url}/v1", **provider_options)
                for made in calls:
                    made = (
                        made
                        if made.native is None or made.native.dialect in provider.dialects
                        else msgspec.structs.replace(made, native=None)
                    )
                    try:
                        exchange = await provider.open(made)
                    except UpstreamError as exc:
                        results.append(exc)
                        continue
                    results.append(await exchange.read())
                    await exchange.aclose()
                return server.requests, results
        finally:
            await http.aclose()

    try:
        return asyncio.run(scenario())
    finally:
        gc.collect()


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("made", [completions(is_stream=False), responses(is_stream=False)], ids=["completions", "responses"])
def test_dialect_that_is_not_there_is_remembered_and_chat_takes_its_place(made: Call, status: int) -> None:
    requests, (first, second) = in_turn(BOTH, made, made, reply=missing(status))
    assert [r.path.removeprefix("/v1") for r in requests][1:] == ["/chat/completions", "/chat/completions"]
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert not first[0].native


def test_request_that_chat_cannot_hold_is_refused_instead() -> None:
    made = completions(is_stream=False, only=("suffix",))
    requests, (error,) = in_turn(BOTH, made, reply=missing())
    assert isinstance(error, UpstreamError)
    assert (error.fault, error.param, len(requests)) == ("unsupported", "suffix", 1)
    assert "This is a chat model" in error.message


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ({**BOTH, "is_sure": True}, missing()),
        ({"dialects": ("responses", "completions")}, missing()),
        (BOTH, missing(code="model_not_found")),
        (BOTH, missing(429)),
    ],
    ids=["the policy says so", "no chat", "no such model", "another error"],
)
def test_other_refusals_stand(options: Json, reply: Reply) -> None:
    made = completions(is_stream=False)
    requests, results = in_turn(options, made, made, reply=reply)
    assert [r.path for r in requests] == ["/v1/completions", "/v1/completions"]
    assert all(isinstance(one, UpstreamError) and one.fault == "status" for one in results)


# What is asked for beside answers.


def test_what_is_asked_for_below_the_dialect_goes_there_and_its_absence_says_nothing_of_the_dialect() -> None:
    made = responses(is_stream=False, only=("compact",))
    assert made.native is not None
    below = dataclasses.replace(made.native, action="/compact")
    compact = msgspec.structs.replace(made, native=below, request=msgspec.structs.replace(made.request, native=below))
    requests, results = in_turn(BOTH, compact, responses(is_stream=False), reply=missing())
    assert isinstance(results[0], UpstreamError)
    assert (results[0].fault, results[0].status) == ("status", 404)
    assert [r.path for r in requests] == ["/v1/responses/compact", "/v1/responses", "/v1/chat/completions"]


async def counted(reply: Reply) -> tuple[int, Request]:
    http = HttpClient("test")
    try:
        async with ScriptedServer([reply]) as server, asyncio.timeout(10):
            provider = OpenAIProvider("p", http, f"{server.url}/v1", **BOTH, api_key="sk-1")
            asked = Native("openai_responses", b'{"model": "auto", "input": "Say  hi", "x": 1.50}')
            return await provider.count_tokens(asked, call(False).model, connect_s=2.0), server.requests[0]
    finally:
        await http.aclose()


def test_a_question_is_counted_without_an_answer() -> None:
    found, request = asyncio.run(counted(json_reply({"object": "response.input_tokens", "input_tokens": 14})))
    assert found == 14
    assert (request.path, request.headers["authorization"]) == ("/v1/responses/input_tokens", "Bearer sk-1")
    assert request.body == b'{"model":"gpt-real","input":"Say  hi","x":1.50}'


@pytest.mark.parametrize(
    ("reply", "fault", "is_callers_fault"),
    [
        (json_reply({"input_tokens": "14"}), "malformed", False),
        (missing(), "status", False),
        (missing(400), "status", True),
    ],
)
def test_a_count_that_fails(reply: Reply, fault: str, is_callers_fault: bool) -> None:
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(counted(reply))
    assert (caught.value.fault, caught.value.is_callers_fault) == (fault, is_callers_fault)


@pytest.mark.parametrize("is_counted", [True, False])
@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("is_stream", [True, False])
def test_what_a_server_did_besides_has_no_price(is_stream: bool, is_native: bool, is_counted: bool) -> None:
    usage = wire.USAGE if is_counted else None
    for items, unpriced in (([SEARCHED, message("So.")], "web_search_call"), ([message("So.")], None)):
        events = wire.wire(*wire.stream(*items, usage=usage))
        reply = sse_reply(*events) if is_stream else json_reply(response(*items, usage=usage))
        pieces, _ = asked(reply, responses(is_stream) if is_native else call(is_stream), **RESPONSES_ONLY)
        told = [piece.usage for piece in pieces if piece.usage is not None]
        assert (told[-1].unpriced if told else None) == unpriced
        assert bool(told) == (is_counted or unpriced is not None)
        assert not told or told[-1].estimated != is_counted


def test_a_search_before_a_stream_was_cut_is_known_by_then() -> None:
    translation = ResponsesTranslation("o", is_native=True)
    events = [json.dumps(one).encode() for one in wire.stream(SEARCHED, message("So."))]
    pieces = [piece for data in events[:3] for piece in translation.feed(data)]
    assert [piece.usage.unpriced for piece in pieces if piece.usage is not None] == ["web_search_call"]
