"""A rule and an answer: does it stand?"""

import json
from typing import Any

import msgspec
import pytest

from gateway import chat
from gateway.cascade.draft import UnreadableAnswer, read_drafts
from gateway.cascade.judge import NO_LOGPROBS, Terms, Verdict, judge
from gateway.cascade.logprobs import LogprobTally
from gateway.cascade.sample import TEMPERATURE, sample_request
from gateway.policy.model import AcceptRule, Calibration
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from tests.cascade.answers import event, events, logprobs, message, said, whole

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def request(**fields: Any) -> ChatRequest:
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **fields})
    return ChatRequest("r", body, chat.read_head(body))


def verdict(rule: AcceptRule, *choices: dict[str, Any], **asked: Any) -> Verdict:
    """On a whole answer."""
    tally = LogprobTally(keeps=False)
    data = tally.take(Piece(whole(*choices)), is_stream=False).data
    return judge(rule, Terms.of(request(**asked)), read_drafts(data, is_stream=False, chances=tally.by_choice))


CASES: list[tuple[AcceptRule, dict[str, Any], str | None]] = [
    (AcceptRule(), said("Paris"), None),
    (AcceptRule(min_chars=5), said("Paris"), None),
    (AcceptRule(min_chars=6), said("Paris"), "5 characters are fewer than 6"),
    (AcceptRule(max_chars=5), said("Paris"), None),
    (AcceptRule(max_chars=4), said("Paris"), "5 characters are more than 4"),
    (AcceptRule(), said("I'm sorry, but I can't help with that."), "it begins by declining"),
    (AcceptRule(no_refusal=False), said("I'm sorry, but I can't help with that."), None),
    (AcceptRule(), {"message": {**message(None), "refusal": "No."}}, "it declines"),
    (AcceptRule(), said("round and round " * 12), "the same 3 words at least 8 times in a row"),
    (AcceptRule(no_repetition=False), said("round and round " * 12), None),
    (AcceptRule(), said(""), "it is empty"),
    (AcceptRule(), said("  \n"), "it is empty"),
    (AcceptRule(), said("Par", finish="length"), "it was cut short (length)"),
    (AcceptRule(), said("Par", finish="content_filter"), "it ended with content_filter"),
    (AcceptRule(mean_logprob=-0.6), said("Paris it is", -0.5), None),
    (AcceptRule(mean_logprob=-0.4), said("Paris it is", -0.5), "mean_logprob -0.50 is below -0.4"),
    (AcceptRule(lowest_window=-0.6), said("Paris it is", -0.5), None),
    (AcceptRule(lowest_window=-0.4), said("Paris it is", -0.5), "lowest_window -0.50 is below -0.4"),
    (AcceptRule(margin=1.9), said("Paris it is", -0.5, lead=2.0), None),
    (AcceptRule(margin=2.1), said("Paris it is", -0.5, lead=2.0), "margin 2.00 is below 2.1"),
    (AcceptRule(margin=1.0), said("Paris it is"), NO_LOGPROBS),
    (AcceptRule(confidence=0.1), said("Paris it is"), NO_LOGPROBS),
    (AcceptRule(mean_logprob=-0.50001), said("Paris", -0.500011), "mean_logprob -0.5000 is below -0.50001"),
]


@pytest.mark.parametrize(("rule", "choice", "why"), CASES)
def test_each_rule_says_what_it_found(rule: AcceptRule, choice: dict[str, Any], why: str | None) -> None:
    found = verdict(rule, choice)
    assert (found.is_accepted, found.why) == (why is None, why or "")


def calibration(bias: float) -> Calibration:
    return Calibration("mine.json", (0.0, 0.0, 0.0, 0.0), bias)


def test_confidence_is_that_of_the_policys_own_calibration() -> None:
    rule = AcceptRule(confidence=0.8, calibration=calibration(-1.0))
    found = verdict(rule, said("Paris", -0.01))
    assert found.why == "confidence 0.27 is below 0.8"
    assert found.measures["confidence"] == pytest.approx(0.26894, abs=1e-5)
    assert verdict(AcceptRule(confidence=0.8, calibration=calibration(2.0)), said("Paris", -9.0)).is_accepted


def test_measures_are_kept_under_the_names_that_a_fit_reads() -> None:
    found = verdict(AcceptRule(mean_logprob=-1.0), said("Paris it is", -0.5, lead=2.0))
    assert 0 < found.measures["confidence"] < 1
    assert {k: v for k, v in found.measures.items() if k != "confidence"} == {
        "mean_logprob": -0.5, "lowest_window": -0.5, "margin": 2.0, "tokens": 3,
    }  # fmt: skip


def test_cutting_short_is_no_fault_where_the_caller_wants_it() -> None:
    cut = said("Once upon a", finish="length")
    assert verdict(AcceptRule(), cut, max_tokens=16).is_accepted
    assert verdict(AcceptRule(), cut, max_completion_tokens=256).is_accepted
    assert not verdict(AcceptRule(), cut, max_tokens=4096).is_accepted


