"""What the executor says when it fails, and what it learns of each model: causes, breakers, the caller's own faults."""

import asyncio
import contextlib

import pytest

from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, UpstreamError
from gateway.execute import Execution
from gateway.policy.failover import BreakerRule
from gateway.policy.model import Timeouts
from tests.execution import BAD_REQUEST, BUSY, CONTENT, GONE, STREAM, TOO_LONG, Bench, Scripted, fault
from tests.virtual_time import run

COOLDOWN_S, FAILURES_TO_OPEN = BreakerRule().cooldown_s, BreakerRule().failures

both_ways = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])


def test_causes_are_the_last_of_each_target_in_order() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(GONE), b=Scripted(BUSY, fault(status=500, message="worse")), c=Scripted("ok"))
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask("a", "b", left_out=(("c", "KEY is not set"),))
        assert caught.value.causes == [
            {"model": "c", "fault": "unavailable", "message": "KEY is not set"},
            {"model": "a", "provider": "p-a", "fault": "connect", "message": "told to fail: connect"},
            {"model": "b", "provider": "p-b", "fault": "status", "message": "worse", "status": 500},
        ]
        assert str(caught.value).startswith("every model of route 'r' failed. c: KEY is not set; a: told to fail")

    run(scenario())


def test_plan_without_targets_says_why() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("ok"))
        execution = bench.start("a", left_out=(("a", "KEY is not set"),))
        nobody = Execution(execution._plan, [], execution._request, bench.clock)
        with pytest.raises(AllTargetsFailed, match="a: KEY is not set") as caught:
            await nobody.begin()
        assert caught.value.retry_after_s is None
        await nobody.aclose()

    run(scenario())


@both_ways
def test_callers_fault_ends_it_with_the_providers_words(is_stream: bool) -> None:
    async def scenario() -> None:
        other = Scripted("ok")
        bench = Bench(a=Scripted(BAD_REQUEST), b=other)
        for _ in range(FAILURES_TO_OPEN + 1):  # and says nothing about the model
            with pytest.raises(ClientError) as caught:
                await bench.ask(is_stream=is_stream)
            error = caught.value
            assert (error.status, error.code, error.param, error.message) == (422, "bad_param", "top_p", "top_p is wrong")
        assert other.calls == []
        assert bench.targets["a"].health.breaker.admits()

    run(scenario())


@both_ways
def test_request_that_is_too_long_for_the_last_target_is_the_callers(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(TOO_LONG), b=Scripted(TOO_LONG))
        with pytest.raises(ClientError) as caught:
            await bench.ask(is_stream=is_stream)
        assert (caught.value.status, caught.value.code, caught.value.param) == (400, "context_length_exceeded", "messages")
        assert bench.targets["b"].health.breaker.admits()
        assert bench.targets["b"].health.breaker.last_error == ""

    run(scenario())


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_a_target_that_fails_is_not_masked_by_one_that_is_too_small(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(BUSY), b=Scripted(TOO_LONG))
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask(is_stream=is_stream, attempts=1)
        assert [c.get("status") for c in caught.value.causes] == [503, 400]

    run(scenario())


def test_when_no_target_begins_in_time_it_is_a_timeout_whatever_the_form() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("hang"), b=Scripted("hang"))
        with pytest.raises(DeadlineExceeded):
            await bench.ask(timeouts=Timeouts(first_token_s=1.0))

    run(scenario())


def test_what_only_this_request_brought_about_shuts_nobody_out() -> None:
    async def scenario() -> None:
        own = fault(status=400, code="unsupported_value", message="temperature 0.5 is not supported")
        bench = Bench(a=Scripted(own), b=Scripted("ok"))
        for _ in range(2 * FAILURES_TO_OPEN):
            await bench.ask()
        assert bench.story == ["a error", "b ok"]

    run(scenario())


def test_one_callers_words_never_reach_the_next_one() -> None:
    async def scenario() -> None:
        telling = fault(status=500, message="cannot parse 'my secret plan'")
        bench = Bench(a=Scripted(telling))
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(AllTargetsFailed) as caught:
                await bench.ask()
        rejected = bench.attempts[0]
        assert rejected.outcome == "rejected"
        assert rejected.error is not None and "status 500" in rejected.error and "secret" not in rejected.error
        assert "secret" not in bench.targets["a"].health.breaker.last_error
        assert caught.value.causes

    run(scenario())


def test_deadline_names_what_was_tried() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(GONE), b=Scripted("hang"))
        with pytest.raises(DeadlineExceeded) as caught:
            await bench.ask(timeouts=Timeouts(total_s=3.0))
        assert caught.value.message.startswith("no answer within 3 s. a: told to fail: connect; b: b: no content within 3.0 s")
        assert [c["fault"] for c in caught.value.causes] == ["connect", "timeout"]

    run(scenario())


def test_failing_model_is_left_alone_probed_and_taken_back() -> None:
    async def scenario() -> None:
        a = Scripted(*[GONE] * FAILURES_TO_OPEN, "ok")
        bench = Bench(a=a, b=Scripted("ok"))
        for _ in range(FAILURES_TO_OPEN):
            await bench.ask()
            assert bench.story == ["a error", "b ok"]
        await bench.ask()
        assert bench.story == ["a rejected", "b ok"]
        rejected = bench.attempts[0]
        assert (rejected.fault, rejected.usage, rejected.ttft_ms) == ("unavailable", None, None)
        assert rejected.error == f"not asked: it fails and cools down for another {COOLDOWN_S} s (last: connect)"
        assert len(a.calls) == FAILURES_TO_OPEN

        await asyncio.sleep(COOLDOWN_S)
        probe = bench.start()
        await probe.begin()
        assert bench.story == ["a cancelled"]  # under way
        await bench.ask()
        assert bench.story == ["a ok"]  # the probe has content: others may go
        while not (await probe.read())[-1].is_end:
            pass
        await probe.aclose()
        await bench.ask()
        assert bench.story == ["a ok"]

    run(scenario())


