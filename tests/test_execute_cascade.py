"""Cascades against scripted providers, as transcripts: who is asked, when, for how long, and what the caller gets."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.cascade.rung import JUDGED_BYTES_MAX
from gateway.chat import data_of, read_chunk
from gateway.errors import AllTargetsFailed, DeadlineExceeded
from gateway.policy.model import AcceptRule, Agreement, Timeouts
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.pieces import piece_of, whole_pieces
from gateway.usage import Usage
from tests.cascade import answers
from tests.execution import ASKED, BAD_REQUEST, BUSY, GONE, Bench, Scripted, Step, fault
from tests.virtual_time import run

both_ways = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
LIKELY = {"a": AcceptRule(mean_logprob=-1.0)}
LONG_ENOUGH = {"a": AcceptRule(min_chars=5)}


class Speaking(Scripted):
    """Answers in the form asked for; a text is one answer, a tuple a text with its log-probability, a list more steps."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)

    async def open(self, call: Call) -> Exchange:
        at = min(len(self.calls), len(self._script) - 1)
        step = self._script[at]
        script = list(self._script)
        script[at] = _steps(step, call)
        self._script = tuple(script)
        try:
            return await super().open(call)
        finally:
            script[at] = step
            self._script = tuple(script)


def _steps(step: Any, call: Call) -> Any:
    wait: list[Step] = []
    if isinstance(step, list) and step and isinstance(step[-1], str | tuple):
        wait, step = step[:-1], step[-1]
    if isinstance(step, str) and step != "hang":
        step = (step, None)
    if not isinstance(step, tuple):
        return step
    text, logprob = step
    given = logprob if json.loads(call.request.body).get("logprobs") else None
    if not call.request.is_stream:
        return [*wait, *whole_pieces("p", answers.whole(answers.said(text, given)), as_stream=False)]
    stream = [*answers.events(text, given), answers.usage_event()]
    return [*wait, *(piece_of(e, read_chunk(data_of(e))) for e in stream), Piece(is_end=True)]


def bench(**scripts: Sequence[Any]) -> Bench:
    return Bench(**{name: Speaking(*script) for name, script in scripts.items()})


