"""Plans against scripted providers, as transcripts: who is asked, how often, when, and what the caller gets of it."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, TurnoutError, UpstreamError
from gateway.failover.backoff import BACKOFF_MAX_S
from gateway.policy.model import Timeouts
from gateway.providers.base import Piece
from gateway.running import HELD_BYTES_MAX
from gateway.usage import Usage
from tests.execution import (
    ASKED,
    BAD_REQUEST,
    BUSY,
    CONTENT,
    GONE,
    PREAMBLE,
    STREAM,
    TOO_LONG,
    USAGE,
    WHOLE,
    Bench,
    Script,
    Scripted,
    fault,
)
from tests.virtual_time import run

both_ways = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
Outcome = tuple[str, list[str], float]


def told(scripts: dict[str, Script], **how: Any) -> Outcome:
    """(answer or name of the error, the attempts, seconds that it took) of one request."""

    async def scenario() -> Outcome:
        bench = Bench(**{name: Scripted(*script) for name, script in scripts.items()})
        try:
            await bench.ask(**how)
            said = "answered"
        except (ClientError, AllTargetsFailed, DeadlineExceeded, UpstreamError) as exc:
            said = type(exc).__name__
        assert all(p.open_now == 0 for p in bench.providers.values()), "an exchange was left open"
        assert all(t.health.busy.running == 0 for t in bench.targets.values())
        return said, bench.story, bench.clock()

    return run(scenario())


@both_ways
def test_first_target_answers(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("ok"), b=Scripted("ok"))
        assert await bench.ask(is_stream=is_stream) == (b"[role][text][stop][usage]" if is_stream else b"{whole}")
        (attempt,) = bench.attempts
        assert (attempt.model, attempt.provider, attempt.outcome, attempt.status) == ("a", "p-a", "ok", 200)
        assert attempt.usage == USAGE
        assert attempt.ttft_ms == 0.0

    run(scenario())


@both_ways
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_target_is_asked_as_often_as_the_plan_says(is_stream: bool, attempts: int) -> None:
    said, story, _ = told({"a": [BUSY], "b": ["ok"]}, is_stream=is_stream, attempts=attempts)
    assert (said, story) == ("answered", ["a error"] * attempts + ["b ok"])


STORIES: list[tuple[dict[str, Script], str, list[str]]] = [
    ({"a": ["ok"]}, "answered", ["a ok"]),
    ({"a": [BUSY, "ok"]}, "answered", ["a error", "a ok"]),
    ({"a": [GONE], "b": ["ok"]}, "answered", ["a error", "b ok"]),
    ({"a": [GONE], "b": [BUSY], "c": ["ok"]}, "answered", ["a error", "b error", "b error", "c ok"]),
    ({"a": [[fault("malformed")]], "b": ["ok"]}, "answered", ["a error", "b ok"]),
    ({"a": [[fault("empty", is_retryable=True)]], "b": ["ok"]}, "answered", ["a error", "a error", "b ok"]),
    ({"a": ["hang"], "b": ["ok"]}, "answered", ["a timeout", "b ok"]),
    ({"a": [BAD_REQUEST], "b": ["ok"]}, "ClientError", ["a error"]),
    ({"a": [TOO_LONG], "b": ["ok"]}, "answered", ["a error", "b ok"]),
    ({"a": [TOO_LONG], "b": [TOO_LONG]}, "ClientError", ["a error", "b error"]),
    ({"a": [TOO_LONG], "b": [GONE]}, "AllTargetsFailed", ["a error", "b error"]),
    ({"a": [GONE], "b": [GONE]}, "AllTargetsFailed", ["a error", "b error"]),
    ({"a": [fault("unsupported")], "b": ["ok"]}, "answered", ["a error", "b ok"]),
]


@both_ways
@pytest.mark.parametrize(("scripts", "said", "story"), STORIES)
def test_stream_and_whole_tell_the_same_story(is_stream: bool, scripts: dict[str, Script], said: str, story: list[str]) -> None:
    assert told(scripts, is_stream=is_stream)[:2] == (said, story)


# When it is asked again.


def test_backoff_doubles_up_to_its_cap() -> None:
    async def scenario() -> None:
        provider = Scripted(BUSY)
        bench = Bench(a=provider)
        with pytest.raises(AllTargetsFailed):
            await bench.ask(attempts=8, backoff_s=0.5)
        waits = [later - earlier for earlier, later in zip(provider.asked_at, provider.asked_at[1:], strict=False)]
        assert len(waits) == 7
        for n, wait_s in enumerate(waits):
            full_s = min(0.5 * 2**n, BACKOFF_MAX_S)
            assert full_s / 2 - 1e-6 <= wait_s <= full_s + 1e-6

    run(scenario())


def test_wait_that_the_policy_asks_for_is_not_cut_by_the_cap() -> None:
    assert told({"a": [BUSY, "ok"]}, backoff_s=20.0)[2] >= 10.0


@both_ways
def test_retry_after_is_honoured(is_stream: bool) -> None:
    said, _, took_s = told({"a": [fault(status=429, is_retryable=True, retry_after_s=0.9), "ok"]}, is_stream=is_stream)
    assert said == "answered"
    assert 0.9 <= took_s < 1.0


def test_only_target_is_waited_for_as_long_as_it_asks() -> None:
    said, story, took_s = told({"a": [fault(status=429, is_retryable=True, retry_after_s=20.0), "ok"]})
    assert (said, story) == ("answered", ["a error", "a ok"])
    assert 20 <= took_s < 21


def test_longer_wait_is_not_worth_it_when_another_target_is_there() -> None:
    asks_long = fault(status=429, is_retryable=True, retry_after_s=5.0)
    assert told({"a": [asks_long, "ok"], "b": ["ok"]}) == ("answered", ["a error", "b ok"], 0.0)


def test_wait_beyond_the_deadline_is_not_begun() -> None:
    asks_long = fault(status=429, is_retryable=True, retry_after_s=30.0)
    said, story, took_s = told({"a": [asks_long, "ok"]}, timeouts=Timeouts(total_s=20.0))
    assert (said, story, took_s) == ("AllTargetsFailed", ["a error"], 0.0)


def test_waiting_time_of_a_failing_target_is_told_to_the_caller() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(fault(status=429, is_retryable=True, retry_after_s=30.0)))
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask(timeouts=Timeouts(total_s=20.0))
        assert caught.value.retry_after_s == pytest.approx(30.0)

    run(scenario())


# Deadlines.


def test_staller_is_not_asked_again() -> None:
    assert told({"a": ["hang"], "b": ["ok"]}, attempts=5, timeouts=Timeouts(first_token_s=8.0)) == (
        "answered", ["a timeout", "b ok"], 8.0,
    )  # fmt: skip


def test_preamble_does_not_extend_the_time_to_the_first_token() -> None:
    drip: Script = [[PREAMBLE, 5.0, PREAMBLE, 5.0, PREAMBLE, 5.0, CONTENT]]
    assert told({"a": drip, "b": ["ok"]}, timeouts=Timeouts(first_token_s=8.0)) == ("answered", ["a timeout", "b ok"], 8.0)


def test_first_of_two_targets_of_a_whole_answer_leaves_half_the_time() -> None:
    limits = Timeouts(total_s=10.0, first_token_s=1.0)
    slow: Script = [[4.9, *_whole()]]
    assert told({"a": ["hang"], "b": slow}, is_stream=False, timeouts=limits) == ("answered", ["a timeout", "b ok"], 9.9)


def test_last_target_of_a_whole_answer_has_all_the_time_that_is_left() -> None:
    limits = Timeouts(total_s=10.0, first_token_s=1.0)
    assert told({"a": [[9.9, *_whole()]]}, is_stream=False, timeouts=limits) == ("answered", ["a ok"], 9.9)
    assert told({"a": [GONE], "b": [[9.9, *_whole()]]}, is_stream=False, timeouts=limits) == (
        "answered",
        ["a error", "b ok"],
        9.9,
    )


@both_ways
def test_total_deadline_ends_it_all(is_stream: bool) -> None:
    limits = Timeouts(total_s=10.0, first_token_s=60.0)
    said, story, took_s = told({"a": ["hang"], "b": ["hang"]}, is_stream=is_stream, timeouts=limits)
    assert said == "DeadlineExceeded"
    assert story == (["a timeout"] if is_stream else ["a timeout", "b timeout"])
    assert took_s == pytest.approx(10.0)


def test_time_for_a_connection_shrinks_with_the_deadline() -> None:
    async def scenario() -> None:
        a, b = Scripted("hang"), Scripted("ok")
        await Bench(a=a, b=b).ask(timeouts=Timeouts(connect_s=5.0, first_token_s=7.0, total_s=9.0))
        assert a.calls[0].connect_s == pytest.approx(5.0)
        assert b.calls[0].connect_s == pytest.approx(2.0)

    run(scenario())


# Before and after the first content.


def test_preamble_is_held_back_until_there_is_content() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([PREAMBLE, fault("reported")]), b=Scripted("ok"))
        pieces = await (execution := bench.start()).begin()
        assert [p.data for p in pieces] == [b"[role]", b"[text]"]
        assert bench.story == ["a error", "b cancelled"]  # b is still under way
        await execution.aclose()

    run(scenario())


def test_endless_preamble_is_let_go() -> None:
    async def scenario() -> None:
        lots = Piece(b"x" * (HELD_BYTES_MAX // 4))
        bench = Bench(a=Scripted([*[lots] * 10, fault("cut")]), b=Scripted("ok"))
        execution = bench.start()
        assert len(await execution.begin()) == 5
        await execution.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("step", "outcome", "kind"), [(fault("cut", is_retryable=True), "error", "cut"), (1e6, "timeout", "timeout")]
)
def test_break_in_mid_answer_is_raised_and_nobody_else_is_asked(step: Any, outcome: str, kind: str) -> None:
    async def scenario() -> None:
        other = Scripted("ok")
        bench = Bench(a=Scripted([PREAMBLE, CONTENT, step]), b=other)
        with pytest.raises(UpstreamError) as caught:
            await bench.ask(timeouts=Timeouts(idle_s=15.0))
        assert caught.value.fault == kind
        (attempt,) = bench.attempts
        assert (attempt.outcome, attempt.fault) == (outcome, kind)
        assert attempt.usage == Usage(input=ASKED, output=10, estimated=True)
        assert other.calls == []

    run(scenario())


def test_answer_without_a_count_is_booked_with_an_estimate() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([p for p in STREAM if p.usage is None]))
        await bench.ask()
        assert bench.attempts[0].usage == Usage(input=ASKED, output=10, estimated=True)

    run(scenario())


def test_last_count_seen_is_the_one_that_is_booked() -> None:
    async def scenario() -> None:
        early = Piece(b"[text]", has_content=True, text="word", usage=Usage(input=1, output=1))
        bench = Bench(a=Scripted([early, *STREAM]))
        await bench.ask()
        assert bench.attempts[0].usage == USAGE

    run(scenario())


def test_what_came_after_the_last_count_of_a_cut_answer_is_counted() -> None:
    """As of a server that counts as it goes, or only the prompt as it begins."""

    async def scenario() -> None:
        counting = [Piece(b"[text]", has_content=True, text="word " * 8, usage=Usage(input=50, output=n)) for n in (1, 2)]
        bench = Bench(a=Scripted([*counting, fault("cut", status=None)]))
        with pytest.raises(UpstreamError):
            await bench.ask()
        assert bench.attempts[0].usage == Usage(input=50, output=2)
        bench = Bench(a=Scripted([counting[0], CONTENT, CONTENT, fault("cut", status=None)]))
        with pytest.raises(UpstreamError):
            await bench.ask()
        assert bench.attempts[0].usage == Usage(input=50, output=1 + 20, estimated=True)

    run(scenario())


def test_images_are_counted_from_the_request() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("ok"))
        image = {"type": "image_url", "image_url": {"url": "x"}}
        await bench.ask(messages=[{"role": "user", "content": [image, image]}])
        assert bench.attempts[0].usage == msgspec.structs.replace(USAGE, images=2)

    run(scenario())


def test_a_stream_is_read_until_its_first_content_and_a_whole_answer_as_long_as_its_words_leave() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([2.0, PREAMBLE, 1.0, CONTENT, 3.0, Piece(b"[stop]", finish="stop"), Piece(is_end=True)]))
        await bench.ask()
        assert (bench.attempts[0].prefill_s, bench.attempts[0].busy_s) == (pytest.approx(3.0), pytest.approx(6.0))
        bench = Bench(a=Scripted([4.0, fault("cut", status=None)]))
        with pytest.raises(TurnoutError):
            await bench.ask(attempts=1)
        assert (bench.attempts[0].prefill_s, bench.attempts[0].busy_s) == (pytest.approx(4.0), pytest.approx(4.0))
        bench = Bench(a=Scripted(GONE))
        with pytest.raises(TurnoutError):
            await bench.ask(attempts=1)
        assert (bench.attempts[0].prefill_s, bench.attempts[0].busy_s) == (0.0, 0.0)

    run(scenario())


@both_ways
def test_cancelled_attempt_closes_its_exchange_and_is_booked(is_stream: bool) -> None:
    async def scenario() -> None:
        provider = Scripted([PREAMBLE, CONTENT, 1e5] if is_stream else [1e5])
        bench = Bench(a=provider, b=Scripted("ok"))
        limits = Timeouts(first_token_s=1e6, idle_s=1e6, total_s=1e6)
        task = asyncio.create_task(bench.ask(is_stream=is_stream, timeouts=limits))
        await asyncio.sleep(3.0)
        assert provider.open_now == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (provider.open_now, bench.story) == (0, ["a cancelled"])
        (attempt,) = bench.attempts
        assert attempt.duration_ms == pytest.approx(3000)
        assert attempt.busy_s == pytest.approx(3.0)
        # A provider that had the request may bill it, whether content came or not.
        assert attempt.usage == Usage(input=ASKED, output=10 if is_stream else 0, estimated=True)
        assert bench.targets["a"].health.breaker.admits()

    run(scenario())


def test_answer_that_nobody_reads_on_is_cancelled_upstream() -> None:
    async def scenario() -> None:
        provider = Scripted("ok")
        bench = Bench(a=provider)
        execution = bench.start()
        await execution.begin()
        await execution.aclose()
        await execution.aclose()
        assert (provider.open_now, bench.story) == (0, ["a cancelled"])

    run(scenario())


def _whole() -> list[Piece]:
    return [Piece(b"{whole}", has_content=True, text="word " * 8, usage=USAGE, finish="stop", is_end=True)]


def test_the_deadline_holds_for_who_reads_so_slowly_that_something_is_always_there() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([CONTENT] * 1000))
        execution = bench.start(timeouts=Timeouts(total_s=2.0))
        await execution.begin()
        with pytest.raises(UpstreamError) as caught:
            while True:
                await asyncio.sleep(0.3)
                await execution.read()
        assert caught.value.fault == "timeout" and bench.clock() == pytest.approx(2.1)
        assert bench.story == ["a timeout"] and bench.providers["a"].open_now == 0

    run(scenario())


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_attempt_that_has_ended_leaves_no_timer(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(BUSY, [0.1, *(STREAM if is_stream else WHOLE)], "hang", [0.1, CONTENT, 9.0]))
        await bench.ask(is_stream=is_stream)
        await bench.leave(0.5, 0, is_stream=is_stream)
        await bench.leave(0.5, 0, is_stream=is_stream)
        loop: Any = asyncio.get_running_loop()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    run(scenario())


def test_an_empty_answer_may_be_what_a_stop_sequence_leaves() -> None:
    async def scenario() -> None:
        nothing = [PREAMBLE, Piece(b"[stop]", finish="stop"), Piece(is_end=True)]
        bench = Bench(a=Scripted(nothing), b=Scripted("ok"))
        assert await bench.ask(stop=["\n"]) == b"[role][stop]"
        await bench.ask()
        assert bench.story[-1] == "b ok"

    run(scenario())