def test_json_is_demanded_only_where_the_request_does() -> None:
    as_json: dict[str, Any] = {"response_format": {"type": "json_object"}}
    assert verdict(AcceptRule(), said("Paris")).is_accepted
    assert verdict(AcceptRule(), said('{"city": "Paris"}'), **as_json).is_accepted
    assert verdict(AcceptRule(), said("Paris"), **as_json).why == "it is not JSON"
    assert verdict(AcceptRule(valid_json=False), said("Paris"), **as_json).is_accepted


def test_a_tool_call_needs_no_text_but_a_tool_and_arguments() -> None:
    good = {"message": message(None, [("weather", '{"city": "Ulm"}')]), "finish_reason": "tool_calls"}
    unknown = {"message": message(None, [("launch", "{}")]), "finish_reason": "tool_calls"}
    broken = {"message": message(None, [("weather", '{"city": ')]), "finish_reason": "tool_calls"}
    rule = AcceptRule(min_chars=10)
    assert verdict(rule, good, tools=TOOLS).is_accepted
    assert verdict(rule, unknown, tools=TOOLS).why == "it calls a tool that the request does not offer"
    assert verdict(rule, broken, tools=TOOLS).why == "the arguments of its tool call are not JSON"
    assert verdict(rule, good).why == "it calls a tool that the request does not offer"
    old = {"message": {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}}
    assert verdict(rule, old, functions=[{"name": "f"}]).is_accepted


def test_of_several_choices_all_must_convince() -> None:
    rule = AcceptRule(min_chars=3, mean_logprob=-1.0)
    assert verdict(rule, said("Paris", -0.1), said("Rome", -0.5)).measures["mean_logprob"] == -0.5
    assert verdict(rule, said("Paris", -0.1), said("Rome", -1.5)).rule == "mean_logprob"
    assert verdict(rule, said("Paris", -1.5), said("", -0.1)).rule == "empty"


def test_a_stream_and_a_whole_answer_are_judged_alike() -> None:
    for logprob in (-0.5, -1.5):
        tally = LogprobTally(keeps=False)
        data = b"".join(tally.take(Piece(e), is_stream=True).data for e in events("Paris it is", logprob))
        drafts = read_drafts(data, is_stream=True, chances=tally.by_choice)
        rule = AcceptRule(mean_logprob=-1.0)
        assert judge(rule, Terms.of(request()), drafts) == verdict(rule, said("Paris it is", logprob))


def test_tool_calls_of_a_stream_are_put_together() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"ci'}}
    rest = {"index": 0, "function": {"arguments": 'ty": "Ulm"}'}}
    stream = event({"role": "assistant", "tool_calls": [call]}) + event({"tool_calls": [rest]}) + event({}, "tool_calls")
    (draft,) = read_drafts(stream, is_stream=True, chances={})
    assert (draft.calls[0].name, json.loads(draft.calls[0].arguments)) == ("weather", {"city": "Ulm"})


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"nonsense", b'{"choices": [1]}', b'{"choices": [{"message": 3}]}',
     b'{"choices": [{"message": {"tool_calls": [{"function": 1}]}}]}', b'{"choices": [{"message": {"content": [1]}}]}'],
)  # fmt: skip
def test_a_shape_that_is_no_answer_is_said_so(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read_drafts(body, is_stream=False, chances={})


def test_an_answer_without_choices_does_not_stand() -> None:
    assert judge(AcceptRule(), Terms.of(request()), []).rule == "answer"


def test_content_in_parts_is_text() -> None:
    parts = {"message": {"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Paris"}]}}
    (draft,) = read_drafts(whole(parts), is_stream=False, chances={})
    assert draft.text == "Paris"


def test_logprobs_of_an_odd_server_do_not_hurt() -> None:
    choice = {**said("Paris"), "logprobs": {"content": None}}
    assert verdict(AcceptRule(mean_logprob=-1.0), choice).why == NO_LOGPROBS
    choice = {**said("Paris"), "logprobs": {**logprobs(["Paris"], -0.1), "tokens": [1]}}
    assert verdict(AcceptRule(mean_logprob=-1.0), choice).is_accepted


# The request of a sample.


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"temperature": TEMPERATURE}),
        ({"temperature": 0}, {"temperature": TEMPERATURE}),
        ({"temperature": None}, {"temperature": TEMPERATURE}),
        ({"temperature": 1.2}, {"temperature": 1.2}),
        ({"seed": 7}, {"temperature": TEMPERATURE, "seed": 9}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"temperature": TEMPERATURE}),
        ({"n": 3, "logprobs": True, "top_logprobs": 4}, {"temperature": TEMPERATURE}),
    ],
)  # fmt: skip
def test_a_sample_is_whole_single_and_free_to_differ(given: dict[str, Any], sent: dict[str, Any]) -> None:
    made = sample_request(request(**given), 3)
    fields = json.loads(made.body)
    assert {k: v for k, v in fields.items() if k not in ("model", "messages")} == sent
    assert not made.is_stream and made.head.n is None
