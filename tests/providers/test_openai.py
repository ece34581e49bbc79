"""The OpenAI adapter: what is asked on the wire, and what is passed on of a good answer."""

import asyncio
import gc
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.chat import read_chunk
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.http import HttpClient
from gateway.providers.openai import OpenAIProvider
from gateway.providers.openai_events import OpenAIEvents
from gateway.usage import Usage
from tests.providers.openai_calls import (
    COUNT,
    COUNTED,
    DONE,
    HI,
    ROLE,
    STOP,
    THERE,
    USAGE,
    WHOLE,
    asked,
    call,
    event,
    shown,
    stream,
)
from tests.scripted_server import HANG, Reply, ScriptedServer, json_reply, split, sse_reply


def test_request_keeps_its_bytes_but_for_model_and_usage() -> None:
    messages = [{"role": "user", "content": "naïve \u2028 \\u0041"}]
    body = {"x": 1.50, "model": "auto", "messages": messages, "stream": True, "stream_options": {"a": 1}}
    _, (request,) = asked(sse_reply(HI, STOP, DONE), call(body=body), api_key="sk-1", headers={"x-org": "o"})
    assert request.path == "/v1/chat/completions"
    assert request.json() == {**body, "model": "gpt-real", "stream_options": {"a": 1, "include_usage": True}}
    assert json.dumps(messages).encode().replace(b" ", b"") in request.body.replace(b" ", b"")
    assert request.headers["authorization"] == "Bearer sk-1"
    assert (request.headers["content-type"], request.headers["x-org"]) == ("application/json", "o")


def test_whole_request_does_not_ask_for_stream_options() -> None:
    _, (request,) = asked(json_reply(WHOLE), call(is_stream=False))
    assert "stream_options" not in request.json()
    assert "authorization" not in request.headers


def test_whole_answer_passes_unchanged() -> None:
    body = json.dumps(WHOLE, indent=3).encode()
    (piece,), _ = asked(json_reply(body), call(is_stream=False))
    assert piece == Piece(body, has_content=True, text="Hi there", usage=COUNTED, finish="stop", is_end=True)


def test_stream_passes_unchanged_without_its_terminator() -> None:
    pieces = stream(ROLE, HI, THERE, STOP, USAGE, DONE)
    assert shown(pieces) == ROLE + HI + THERE + STOP + USAGE
    assert [p.has_content for p in pieces] == [False, True, True, False, False, False]
    assert [p.finish for p in pieces] == [None, None, None, "stop", None, None]
    assert [p.is_usage_only for p in pieces] == [False, False, False, False, True, False]
    assert [p.usage for p in pieces if p.usage] == [COUNTED]
    assert sum(len(p.text) for p in pieces) == len("Hi thére 😀")


@pytest.mark.timeout(60)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.integers(0, 500), max_size=10))
def test_stream_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    whole = b": ping\n\n" + ROLE + HI + THERE + STOP + USAGE + DONE
    assert shown(stream(*split(whole, cuts))) == ROLE + HI + THERE + STOP + USAGE


SECOND = event({"content": "!"}, index=1)
CALLING = event({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]})
THINKING = event({"content": None, "reasoning_content": "hm"})
NOTHING = event({"content": ""})
COUNTING = event({"content": "x"}, usage=COUNT)


@pytest.mark.parametrize(
    ("events", "runs"),
    [
        ([HI, THERE, HI], [[HI], [THERE, HI]]),  # with the first, its choice begins
        ([ROLE, HI, THERE, STOP], [[ROLE], [HI, THERE], [STOP]]),
        ([ROLE, HI, NOTHING, THERE], [[ROLE], [HI], [NOTHING], [THERE]]),
        ([ROLE, THINKING, THINKING, HI, CALLING], [[ROLE], [THINKING, THINKING, HI, CALLING]]),
        ([HI, SECOND, THERE, SECOND], [[HI], [SECOND], [THERE, SECOND]]),
        (
            [HI, event({"content": "x"}, usage=COUNT), THERE, USAGE],
            [[HI], [event({"content": "x"}, usage=COUNT)], [THERE], [USAGE]],
        ),
        ([HI, THERE, event({"content": "x"}, "")], [[HI], [THERE, event({"content": "x"}, "")]]),
    ],
)
def test_events_that_come_together_and_only_say_more_are_one_piece(events: list[bytes], runs: list[list[bytes]]) -> None:
    pieces: list[Piece] = []
    OpenAIEvents("p").read_lines(b"".join(events), [one[6:-2] for one in events], pieces)
    assert [piece.data for piece in pieces] == [b"".join(run) for run in runs]
    alone = OpenAIEvents("p")
    for piece, run in zip(pieces, runs, strict=True):
        each = [one for event_ in run for one in alone.read(event_, event_[6:-2])]
        assert (piece.text, piece.has_content) == ("".join(one.text for one in each), each[0].has_content)
        assert (piece.finish, piece.usage, piece.is_usage_only) == (each[-1].finish, each[-1].usage, each[-1].is_usage_only)
        assert piece.events == len(run)