def text_of(data: bytes) -> str:
    if not data.startswith(b"data:"):
        return str(json.loads(data)["choices"][0]["message"]["content"])
    chunks = [json.loads(e[6:]) for e in data.strip().split(b"\n\n")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def closed(b: Bench) -> bool:
    return all(p.open_now == 0 for p in b.providers.values()) and all(t.health.busy.running == 0 for t in b.targets.values())


@both_ways
def test_what_convinces_is_handed_on(is_stream: bool) -> None:
    async def scenario() -> None:
        b = bench(a=[("Paris it is", -0.1)], b=["Rome"])
        data = await b.ask(is_stream=is_stream, accept=LIKELY)
        assert text_of(data) == "Paris it is"
        assert b.story == ["a ok"]
        (attempt,) = b.attempts
        assert attempt.accept is not None and attempt.accept["accepted"] is True
        assert attempt.accept["mean_logprob"] == pytest.approx(-0.1)
        assert (attempt.usage, attempt.status, attempt.error) == (Usage(7, 3), 200, None)
        assert b"top_logprobs" not in data
        assert closed(b)

    run(scenario())


@both_ways
def test_what_does_not_convince_is_booked_and_the_next_is_asked(is_stream: bool) -> None:
    async def scenario() -> None:
        b = bench(a=[[0.5, ("Paris it is", -1.5)]], b=["Rome"])
        data = await b.ask(is_stream=is_stream, accept=LIKELY)
        assert text_of(data) == "Rome"
        assert b.story == ["a unconvincing", "b ok"]
        first = b.attempts[0]
        assert first.error == "not accepted: mean_logprob -1.50 is below -1"
        assert first.accept is not None
        assert (first.accept["accepted"], first.accept["rule"]) == (False, "mean_logprob")
        assert (first.usage, first.status, first.fault) == (Usage(7, 3), 200, None)
        assert first.duration_ms == pytest.approx(500)
        assert first.ttft_ms == pytest.approx(500)
        assert b.targets["a"].health.breaker.admits()
        assert closed(b)

    run(scenario())


def test_a_model_that_never_convinces_is_not_held_to_be_down() -> None:
    async def scenario() -> None:
        b = bench(a=["no"], b=["Rome"])
        for _ in range(5):
            await b.ask(accept=LONG_ENOUGH)
            assert b.story == ["a unconvincing", "b ok"]

    run(scenario())


def test_three_rungs_are_climbed_one_by_one() -> None:
    async def scenario() -> None:
        b = bench(a=["no"], b=["nor"], c=["Here it is"])
        rules = {"a": AcceptRule(min_chars=5), "b": AcceptRule(min_chars=5)}
        assert text_of(await b.ask(accept=rules)) == "Here it is"
        assert b.story == ["a unconvincing", "b unconvincing", "c ok"]

    run(scenario())


@both_ways
def test_errors_of_a_rung_are_retried_and_fallen_back_from_like_any(is_stream: bool) -> None:
    async def scenario() -> None:
        b = bench(a=[BUSY, "Paris"], b=["Rome"])
        assert text_of(await b.ask(is_stream=is_stream, accept=LONG_ENOUGH)) == "Paris"
        assert b.story == ["a error", "a ok"]
        b = bench(a=[GONE], b=["Rome"])
        assert text_of(await b.ask(is_stream=is_stream, accept=LONG_ENOUGH)) == "Rome"
        assert b.story == ["a error", "b ok"]

    run(scenario())


def test_a_rung_that_breaks_off_has_shown_nothing_yet() -> None:
    async def scenario() -> None:
        pieces = [piece_of(e, read_chunk(data_of(e))) for e in answers.events("Paris it is")[:2]]
        b = bench(a=[[*pieces, fault("cut", is_retryable=True)], "Paris"], b=["Rome"])
        assert text_of(await b.ask(accept=LONG_ENOUGH)) == "Paris"
        assert b.story == ["a error", "a ok"]

    run(scenario())


# Time.


def test_first_token_idle_and_half_of_the_total_bind_a_rung() -> None:
    async def scenario() -> None:
        b = bench(a=["hang"], b=["Rome"])
        await b.ask(accept=LONG_ENOUGH, timeouts=Timeouts(first_token_s=8.0))
        assert (b.story, b.clock()) == (["a timeout", "b ok"], 8.0)

        pieces = [piece_of(e, read_chunk(data_of(e))) for e in answers.events("Paris it is")]
        began = b.clock()
        b = bench(a=[[*pieces[:2], 1e5]], b=["Rome"])
        await b.ask(accept=LONG_ENOUGH, timeouts=Timeouts(idle_s=3.0))
        assert (b.story, b.clock() - began) == (["a timeout", "b ok"], 3.0)

        began = b.clock()
        slow = [step for piece in pieces * 20 for step in (1.0, piece)]
        b = bench(a=[slow], b=["Rome"])
        await b.ask(accept=LONG_ENOUGH, timeouts=Timeouts(idle_s=3.0, total_s=20.0))
        assert (b.story, b.clock() - began) == (["a timeout", "b ok"], 10.0)

        began = b.clock()
        b = bench(a=["hang"], b=["Rome"])
        await b.ask(is_stream=False, accept=LONG_ENOUGH, timeouts=Timeouts(total_s=20.0))
        assert (b.story, b.clock() - began) == (["a timeout", "b ok"], 10.0)

    run(scenario())


# The bound.


@both_ways
def test_an_answer_too_long_to_judge_is_cancelled_upstream(is_stream: bool) -> None:
    async def scenario() -> None:
        many = answers.event({"content": "word " * 200})
        endless = [piece_of(many, read_chunk(data_of(many)))] * 1000
        a_whole = whole_pieces("p", answers.whole(answers.said("word " * 60_000)), as_stream=False)
        b = bench(a=[endless if is_stream else a_whole], b=["Rome"])
        assert text_of(await b.ask(is_stream=is_stream, accept=LONG_ENOUGH)) == "Rome"
        assert b.story == ["a unconvincing", "b ok"]
        first = b.attempts[0]
        assert first.error == "not accepted: longer than 256 KiB, too long to judge"
        assert first.usage is not None
        if is_stream:
            assert first.usage.estimated and 40_000 < first.usage.output < JUDGED_BYTES_MAX
        assert closed(b)

    run(scenario())


def test_log_probabilities_do_not_count_towards_the_bound() -> None:
    async def scenario() -> None:
        text = "word " * 1000 + "end"
        assert len(b"".join(answers.events(text, -0.1))) > JUDGED_BYTES_MAX > len(b"".join(answers.events(text)))
        b = bench(a=[(text, -0.1)], b=["Rome"])
        data = await b.ask(accept={"a": AcceptRule(mean_logprob=-1.0, no_repetition=False)})
        assert b.story == ["a ok"]
        assert text_of(data) == text

    run(scenario())


# Nothing better to give.


@both_ways
@pytest.mark.parametrize("later", [[GONE], [BUSY], [BAD_REQUEST], ["hang"]], ids=["gone", "busy", "bad request", "hangs"])
def test_when_all_later_fail_the_answer_is_given_all_the_same(is_stream: bool, later: list[Any]) -> None:
    async def scenario() -> None:
        b = bench(a=["no"], b=later)
        execution = b.start(is_stream=is_stream, accept=LONG_ENOUGH, timeouts=Timeouts(total_s=20.0))
        pieces = await execution.begin()
        await execution.aclose()
        assert text_of(b"".join(p.data for p in pieces)) == "no"
        assert pieces[-1].is_end
        assert b.story[0] == "a unconvincing"
        assert execution.answering is b.attempts[0]
        assert execution.compromise == "a answers, not accepted: 2 characters are fewer than 5, and no later model answered"

    run(scenario())


def test_of_several_such_answers_the_better_is_given_and_of_equals_the_later() -> None:
    async def scenario(rules: dict[str, AcceptRule], *texts: str) -> str:
        b = bench(a=[texts[0]], b=[texts[1]], c=[GONE])
        execution = b.start(accept=rules)
        pieces = await execution.begin()
        await execution.aclose()
        return text_of(b"".join(p.data for p in pieces))

    short = {"a": AcceptRule(min_chars=50), "b": AcceptRule(min_chars=50)}
    assert run(scenario(short, "one", "two")) == "two"
    assert run(scenario(short, "one", "")) == "one"


def test_without_a_complete_answer_it_fails_and_says_why() -> None:
    async def scenario() -> None:
        many = answers.event({"content": "word " * 200})
        endless = [piece_of(many, read_chunk(data_of(many)))] * 1000
        b = bench(a=[endless], b=[GONE])
        with pytest.raises(AllTargetsFailed, match="too long to judge") as caught:
            await b.ask(accept=LONG_ENOUGH)
        assert [(c["model"], c["fault"]) for c in caught.value.causes] == [("a", "unconvincing"), ("b", "connect")]

    run(scenario())


def test_errors_alone_fail_as_ever() -> None:
    async def scenario() -> None:
        b = bench(a=["hang"], b=["hang"])
        with pytest.raises(DeadlineExceeded):
            await b.ask(accept=LONG_ENOUGH, timeouts=Timeouts(total_s=20.0))
        assert b.story == ["a timeout", "b timeout"]

    run(scenario())


# The caller leaves.


@both_ways
@pytest.mark.parametrize("samples", [None, 3])
def test_leaving_while_a_rung_is_held_back_cancels_and_books_it(is_stream: bool, samples: int | None) -> None:
    async def scenario() -> None:
        first = answers.events("Paris it is")[:2]
        held: list[Any] = [*(piece_of(e, read_chunk(data_of(e))) for e in first), 1e5] if is_stream else [1e5]
        b = bench(a=[held], b=["Rome"])
        rule = AcceptRule(agreement=Agreement(samples) if samples else None)
        limits = Timeouts(first_token_s=1e6, idle_s=1e6, total_s=1e6)
        task = asyncio.create_task(b.ask(is_stream=is_stream, accept={"a": rule}, timeouts=limits))
        await asyncio.sleep(3.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert b.story == ["a cancelled"] * (samples or 1)
        assert closed(b)
        for attempt in b.attempts:
            assert attempt.usage is not None and attempt.usage.estimated and attempt.usage.input == ASKED

    run(scenario())


# Log-probabilities.


def asked(b: Bench, name: str) -> list[dict[str, Any]]:
    return [json.loads(call.request.body) for call in b.providers[name].calls]


def test_they_are_asked_of_rungs_whose_rule_needs_them_and_of_no_other() -> None:
    async def scenario() -> None:
        b = bench(a=[("no", -3.0)], b=["Rome"])
        await b.ask(accept=LIKELY)
        (a,), (last,) = asked(b, "a"), asked(b, "b")
        assert (a["logprobs"], a["top_logprobs"]) == (True, 2)
        assert "logprobs" not in last
        b = bench(a=["Paris"], b=["Rome"])
        await b.ask(accept=LONG_ENOUGH)
        assert "logprobs" not in asked(b, "a")[0]

    run(scenario())


@both_ways
def test_a_caller_who_asks_for_them_gets_them(is_stream: bool) -> None:
    async def scenario() -> None:
        b = bench(a=[("Paris it is", -0.1)], b=["Rome"])
        data = await b.ask(is_stream=is_stream, accept=LIKELY, logprobs=True, top_logprobs=5)
        assert asked(b, "a")[0]["top_logprobs"] == 5
        assert data.count(b"top_logprobs") == 3

    run(scenario())


@both_ways
def test_a_model_that_gives_none_does_not_convince(is_stream: bool) -> None:
    async def scenario() -> None:
        b = bench(a=["Paris"], b=["Rome"])
        assert text_of(await b.ask(is_stream=is_stream, accept=LIKELY)) == "Rome"
        assert b.attempts[0].error == "not accepted: the model gave no log-probabilities"

    run(scenario())


REFUSED = fault(status=400, message="'logprobs' is not supported", param="logprobs", is_callers_fault=True)


def test_a_model_that_refuses_them_is_asked_without_and_does_not_convince() -> None:
    async def scenario() -> None:
        b = bench(a=[REFUSED, "Paris"], b=[GONE])
        execution = b.start(accept=LIKELY)
        pieces = await execution.begin()
        await execution.aclose()
        assert b.story == ["a error", "a unconvincing", "b error"]
        assert text_of(b"".join(p.data for p in pieces)) == "Paris"
        assert [body.get("logprobs") for body in asked(b, "a")] == [True, None]

    run(scenario())


def test_a_callers_own_wish_that_a_rung_refuses_is_the_next_ones_chance() -> None:
    async def scenario() -> None:
        b = bench(a=[REFUSED], b=["Rome"])
        assert text_of(await b.ask(accept=LIKELY, logprobs=True)) == "Rome"
        assert b.story == ["a error", "b ok"]

    run(scenario())


# Agreement.

THREE = {"a": AcceptRule(agreement=Agreement(3, 0.6))}


@both_ways
@pytest.mark.parametrize(
    ("samples", "story"),
    [
        (["Paris.", "It is Paris"], ["a ok", "a ok", "a ok"]),
        (["Lyon", "paris"], ["a ok", "a ok", "a ok"]),
        (["Lyon", "Nice"], ["a unconvincing", "a unconvincing", "a unconvincing", "b ok"]),
        ([BUSY, "paris"], ["a ok", "a error", "a ok"]),
        ([BUSY, BUSY], ["a unconvincing", "a error", "a error", "b ok"]),
    ],
)
def test_enough_samples_must_say_the_same(is_stream: bool, samples: list[Any], story: list[str]) -> None:
    async def scenario() -> None:
        b = bench(a=["Paris", *samples], b=["Rome"])
        data = await b.ask(is_stream=is_stream, accept=THREE)
        assert b.story == story
        assert text_of(data) == ("Paris" if len(story) == 3 else "Rome")
        assert [a.accept.get("sample") for a in b.attempts[1:3] if a.accept] == [2, 3]
        assert all(a.usage is not None for a in b.attempts if a.outcome != "error")
        if len(story) == 4:
            assert b.attempts[0].error == "not accepted: 1 of 3 answers agree, 2 are needed"
        assert closed(b)

    run(scenario())


def test_samples_run_beside_the_answer_and_stop_when_it_is_known_how_it_ends() -> None:
    async def scenario() -> None:
        b = bench(a=[[1.0, "Paris"], [1.5, "Paris"], [60.0, "Paris"]], b=["Rome"])
        await b.ask(accept=THREE)
        assert b.story == ["a ok", "a ok", "a cancelled"]
        assert b.clock() == pytest.approx(1.5)
        assert b.attempts[2].usage is not None  # what was cancelled may be billed all the same
        assert b.attempts[0].accept is not None and b.attempts[0].accept["agreement"] == pytest.approx(2 / 3, abs=1e-4)
        assert b.attempts[1].accept == {"sample": 2, "agrees": True}
        assert closed(b)

    run(scenario())


def test_an_answer_that_fails_its_checks_waits_for_no_sample() -> None:
    async def scenario() -> None:
        b = bench(a=[[0.5, ""], [60.0, "Paris"]], b=["Rome"])
        assert text_of(await b.ask(accept=THREE)) == "Rome"
        assert b.story == ["a unconvincing", "a cancelled", "a cancelled", "b ok"]
        assert b.clock() == 0.5

    run(scenario())


def test_an_answer_that_fails_takes_its_samples_with_it() -> None:
    async def scenario() -> None:
        b = bench(a=[[1.0, fault("malformed")], [60.0, "Paris"]], b=["Rome"])
        assert text_of(await b.ask(accept=THREE)) == "Rome"
        assert b.story == ["a error", "a cancelled", "a cancelled", "b ok"]
        assert closed(b)

    run(scenario())


def test_samples_may_differ_though_the_caller_fixed_what_is_drawn() -> None:
    async def scenario() -> None:
        b = bench(a=["Paris"], b=["Rome"])
        await b.ask(accept=THREE, temperature=0, seed=5)
        first, *samples = asked(b, "a")
        assert (first["temperature"], first["seed"], first["stream"]) == (0, 5, True)
        assert [(s["temperature"], s["seed"]) for s in samples] == [(0.7, 6), (0.7, 7)]
        assert all("stream" not in s for s in samples)

    run(scenario())


def test_a_model_that_lets_nobody_set_the_temperature_is_sampled_at_its_own() -> None:
    async def scenario() -> None:
        refused = fault(status=400, message="'temperature' does not support 0.7", param="temperature", is_callers_fault=True)
        b = bench(a=["Paris", refused, "paris", refused, "Paris."], b=["Rome"])
        await b.ask(accept={"a": AcceptRule(agreement=Agreement(3, 1.0))})
        assert b.story == ["a ok", "a error", "a ok", "a error", "a ok"]
        assert ["temperature" in body for body in asked(b, "a")] == [False, True, False, True, False]
        b = bench(a=["Paris", refused], b=["Rome"])
        await b.ask(accept=THREE)
        assert b.story == ["a unconvincing", *["a error"] * 4, "b ok"]

    run(scenario())


# What is no text.


def test_a_request_for_sound_goes_straight_to_the_last_rung() -> None:
    async def scenario() -> None:
        b = bench(a=["Paris"], b=["Rome"])
        assert text_of(await b.ask(accept=LONG_ENOUGH, modalities=["text", "audio"])) == "Rome"
        assert b.story == ["b ok"]

    run(scenario())


def test_a_plan_without_rules_is_not_held_back() -> None:
    async def scenario() -> None:
        b = bench(a=["Paris it is"])
        execution = b.start()
        pieces = await execution.begin()
        assert not pieces[-1].is_end
        assert execution.answering is b.attempts[0]
        await execution.aclose()

    run(scenario())


def test_a_shape_that_cannot_be_judged_does_not_stand() -> None:
    async def scenario() -> None:
        odd = answers.event({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]})
        end = answers.event({}, "tool_calls")
        pieces = [piece_of(e, read_chunk(data_of(e))) for e in (odd, end)]
        b = bench(a=[[*pieces, Piece(is_end=True)]], b=["Rome"])
        assert text_of(await b.ask(accept=LONG_ENOUGH)) == "Rome"
        assert b.attempts[0].error == "not accepted: its shape is not that of an answer (TypeError)"

    run(scenario())
