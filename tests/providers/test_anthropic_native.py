"""The Anthropic adapter for callers who speak its dialect: their bytes go up, its bytes come down; the gateway reads along."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.chat_forms import assemble
from gateway.errors import UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.anthropic_events import NativeEvents
from gateway.providers.base import Call, Piece
from gateway.providers.http import HttpClient
from gateway.providers.token_counting import CountsTokens
from gateway.request import ChatRequest, Native
from gateway.sse import event_data
from gateway.usage import Usage
from tests.providers.test_anthropic import HELLO, KEY, MODEL, PING, TOOLS, ask, call_of, event, finish, run, start, text_block
from tests.scripted_server import Reply, Request, ScriptedServer, json_reply, split, sse_reply

BODY = b'{"model": "auto",  "max_tokens": 9, "stream": true, "messages": [{"role":"user","content":"Hi"}], "tomorrow": [1.0]}'
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "u"}]}


def native_call(*, is_stream: bool = True, **headers: str) -> Call:
    call = call_of(stream=is_stream)
    native = Native("anthropic_messages", BODY, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return Call(call.request, MODEL, connect_s=2.0, native=native)


def block(index: int, content_block: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=content_block),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


PAGE = {"type": "web_search_result_location", "url": "https://x", "title": "X", "cited_text": "so", "encrypted_index": "e"}
PLACE = {"type": "char_location", "cited_text": "so", "document_index": 0}
ANSWER = [
    {"type": "text_delta", "text": "It is so."},
    {"type": "citations_delta", "citation": PAGE},
    {"type": "citations_delta", "citation": PLACE},
    {"type": "delta_of_tomorrow", "x": 1},
]
SEARCHING = [
    start(),
    *block(0, SEARCH, *({"type": "input_json_delta", "partial_json": part} for part in ('{"query"', ': "x"}'))),
    *block(1, FOUND),
    PING,
    *block(2, {"type": "text", "text": "", "citations": []}, *ANSWER),
    event("event_of_tomorrow", x=1),
    *finish("end_turn", server_tool_use={"web_search_requests": 1}),
]


def test_the_callers_body_goes_up_with_another_model_and_nothing_else_changed() -> None:
    _, [request] = run(ask([sse_reply(*HELLO)], native_call()))
    assert request.json() == {**json.loads(BODY), "model": "claude-sonnet-4-5"}
    assert b'[{"role":"user","content":"Hi"}]' in request.body
    assert b'"tomorrow":[1.0]' in request.body


def test_the_callers_version_wins_and_betas_add_up() -> None:
    call = native_call(anthropic_version="2026-10-21", anthropic_beta="b, a")
    _, [request] = run(ask([sse_reply(*HELLO)], call, headers={"Anthropic-Beta": "a,c", "Anthropic-Version": "2023-06-01"}))
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.headers["anthropic-beta"] == "a,c,b"
    assert request.headers["x-api-key"] == KEY
    _, [request] = run(ask([sse_reply(*HELLO)], native_call()))
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in request.headers


@pytest.mark.parametrize(
    ("query", "path"),
    [(b"", "/v1/messages"), (b"beta=true", "/v1/messages?beta=true"), (b"a=b#c d\r\ne", "/v1/messages?a=b%23c%20d%0D%0Ae")],
)
def test_the_query_goes_along(query: bytes, path: str) -> None:
    call = native_call()
    assert call.native is not None
    call = msgspec.structs.replace(call, native=replace(call.native, query=query))
    _, [request] = run(ask([sse_reply(*HELLO)], call))
    assert request.path == path


@pytest.mark.parametrize("recorded", [HELLO, TOOLS, SEARCHING])
@pytest.mark.parametrize("size", [17, 1_000])
def test_a_stream_comes_down_as_it_was_sent(recorded: list[bytes], size: int) -> None:
    data = b"".join(recorded)
    pieces, _ = run(ask([sse_reply(*split(data, range(0, len(data), size)))], native_call()))
    assert b"".join(piece.native for piece in pieces) == data
    translated, _ = run(ask([sse_reply(data)], call_of(stream=True)))
    whole, again = (json.loads(assemble(p.data for p in some if p.data)) for some in (pieces, translated))
    assert {**whole, "created": 0} == {**again, "created": 0}


def test_the_closing_events_stand_in_the_usage_piece() -> None:
    pieces, _ = run(ask([sse_reply(*HELLO)], native_call()))
    assert [piece.native for piece in pieces[-3:]] == [b"", b"".join(HELLO[-2:]), b""]
    finish_piece, usage_piece, end_piece = pieces[-3:]
    assert (finish_piece.finish, usage_piece.is_usage_only, end_piece.is_end) == ("stop", True, True)
    assert usage_piece.usage == Usage(input=25, output=15)
    assert usage_piece.data


def test_all_closing_events_are_held_back_in_their_order() -> None:
    last, stop = finish("end_turn")
    first = event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 3})
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "x"), first, last, stop)], native_call()))
    assert [piece.native for piece in pieces if piece.is_usage_only] == [first + last + stop]


def test_closing_events_without_a_count_come_all_the_same() -> None:
    last = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "a"), PING, last[0], PING, last[1])], native_call()))
    assert pieces[-2] == Piece(native=b"".join(last), is_usage_only=True)
    assert pieces[-1] == Piece(is_end=True)
    assert b"".join(piece.native for piece in pieces).count(PING) == 2


def test_a_block_that_has_no_place_in_the_chat_dialect_is_content() -> None:
    pieces, _ = run(ask([sse_reply(*SEARCHING)], native_call()))
    contents = [(piece.native[7:26], piece.text) for piece in pieces if piece.has_content]
    assert contents[:4] == [
        (b"content_block_start", ""),
        (b"content_block_delta", '{"query"'),
        (b"content_block_delta", ': "x"}'),
        (b"content_block_start", ""),
    ]
    assert contents[4][1] == "It is so."
    assert not any(piece.has_content for piece in pieces if piece.native == PING)


def test_web_pages_are_annotated_in_the_chat_dialect() -> None:
    pieces, _ = run(ask([sse_reply(*SEARCHING)], native_call()))
    page = {"url": "https://x", "title": "X", "start_index": 0, "end_index": 9}
    message = json.loads(assemble(p.data for p in pieces if p.data))["choices"][0]["message"]
    assert message["annotations"] == [{"type": "url_citation", "url_citation": page}]
    citation = {"type": "web_search_result_location", "url": "https://x", "title": "X"}
    said = {"type": "text", "text": "It is so.", "citations": [citation, {"type": "char_location"}]}
    [piece], _ = run(ask([json_reply(whole_of([said]))], call_of()))
    assert json.loads(piece.data)["choices"][0]["message"]["annotations"] == message["annotations"]


def whole_of(content: list[dict[str, Any]]) -> dict[str, Any]:
    told = {"stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4}}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, **told}


@pytest.mark.parametrize(
    ("content", "has_content"), [([{"type": "text", "text": "a"}], True), ([SEARCH, FOUND], True), ([], False)]
)
def test_a_whole_answer_comes_down_as_it_was_sent(content: list[dict[str, Any]], has_content: bool) -> None:
    body = whole_of(content)
    [piece], _ = run(ask([json_reply(body)], native_call(is_stream=False)))
    assert json.loads(piece.native) == body
    usage = Usage(input=3, output=4, unpriced="web_search" if SEARCH in content else None)
    assert (piece.has_content, piece.is_end, piece.usage) == (has_content, True, usage)
    assert json.loads(piece.data)["object"] == "chat.completion"


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    ("told", "unpriced"),
    [
        ({"speed": "fast"}, "speed fast"),
        ({"inference_geo": "us"}, "inference_geo us"),
        ({"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}, "web_search_requests"),
        ({"speed": "standard", "inference_geo": "not_available", "server_tool_use": {"web_fetch_requests": 1}}, None),
    ],
)
def test_what_is_sold_besides_tokens_has_no_price(
    told: dict[str, Any], unpriced: str | None, is_stream: bool, is_native: bool
) -> None:
    body = {**whole_of([{"type": "text", "text": "a"}]), "usage": {"input_tokens": 3, "output_tokens": 4, **told}}
    reply = sse_reply(start(), *text_block(0, "a"), *finish(**told)) if is_stream else json_reply(body)
    asked = native_call(is_stream=is_stream) if is_native else call_of(stream=is_stream)
    pieces, _ = run(ask([reply], asked))
    usage = [piece.usage for piece in pieces if piece.usage is not None][-1]
    assert (usage.unpriced, usage.estimated) == (unpriced, False)


def test_a_tool_that_ran_before_a_stream_was_cut_is_known_by_then() -> None:
    reader = NativeEvents("claude")
    events = [start(), *block(0, {**SEARCH, "name": "bash_code_execution"})]
    pieces = [piece for one in events for piece in reader.read(one, event_data(one))]
    usage = [piece.usage for piece in pieces if piece.usage is not None][-1]
    assert (usage.input, usage.unpriced, usage.estimated) == (25, "bash_code_execution", True)


def test_a_whole_answer_to_a_stream_is_said_in_chat_alone() -> None:
    pieces, _ = run(ask([json_reply(whole_of([{"type": "text", "text": "a"}]))], native_call()))
    assert not any(piece.native for piece in pieces)
    assert b"chat.completion.chunk" in pieces[0].data


def test_an_error_in_a_stream_is_raised() -> None:
    failed = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    with pytest.raises(UpstreamError, match="Overloaded"):
        run(ask([sse_reply(start(), *text_block(0, "a"), failed)], native_call()))


def test_the_text_that_ended_an_answer_is_told_beside_the_finish() -> None:
    body = {**whole_of([{"type": "text", "text": "a"}]), "stop_reason": "stop_sequence", "stop_sequence": "END"}
    [piece], _ = run(ask([json_reply(body)], call_of()))
    [choice] = json.loads(piece.data)["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")
    last = event("message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "END"}, usage={"output_tokens": 1})
    pieces, _ = run(ask([sse_reply(start(), *text_block(0, "a"), last, event("message_stop"))], call_of(stream=True)))
    [choice] = json.loads(assemble(p.data for p in pieces if p.data))["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")


# --- counting


async def counted(reply: Reply, native: Native) -> tuple[int, Request]:
    http = HttpClient("turnout-test")
    try:
        async with ScriptedServer([reply]) as server:
            provider = AnthropicProvider("claude", http, server.url, api_key=KEY)
            assert isinstance(provider, CountsTokens)
            model = Model(name="c", provider="claude", id="claude-x", context_tokens=None, price=None)
            found = await provider.count_tokens(native, model, connect_s=2.0)
            return found, server.requests[0]
    finally:
        await http.aclose()


def test_tokens_are_counted_by_the_provider() -> None:
    native = Native(
        "anthropic_messages", b'{"model": "auto", "messages": []}', headers={"anthropic-beta": "x"}, query=b"beta=true"
    )
    found, request = run(counted(json_reply({"input_tokens": 14}), native))
    assert found == 14
    assert (request.path, request.json()) == ("/v1/messages/count_tokens?beta=true", {"model": "claude-x", "messages": []})
    assert (request.headers["anthropic-beta"], request.headers["x-api-key"]) == ("x", KEY)


@pytest.mark.parametrize(
    ("reply", "is_callers_fault"),
    [
        (json_reply({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, status=400), True),
        (json_reply({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, status=529), False),
        (json_reply({"input_tokens": "many"}), False),
        (json_reply([]), False),
    ],
)
def test_a_count_that_fails(reply: Reply, is_callers_fault: bool) -> None:
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(counted(reply, Native("anthropic_messages", b'{"model": "auto"}')))
    assert caught.value.is_callers_fault == is_callers_fault


def test_the_request_that_chat_callers_make_is_translated_still() -> None:
    call = call_of(stream=True)
    assert isinstance(call.request, ChatRequest)
    _, [request] = run(ask([sse_reply(*HELLO)], call))
    assert request.json()["max_tokens"] == 16_384
