"""A stream that breaks off after the caller had some of it: an error, begun anew, or continued by another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.chat import read_chunk, sse
from gateway.errors import UpstreamError
from gateway.policy.failover import Failover, HedgeRule
from gateway.policy.model import Timeouts
from gateway.providers.base import Piece
from gateway.providers.pieces import piece_of
from gateway.sse import EventParser, event_data
from tests.execution import Bench, Scripted, fault
from tests.virtual_time import run

RESTART, CONTINUE = Failover(midstream="restart"), Failover(midstream="continue")
CUT = fault("cut", status=None, message="told to cut")
END = Piece(is_end=True)


def event(id_: str, delta: dict[str, Any], finish: str | None = None, index: int = 0) -> Piece:
    fields = {
        "id": id_,
        "created": len(id_),
        "model": id_,
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }
    data = msgspec.json.encode(fields)
    return piece_of(b"data: " + data + b"\n\n", read_chunk(data))


def usage_of(id_: str, read: int, wrote: int) -> Piece:
    fields = {"id": id_, "choices": [], "usage": {"prompt_tokens": read, "completion_tokens": wrote}}
    data = msgspec.json.encode(fields)
    return piece_of(sse(fields), read_chunk(data))


def spoken(id_: str, *texts: str) -> list[Piece]:
    return [event(id_, {"role": "assistant", "content": ""}), *(event(id_, {"content": text}) for text in texts)]


def answer(id_: str, *texts: str) -> list[Piece]:
    return [*spoken(id_, *texts), event(id_, {}, "stop"), usage_of(id_, 9, 4), END]


async def told(bench: Bench, failover: Failover, *names: str, **asked: Any) -> tuple[list[dict[str, Any]], UpstreamError | None]:
    """The events that the caller gets, and the error that ends them."""
    execution = bench.start(*names, failover=failover, **asked)
    got: list[dict[str, Any]] = []
    try:
        pieces: Sequence[Piece] = await execution.begin()
        while True:
            for piece in pieces:
                got += [msgspec.json.decode(event_data(e) or b"") for e in EventParser().feed(piece.data)]
            if pieces[-1].is_end:
                return got, None
            pieces = await execution.read()
    except UpstreamError as exc:
        return got, exc
    finally:
        await execution.aclose()


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])


def seams(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e["turnout"] for e in events if "turnout" in e]


def test_by_default_it_ends_with_an_error() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One"), CUT]), b=Scripted(answer("b", "Two")))
        events, error = await told(bench, Failover(), attempts=1)
        assert text_of(events) == "One" and error is not None and error.message == "told to cut"
        assert bench.story == ["a error"] and bench.providers["b"].calls == []

    run(scenario())


def test_restart_has_the_next_model_answer_from_the_beginning_and_says_so() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One, ", "two"), CUT]), b=Scripted(answer("b", "Uno, ", "due, tre")))
        events, error = await told(bench, RESTART, attempts=1)
        assert error is None and text_of(events) == "One, twoUno, due, tre"
        assert seams(events) == [{"midstream": "restart", "model": "b", "after_chars": 8}]
        assert bench.providers["b"].calls[0].request.body == bench.providers["a"].calls[0].request.body
        assert bench.story == ["a error", "b ok"]
        assert [(a.seam, a.seam_chars) for a in bench.attempts] == [(None, None), ("restart", 8)]
        # One stream: one id, and the role once.
        assert {e["id"] for e in events} == {"a"} and {e["created"] for e in events if e["choices"]} == {1}
        assert sum("role" in c["delta"] for e in events for c in e["choices"]) == 1

    run(scenario())


def test_continue_gives_the_next_model_what_was_said_and_it_goes_on() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One, ", "two, "), CUT]), b=Scripted(answer("b", " three", ", four.")))
        events, error = await told(bench, CONTINUE, attempts=1, max_tokens=50)
        assert error is None and text_of(events) == "One, two, three, four."
        assert seams(events) == [{"midstream": "continue", "model": "b", "after_chars": 10}]
        asked = msgspec.json.decode(bench.providers["b"].calls[0].request.body)
        assert asked["messages"][-1] == {"role": "assistant", "content": "One, two,"}
        assert asked["messages"][:-1] == msgspec.json.decode(bench.providers["a"].calls[0].request.body)["messages"]
        assert asked["max_tokens"] == 47
        assert [(a.model, a.outcome, a.seam, a.seam_chars) for a in bench.attempts] == [
            ("a", "error", None, None),
            ("b", "ok", "continue", 10),
        ]

    run(scenario())


def test_a_blank_that_was_not_said_yet_is_said() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One, two,"), CUT]), b=Scripted(answer("b", " three")))
        events, _ = await told(bench, CONTINUE, attempts=1)
        assert text_of(events) == "One, two, three"

    run(scenario())


def test_who_cannot_go_on_is_passed_over() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One"), CUT]), b=Scripted(answer("b", "no")), c=Scripted(answer("c", ", two")))
        bench.targets["b"] = with_prefill(bench, "b", "none")
        events, error = await told(bench, CONTINUE, attempts=1)
        assert error is None and text_of(events) == "One, two" and bench.providers["b"].calls == []

    run(scenario())


def test_vllm_is_told_to_go_on_by_its_own_fields() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One"), CUT]), b=Scripted(answer("b", ", two")))
        bench.targets["b"] = with_prefill(bench, "b", "vllm")
        await told(bench, CONTINUE, attempts=1)
        asked = msgspec.json.decode(bench.providers["b"].calls[0].request.body)
        assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)

    run(scenario())


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ([event("a", {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]})], {}),
        ([event("a", {"content": "I ask."}), event("a", {"tool_calls": [{"index": 0, "function": {"name": "f"}}]})], {}),
        ([event("a", {"reasoning_content": "hm"}), event("a", {"content": "One"})], {}),
        ([event("a", {"reasoning_content": "hm"})], {}),
        ([event("a", {"content": "one"}), event("a", {"content": "uno"}, index=1)], {"n": 2}),
        ([event("a", {"content": '{"a": '})], {"response_format": {"type": "json_object"}}),
        ([event("a", {"content": "  "})], {}),
    ],
)
def test_what_cannot_be_continued_ends_with_the_error(said: list[Piece], asked: dict[str, Any]) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*said, CUT]), b=Scripted(answer("b", "more")))
        _, error = await told(bench, CONTINUE, attempts=1, **asked)
        assert error is not None and error.message == "told to cut" and bench.providers["b"].calls == []

    run(scenario())


def test_a_model_that_refuses_to_go_on_does_not_hide_why_the_answer_broke_off() -> None:
    async def scenario() -> None:
        refusal = fault(status=400, message="prefill is not supported", is_callers_fault=True)
        bench = Bench(a=Scripted([*spoken("a", "One"), CUT]), b=Scripted(refusal))
        events, error = await told(bench, CONTINUE, attempts=1)
        assert text_of(events) == "One" and error is not None and error.message == "told to cut"
        assert bench.story == ["a error", "b error"]

    run(scenario())


def test_the_one_that_takes_over_may_break_off_too() -> None:
    async def scenario() -> None:
        bench = Bench(
            a=Scripted([*spoken("a", "One"), CUT]), b=Scripted([*spoken("b", ", two"), CUT]), c=Scripted(answer("c", ", three"))
        )
        events, error = await told(bench, CONTINUE, attempts=1)
        assert error is None and text_of(events) == "One, two, three"
        assert [s["after_chars"] for s in seams(events)] == [3, 8]
        asked = msgspec.json.decode(bench.providers["c"].calls[0].request.body)
        assert [m["role"] for m in asked["messages"]] == ["user", "assistant"]
        assert asked["messages"][-1]["content"] == "One, two"

    run(scenario())


def test_alone_a_cut_is_tried_again_with_the_same_model_as_often_as_the_policy_says() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One"), CUT], [*spoken("a", "Uno"), CUT], answer("a", "never asked")))
        events, error = await told(bench, RESTART, attempts=2)
        assert text_of(events) == "OneUno" and error is not None
        assert bench.story == ["a error", "a error"]

    run(scenario())


def test_a_target_that_lost_a_hedge_may_take_over() -> None:
    async def scenario() -> None:
        rule = Failover(midstream="continue", hedge=HedgeRule(after_s=1.0, budget=1.0))
        bench = Bench(a=Scripted([30.0, END], answer("a", ", two")), b=Scripted([*spoken("b", "One"), CUT]))
        events, error = await told(bench, rule, attempts=1)
        assert error is None and text_of(events) == "One, two"
        assert bench.story == ["a lost_hedge", "b error", "a ok"]

    run(scenario())


def test_a_target_that_was_left_for_being_slow_may_take_over() -> None:
    async def scenario() -> None:
        rule = Failover(midstream="continue", min_tokens_per_s=20.0)
        crawling = [step for word in ("x", "y", "z", "w") for step in (1.0, event("a", {"content": word}))]
        bench = Bench(a=Scripted(crawling, answer("a", ", two")), b=Scripted([*spoken("b", "One"), CUT]))
        events, error = await told(bench, rule, attempts=1)
        assert error is None and text_of(events) == "One, two"
        assert bench.story == ["a timeout", "b error", "a ok"]

    run(scenario())


def test_a_tool_call_that_was_begun_is_not_begun_anew() -> None:
    async def scenario() -> None:
        part = event("a", {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":'}}]})
        bench = Bench(a=Scripted([part, CUT]), b=Scripted(answer("b", "no")))
        _, error = await told(bench, RESTART, attempts=1)
        assert error is not None and bench.providers["b"].calls == []

    run(scenario())


def test_who_takes_over_does_not_wait_for_one_while_another_is_free() -> None:
    async def scenario() -> None:
        wait = fault(status=429, retry_after_s=20.0, is_retryable=True)
        bench = Bench(
            a=Scripted([*spoken("a", "One"), CUT]), b=Scripted(wait, answer("b", "late")), c=Scripted(answer("c", "Uno"))
        )
        events, error = await told(bench, RESTART)
        assert error is None and text_of(events) == "OneUno" and bench.clock() < 1
        assert bench.story == ["a error", "b error", "c ok"]

    run(scenario())


def test_bytes_that_are_no_text_in_a_part_that_nobody_reads_pass_as_they_do_without_a_takeover() -> None:
    async def scenario() -> None:
        odd = Piece(
            b'data: {"id": "a", "x": "\xff", "choices": [{"index": 0, "delta": {"content": "One"}}]}\n\n', has_content=True
        )
        bench = Bench(a=Scripted([odd, CUT]), b=Scripted([odd, *answer("b", "Two")]))
        execution = bench.start(failover=RESTART, attempts=1)
        got = b""
        pieces: Sequence[Piece] = await execution.begin()
        while True:
            got += b"".join(p.data for p in pieces)
            if pieces[-1].is_end:
                break
            pieces = await execution.read()
        await execution.aclose()
        assert got.count(b"\xff") == 2 and b"Two" in got

    run(scenario())


def test_after_the_deadline_nobody_takes_over() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "One"), 100.0]), b=Scripted(answer("b", "late")))
        _, error = await told(bench, RESTART, attempts=1, timeouts=Timeouts(total_s=10.0))
        assert error is not None and bench.providers["b"].calls == [] and bench.clock() == pytest.approx(10.0, abs=0.1)

    run(scenario())


def with_prefill(bench: Bench, name: str, prefill: Any) -> Any:
    target = bench.targets[name]
    return replace(target, model=replace(target.model, prefill=prefill))


@pytest.mark.parametrize("begins", [["\n    return 1"], ["\n", "    return 1"], ["    return 1"]])
def test_blanks_are_said_once_and_none_beyond_them_is_lost(begins: list[str]) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([*spoken("a", "def f():\n"), CUT]), b=Scripted(answer("b", *begins)))
        events, _ = await told(bench, CONTINUE, attempts=1)
        assert text_of(events) == "def f():\n    return 1"

    run(scenario())
