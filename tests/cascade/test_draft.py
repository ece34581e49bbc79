"""The choices of a stream, however they are read, are those of the whole answer that it comes to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.draft import Draft, UnreadableAnswer, read_drafts
from gateway.chat_forms import assemble
from gateway.sse import EventParser

WORDS = st.sampled_from([None, "", "I ", "cannot", " — größe", "\n\ndata: x"])
CALLS = [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": WORDS,
        "refusal": WORDS,
        "reasoning_content": WORDS,
    },
)
ODD_DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from(["a", [{"type": "text", "text": "b"}], 4]),
        "tool_calls": st.sampled_from([None, [], CALLS, [{"index": 0, "custom": {"name": "c"}}]]),
        "function_call": st.sampled_from([None, {"name": "f", "arguments": "{}"}]),
    },
)
FINISHES = st.sampled_from([None, "", "stop", "length"])


def choices(deltas: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    optional = {"index": st.integers(0, 2), "finish_reason": FINISHES, "message": st.sampled_from([None, {"content": "m"}])}
    return st.fixed_dictionaries({"delta": deltas}, optional=optional)


def events(deltas: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    optional = {"id": st.just("c"), "usage": st.sampled_from([None, {"prompt_tokens": 1}])}
    return st.fixed_dictionaries({"choices": st.one_of(st.none(), st.lists(choices(deltas), max_size=2))}, optional=optional)


def sent(told: object) -> bytes:
    return b"data: " + msgspec.json.encode(told) + b"\n\n"


def outcome(data: bytes, *, is_stream: bool) -> list[Draft] | str:
    try:
        return read_drafts(data, is_stream=is_stream, chances={0: ()})
    except UnreadableAnswer:
        return "unreadable"


def assembled(data: bytes) -> list[Draft] | str:
    try:
        body = assemble(EventParser().feed(data))
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError):
        return "unreadable"
    return outcome(body, is_stream=False)


@given(st.lists(events(DELTAS)).map(lambda told: b"".join(map(sent, told))))
def test_a_stream_of_words_says_what_it_does_assembled(data: bytes) -> None:
    assert outcome(data, is_stream=True) == assembled(data)


@given(st.lists(events(st.one_of(DELTAS, ODD_DELTAS))).map(lambda told: b"".join(map(sent, told))))
def test_a_stream_of_more_than_words_does_too(data: bytes) -> None:
    assert outcome(data, is_stream=True) == assembled(data)


@given(WORDS, WORDS, FINISHES, st.integers(0, 2))
def test_a_whole_answer_of_words_is_read_as_one_with_room_for_more(
    content: str | None, refusal: str | None, finish: str | None, index: int
) -> None:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": index, "finish_reason": finish}
    plain = msgspec.json.encode({"choices": [{**choice, "message": message}]})
    odd = msgspec.json.encode({"choices": [{**choice, "message": {**message, "tool_calls": []}}]})
    read = outcome(plain, is_stream=False)
    assert read == outcome(odd, is_stream=False) == [Draft(content or "", refusal or "", (), finish)]


ONE = sent({"choices": [{"index": 0, "delta": {"content": "a"}}]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: \n\n",
        b": comment\n\n" + ONE,
        ONE + b": comment\n\n" + ONE,
        b"event: message\n" + ONE,
        ONE.replace(b"\n\n", b"\r\n\r\n"),
        ONE.replace(b": {", b":{"),
        ONE + b"data: [DONE]\n\n",
        ONE + b"data: {}, {}\n\n",
        ONE + b"data: 1\n\n",
        ONE + b'data: {"choices":\n\n[]}\n\n',
        ONE + b'data: {"choices":\ndata: []}\n\n',
        ONE + b'data: {"choices":\r[]}\n\n',
        ONE + b'data: {"choices": [1\n\ndata: ]}\n\n',
        ONE + b'data: {"choices": [\n\ndata: ]}, {}\n\n',
        ONE + b'data: {"id": "\xff"}\n\n',
        ONE + b'data: {"id": 1e999}\n\n',
        ONE + sent({"usage": -1}),
        ONE + sent({"usage": []}),
        ONE + sent({"choices": [{"delta": {}, "logprobs": "x"}]}),
        ONE + sent({"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a"}], "refusal": None}}]}),
        sent({"choices": [{"logprobs": {"content": 1}}]}) + sent({"choices": [{"logprobs": {"content": [1]}}]}),
        ONE + b'data: {"choices": [',
        ONE + ONE[:-1],
    ],
)
def test_what_is_between_or_beside_the_words_changes_nothing(data: bytes) -> None:
    assert outcome(data, is_stream=True) == assembled(data)