def test_nothing_behind_the_terminator_is_read_and_what_came_before_an_error_is() -> None:
    pieces: list[Piece] = []
    OpenAIEvents("p").read_lines(b"", [HI[6:-2], STOP[6:-2], b"[DONE]", b"oops"], pieces)
    assert [piece.is_end for piece in pieces] == [False, False, True]
    pieces.clear()
    with pytest.raises(UpstreamError):
        OpenAIEvents("p").read_lines(b"", [HI[6:-2], THERE[6:-2], b"", b"oops"], pieces)
    assert shown(pieces) == HI + THERE


def test_character_split_over_chunks_arrives_whole() -> None:
    at = THERE.index("😀".encode()) + 2
    assert shown(stream(HI, THERE[:at], THERE[at:], STOP, DONE)) == HI + THERE + STOP


def test_signs_of_life_are_not_passed_on() -> None:
    assert shown(stream(b": ping\n\n", HI, b": ping\n\n", b"data:\n\n", STOP, b":\n\n", DONE)) == HI + STOP


def test_crlf_lines_are_events_too() -> None:
    assert shown(stream(*(e.replace(b"\n", b"\r\n") for e in (HI, STOP, DONE)))) == (HI + STOP).replace(b"\n", b"\r\n")


def test_count_on_an_event_with_choices_is_seen() -> None:
    pieces = stream(HI, event({}, "stop", usage=COUNT), DONE)
    assert [(p.usage, p.is_usage_only) for p in pieces if p.usage] == [(COUNTED, False)]


def test_count_that_grows_is_told_each_time() -> None:
    early = event({"content": "Hi"}, usage={"prompt_tokens": 9, "completion_tokens": 1})
    assert [p.usage for p in stream(early, STOP, USAGE, DONE) if p.usage] == [Usage(input=9, output=1), COUNTED]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "a"}},
        {"content": [{"type": "thinking", "thinking": []}]},
        {"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
        {"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
    ],
)
def test_anything_that_is_said_is_content(delta: dict[str, Any]) -> None:
    assert [p.has_content for p in stream(ROLE, event(delta), STOP, DONE)] == [False, True, False, False]


@pytest.mark.parametrize(
    "delta", [{}, {"role": "assistant"}, {"content": None}, {"content": ""}, {"tool_calls": []}, {"tool_calls": None}]
)
def test_nothing_said_is_preamble(delta: dict[str, Any]) -> None:
    assert not read_chunk(event(delta)[6:]).choices[0].delta.has_content()  # type: ignore[index, union-attr]


def test_server_that_ignores_stream_is_streamed_all_the_same() -> None:
    pieces, _ = asked(json_reply(WHOLE))
    assert [p.is_end for p in pieces] == [False, True]
    assert pieces[0].usage == COUNTED
    assert pieces[0].finish == "stop"
    events = [json.loads(e[6:]) for e in shown(pieces).decode().strip().split("\n\n")]
    assert [e["choices"][0]["delta"].get("content") for e in events] == ["Hi there", None]
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_whole_answer_with_nothing_in_it_has_no_content() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": "stop"}
    (piece,), _ = asked(json_reply({**WHOLE, "choices": [choice]}), call(is_stream=False))
    assert (piece.has_content, piece.is_end, piece.finish, piece.usage) == (False, True, "stop", COUNTED)
    pieces, _ = asked(json_reply({**WHOLE, "choices": [choice]}))
    assert not any(piece.has_content for piece in pieces)


def test_content_type_may_be_in_any_case() -> None:
    assert shown(asked(Reply([HI, STOP, DONE], 200, {"content-type": "Text/Event-Stream"}))[0]) == HI + STOP


def test_cancelled_stream_is_cancelled_upstream() -> None:
    async def scenario() -> None:
        http = HttpClient("test")
        async with ScriptedServer([sse_reply(HI, HANG)]) as server:
            exchange = await OpenAIProvider("p", http, f"{server.url}/v1").open(call())
            await exchange.read()
            await exchange.aclose()
            async with asyncio.timeout(5):
                await server.client_left(0)
        await http.aclose()

    asyncio.run(scenario())
    gc.collect()


def test_connection_is_used_again_after_a_complete_stream() -> None:
    async def scenario() -> None:
        http = HttpClient("test")
        async with ScriptedServer([sse_reply(HI, STOP, DONE)]) as server:
            provider = OpenAIProvider("p", http, f"{server.url}/v1")
            for _ in range(3):
                exchange = await provider.open(call())
                while not (await exchange.read())[-1].is_end:
                    pass
                await exchange.aclose()
            assert server.connections == 1
            await http.aclose()

    asyncio.run(scenario())
    gc.collect()