def test_probe_that_fails_doubles_the_cooldown() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(GONE), b=Scripted("ok"))
        for _ in range(FAILURES_TO_OPEN):
            await bench.ask()
        await asyncio.sleep(COOLDOWN_S)
        await bench.ask()
        assert bench.story == ["a error", "b ok"]
        assert bench.targets["a"].health.breaker.cooling_s == pytest.approx(2 * COOLDOWN_S)

    run(scenario())


def test_probe_that_the_caller_leaves_does_not_shut_the_model_out() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(*[GONE] * FAILURES_TO_OPEN, "ok"), b=Scripted("ok"))
        for _ in range(FAILURES_TO_OPEN):
            await bench.ask()
        await asyncio.sleep(COOLDOWN_S)
        probe = bench.start()
        await probe.begin()
        await probe.aclose()
        await bench.ask()
        assert bench.story == ["a ok"]

    run(scenario())


def test_probe_that_comes_too_late_to_be_sent_does_not_shut_the_model_out() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("hang"), b=Scripted(*[GONE] * FAILURES_TO_OPEN, "ok"))
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(AllTargetsFailed):
                await bench.ask("b")
        await asyncio.sleep(COOLDOWN_S)
        with pytest.raises(DeadlineExceeded):
            await bench.ask("a", "b", timeouts=Timeouts(first_token_s=60.0, total_s=3.0))
        await bench.ask("b")
        assert bench.story == ["b ok"]

    run(scenario())


@both_ways
def test_when_all_cool_down_the_least_bad_is_asked(is_stream: bool) -> None:
    async def scenario() -> None:
        a = Scripted(fault(status=429, retry_after_s=50.0), "ok")
        b = Scripted(fault(status=429, retry_after_s=20.0), "ok")
        bench = Bench(a=a, b=b)
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask(is_stream=is_stream)
        assert caught.value.retry_after_s == pytest.approx(20.0)
        await bench.ask(is_stream=is_stream)
        assert bench.story == ["a rejected", "b rejected", "b ok"]
        assert b.asked_at[1] - b.asked_at[0] == pytest.approx(20.0)  # it was waited for, as it had asked
        await bench.ask("b", is_stream=is_stream)
        assert bench.story == ["b ok"]  # it answered, so it is taken back

    run(scenario())


def test_those_who_waited_as_a_provider_asked_go_when_one_of_them_is_answered() -> None:
    async def scenario() -> None:
        a = Scripted(fault(status=429, retry_after_s=2.0), [1.0, *STREAM])
        bench = Bench(a=a)
        with pytest.raises(AllTargetsFailed):
            await bench.ask(attempts=1)
        await asyncio.gather(*(bench.ask(attempts=1) for _ in range(50)))
        second, *others = a.asked_at[1:]
        assert second == pytest.approx(2.0, abs=0.2) and len(others) == 49 and min(others) >= second + 1.0

    run(scenario())


def test_where_there_is_no_time_for_that_wait_one_asks_and_the_others_are_told_to_wait() -> None:
    async def scenario() -> None:
        a = Scripted(fault(status=429, retry_after_s=50.0), [1.0, fault(status=429, retry_after_s=50.0)])
        bench = Bench(a=a)
        with pytest.raises(AllTargetsFailed):
            await bench.ask(attempts=1)
        short = Timeouts(total_s=10.0)
        told = await asyncio.gather(*(bench.ask(attempts=1, timeouts=short) for _ in range(9)), return_exceptions=True)
        assert len(a.asked_at) == 2
        for error in told:
            assert isinstance(error, AllTargetsFailed)
            assert (error.status, error.code) == (429, "rate_limit_exceeded")
            assert error.retry_after_s == pytest.approx(50.0, abs=1.5)

    run(scenario())


def test_least_bad_is_asked_at_once_when_there_is_no_time_for_the_wait_it_asked_for() -> None:
    async def scenario() -> None:
        a = Scripted(fault(status=429, retry_after_s=50.0), "ok")
        bench = Bench(a=a)
        for _ in range(2):
            with contextlib.suppress(AllTargetsFailed):
                await bench.ask(timeouts=Timeouts(total_s=10.0))
        assert bench.story == ["a rejected", "a ok"]
        assert a.asked_at[1] - a.asked_at[0] == pytest.approx(0.0)

    run(scenario())


def test_least_bad_that_fails_again_is_the_end() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted(GONE))
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(AllTargetsFailed):
                await bench.ask()
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask()
        assert bench.story == ["a rejected", "a error"]
        assert caught.value.causes[0]["fault"] == "connect"

    run(scenario())


def test_break_in_mid_answer_counts_against_the_model() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([CONTENT, fault("cut")]), b=Scripted("ok"))
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(UpstreamError):
                await bench.ask()
        await bench.ask()
        assert bench.story == ["a rejected", "b ok"]

    run(scenario())
