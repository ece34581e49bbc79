"""The OpenAI adapter: refusals, errors in answers, broken events, and answers that are cut."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.providers.openai_calls import (
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
    failure,
    shown,
    stream,
)
from tests.scripted_server import CUT, HANG, RESET, Reply, Step, json_reply, sse_reply


def test_refusal_is_mapped_with_its_words() -> None:
    error = {"error": {"message": "slow down, sk-secret-1", "code": "rate_limit_exceeded"}}
    found = failure(json_reply(error, status=429, headers={"retry-after": "2"}), api_key="sk-secret-1")
    assert (found.fault, found.status, found.code, found.retry_after_s) == ("status", 429, "rate_limit_exceeded", 2.0)
    assert found.message == "p: slow down, ***"
    assert found.is_retryable


@pytest.mark.parametrize(
    "steps",
    [[b"<html>" + b"x" * 1_000_000], [b'{"error"', CUT], [b'{"error"', RESET], [HANG]],
    ids=["1 MB", "cut", "reset", "hang"],
)
def test_status_counts_whatever_becomes_of_its_words(steps: Sequence[Step]) -> None:
    found = failure(Reply(steps, 429, {"content-type": "text/html", "retry-after": "3"}, content_length=True))
    assert (found.fault, found.status, found.retry_after_s, found.is_retryable) == ("status", 429, 3.0, True)
    assert len(found.message) < 1000


@pytest.mark.parametrize("is_stream", [True, False])
def test_error_body_under_200_is_an_error(is_stream: bool) -> None:
    found = failure(json_reply({"error": {"message": "no capacity"}}), call(is_stream))
    assert (found.fault, found.message) == ("reported", "p: no capacity")


@pytest.mark.parametrize(
    "step",
    [
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'event: error\ndata: {"message": "overloaded"}\n\n',
        b'event: error\ndata: {"error": {"message": "overloaded"}}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b'data: {"message": "overloaded"}\nevent: error\n\n',
        b'data: "overloaded"\r\nevent: error\r\n\r\n',
    ],
)
@pytest.mark.parametrize("before", [(), (ROLE,), (ROLE, HI)], ids=["first", "after the role", "after content"])
def test_error_event_is_an_error_and_is_not_passed_on(before: Sequence[bytes], step: bytes) -> None:
    found = failure(sse_reply(*before, step, DONE))
    assert (found.fault, found.message) == ("reported", "p: overloaded")
    assert found.__notes__ == [repr(b"".join(before))]


def test_null_error_is_none() -> None:
    assert shown(stream(event({"content": "Hi"}, error=None), STOP, DONE)).startswith(b"data:")
    (piece,), _ = asked(json_reply({**WHOLE, "error": None}), call(is_stream=False))
    assert piece.is_end


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {oops}\n\n",
        b"data: [1]\n\n",
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [{"delta": 1}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "caf\xe9"}}]}\n\n',
        b'data: {"x": ' + b"[" * 100_000 + b"\n\n",
    ],
    ids=["oops", "list", "number", "delta", "latin-1", "nested"],
)
def test_bad_event_is_an_error_after_all_that_came_before_it(bad: bytes) -> None:
    found = failure(sse_reply(ROLE + HI + bad + STOP + DONE))
    assert found.fault == "malformed"
    assert found.__notes__ == [repr(ROLE + HI)]


@pytest.mark.parametrize(
    "body",
    [
        b"oops",
        b"[]",
        b'{"choices": 7}',
        b'{"choices": []]',
        b'{"choices": [{"message": {"content": "caf\xe9"}}]}',
        b"[" * 100_000,
    ],
    ids=range(6),
)
def test_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    assert failure(json_reply(body), call(is_stream=False)).fault == "malformed"


@pytest.mark.parametrize("length", [0, 1, 20, -1])
def test_body_that_stops_in_the_middle_is_cut_however_well_it_ends(length: int) -> None:
    found = failure(json_reply(json.dumps(WHOLE).encode()[:length]), call(is_stream=False))
    assert (found.fault, found.is_retryable) == ("cut", True)


@pytest.mark.parametrize("is_stream", [True, False])
def test_web_page_is_no_answer(is_stream: bool) -> None:
    page = Reply([b"<!DOCTYPE html><title>502 Bad Gateway</title>"], 200, {"content-type": "Text/HTML; charset=utf-8"})
    found = failure(page, call(is_stream))
    assert found.message == "p: answered with a web page; is base_url right?"
    assert (found.fault, found.is_retryable) == ("malformed", False)


@pytest.mark.parametrize("choices", [[], [{"index": 0, "finish_reason": "stop"}]])
def test_answer_without_a_message_is_empty(choices: list[Any]) -> None:
    assert failure(json_reply({"choices": choices}), call(is_stream=False)).fault == "empty"


@pytest.mark.parametrize("end", [(), (CUT,), (RESET,), (DONE,), (USAGE, DONE)], ids=["eof", "cut", "reset", "done", "usage"])
def test_stream_without_a_finish_reason_is_cut(end: Sequence[Step]) -> None:
    found = failure(sse_reply(ROLE, HI, *end))
    assert found.fault == "cut"
    assert found.__notes__ == [repr(ROLE + HI + (USAGE if USAGE in end else b""))]


ENDS = {"eof": (), "cut": (CUT,), "reset": (RESET,), "silence": (HANG,), "done": (DONE,), "done, silence": (DONE, HANG)}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_stream_with_a_finish_reason_is_complete_however_it_ends(end: Sequence[Step]) -> None:
    pieces = stream(HI, STOP, *end)
    assert shown(pieces) == HI + STOP
    assert pieces[-1].is_end


def test_stream_of_two_choices_is_complete_when_both_are() -> None:
    two = (HI, event({"content": "Ho"}, index=1), STOP)
    assert failure(sse_reply(*two, CUT)).fault == "cut"
    assert stream(*two, event({}, "stop", index=1), CUT)[-1].is_end


def test_nothing_after_the_terminator_is_read() -> None:
    assert shown(stream(HI + STOP + DONE + event({"content": "ghost"}))) == HI + STOP


def test_whole_answer_that_is_cut_is_an_error() -> None:
    body = json.dumps(WHOLE).encode()
    cut = Reply([body[:40], CUT], 200, {"content-type": "application/json"}, content_length=True)
    found = failure(cut, call(is_stream=False))
    assert (found.fault, found.is_retryable) == ("cut", True)


@pytest.mark.parametrize("steps", [[CUT], [RESET], [b"SSH-2.0-x\r\n", CUT]])
def test_server_that_does_not_answer_in_http_is_a_failed_connection(steps: list[Step]) -> None:
    found = failure(Reply(steps, status=None))
    assert (found.fault, found.is_retryable) == ("connect", True)


def test_empty_finish_reason_is_none() -> None:
    blank = event({"content": "Hi"}, "")
    assert failure(sse_reply(blank, CUT)).fault == "cut"
    assert failure(sse_reply(blank, DONE)).fault == "cut"
    pieces = stream(blank, THERE, STOP, DONE)
    assert shown(pieces) == blank + THERE + STOP
    assert [piece.finish for piece in pieces if piece.data] == [None, None, "stop"]
