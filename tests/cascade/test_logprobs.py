"""Log-probabilities are asked for, read and taken out, and everything else keeps its bytes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.logprobs import LogprobTally, asking_for_logprobs, token_chances
from gateway.providers.base import Piece
from tests.cascade.answers import event, events, said, usage_event, whole


@pytest.mark.parametrize(
    ("given_", "sent", "is_callers"),
    [
        ({}, {"logprobs": True, "top_logprobs": 2}, False),
        ({"logprobs": None}, {"logprobs": True, "top_logprobs": 2}, False),
        ({"logprobs": False}, {"logprobs": True, "top_logprobs": 2}, False),
        ({"top_logprobs": 7}, {"logprobs": True, "top_logprobs": 2}, False),
        ({"logprobs": True}, {"logprobs": True, "top_logprobs": 2}, True),
        ({"logprobs": True, "top_logprobs": None}, {"logprobs": True, "top_logprobs": 2}, True),
        ({"logprobs": True, "top_logprobs": 5}, {"logprobs": True, "top_logprobs": 5}, True),
        ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}, True),
    ],
)
def test_what_the_caller_asked_for_stands(given_: dict[str, Any], sent: dict[str, Any], is_callers: bool) -> None:
    body, callers = asking_for_logprobs(json.dumps({"model": "auto", "seed": 1.50, **given_}).encode())
    fields = json.loads(body)
    assert {k: fields[k] for k in ("logprobs", "top_logprobs")} == sent
    assert callers is is_callers
    assert (fields["model"], fields["seed"]) == ("auto", 1.5)


def test_other_fields_of_a_request_keep_their_bytes() -> None:
    body, _ = asking_for_logprobs(b'{"model":"auto","temperature":1.000,"x":{"a" : 1e5}}')
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    assert (bytes(raw["temperature"]), bytes(raw["x"])) == (b"1.000", b'{"a" : 1e5}')


def taken(pieces: list[bytes], *, keeps: bool, is_stream: bool = True) -> tuple[list[bytes], LogprobTally]:
    tally = LogprobTally(keeps=keeps)
    return [tally.take(Piece(data), is_stream=is_stream).data for data in pieces], tally


def test_a_stream_loses_what_its_caller_did_not_ask_for_and_nothing_else() -> None:
    stream = [*events("Paris it is", -0.5), usage_event()]
    left, tally = taken(stream, keeps=False)
    assert [chance.logprob for chance in tally.by_choice[0]] == [-0.5] * 3
    assert [chance.lead for chance in tally.by_choice[0]] == [2.0] * 3
    for before, after in zip(stream, left, strict=True):
        was, now = (json.loads(data[6:]) for data in (before, after))
        for choice in was["choices"]:
            if "logprobs" in choice:
                choice["logprobs"] = None
        assert now == was
    assert left[0] == stream[0] and left[-1] == stream[-1]  # what has none is not even touched


def test_a_whole_answer_loses_them_too() -> None:
    body = whole(said("Paris", -0.5), said("Rome now", -1.0))
    (left,), tally = taken([body], keeps=False, is_stream=False)
    assert {i: [c.logprob for c in chances] for i, chances in tally.by_choice.items()} == {0: [-0.5], 1: [-1.0, -1.0]}
    was = json.loads(body)
    for choice in was["choices"]:
        choice["logprobs"] = None
    assert json.loads(left) == was


def test_a_caller_who_asked_sees_them_byte_for_byte() -> None:
    stream = events("Paris it is", -0.5)
    left, tally = taken(stream, keeps=True)
    assert left == stream
    assert len(tally.by_choice[0]) == 3
    body = whole(said("Paris", -0.5))
    assert taken([body], keeps=True, is_stream=False)[0] == [body]


def test_several_events_in_a_piece_are_all_read() -> None:
    (left,), tally = taken([b"".join(events("Paris it is", -0.5))], keeps=False)
    assert len(tally.by_choice[0]) == 3
    assert left.count(b"data: ") == 5
    assert b"top_logprobs" not in left


def test_the_word_in_a_text_is_not_the_field() -> None:
    stream = [event({"content": 'what are "logprobs"?'})]
    left, tally = taken(stream, keeps=False)
    assert json.loads(left[0][6:]) == json.loads(stream[0][6:])
    assert tally.by_choice == {}


def test_the_end_of_the_answer_is_no_token_of_it() -> None:
    content = [
        {"token": "Hi", "logprob": -0.1, "top_logprobs": []},
        {"token": "", "bytes": [], "logprob": -3.0, "top_logprobs": []},
    ]
    (chance,) = token_chances({"content": content})
    assert (chance.logprob, chance.lead) == (-0.1, None)


def test_the_lead_is_that_of_the_likeliest_whichever_was_drawn() -> None:
    top = [{"token": "b", "logprob": -3.0}, {"token": "a", "logprob": -0.5}, {"token": "c", "logprob": -9999.0}]
    (chance,) = token_chances({"content": [{"token": "b", "logprob": -3.0, "top_logprobs": top}]})
    assert chance.lead == pytest.approx(2.5)


@pytest.mark.parametrize(
    "there",
    [
        b'{"content": [{"token": "\xff", "logprob": -1}]}',
        b'{"content": [{"token": "a", "logprob": -1e999}]}',
        b"[" * 900 + b"]" * 900,
    ],
    ids=["half a character", "out of range", "deep"],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_what_cannot_be_read_is_none_and_goes_all_the_same(there: bytes, is_stream: bool) -> None:
    body = b'{"choices": [{"index": 0, "message": {"content": "Paris"}, "logprobs": %s}]}' % there
    (left,), tally = taken([b"data: " + body + b"\n\n" if is_stream else body], keeps=False, is_stream=is_stream)
    assert json.loads(left.removeprefix(b"data: "))["choices"] == [
        {"index": 0, "message": {"content": "Paris"}, "logprobs": None}
    ]
    assert tally.by_choice == {0: []}


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["content", "token", "logprob", "top_logprobs"])
    return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4), nested)


@given(JSON)
def test_whatever_stands_there_is_read_or_passed_over(value: Any) -> None:
    assert isinstance(token_chances(value), list)
