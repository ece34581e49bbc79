"""Hedging: a second target when the first is late; the first content wins, the loser ends and is paid."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import AllTargetsFailed, ClientError
from gateway.failover.hedge import SAVED_MAX, HedgeBudget
from gateway.policy.failover import Capacity, Failover, HedgeRule
from tests.execution import BAD_REQUEST, BUSY, CONTENT, GONE, STREAM, WHOLE, Bench, Scripted, fault
from tests.virtual_time import run

AFTER_1S = Failover(hedge=HedgeRule(after_s=1.0, budget=1.0))
END = STREAM[-1]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


def late(by_s: float) -> Scripted:
    return Scripted([by_s, *STREAM])


@pytest.mark.parametrize("is_stream", [True, False])
def test_when_the_first_is_late_the_second_is_asked_and_wins(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([30.0, *(STREAM if is_stream else WHOLE)]), b=Scripted("ok"))
        await bench.ask(is_stream=is_stream, failover=AFTER_1S, attempts=1)
        assert bench.story == ["a lost_hedge", "b ok"]
        assert bench.providers["b"].asked_at == [1.0]
        loser, winner = bench.attempts
        assert (loser.is_hedge, winner.is_hedge) == (False, True)
        # It had the request, and may bill what it read.
        assert loser.usage is not None and loser.usage.estimated and loser.usage.input > 0 and loser.usage.output == 0
        assert loser.duration_ms == pytest.approx(1000)
        assert bench.providers["a"].open_now == bench.providers["b"].open_now == 0

    run(scenario())


def test_the_first_may_still_win() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(1.5), b=late(3.0))
        await bench.ask(failover=AFTER_1S)
        assert bench.story == ["a ok", "b lost_hedge"]
        assert bench.providers["b"].open_now == 0

    run(scenario())


def test_who_is_in_time_is_not_hedged() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(0.9), b=Scripted("ok"))
        await bench.ask(failover=AFTER_1S)
        assert bench.story == ["a ok"] and bench.providers["b"].calls == []

    run(scenario())


def test_a_hedge_waits_in_no_queue() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(3.0), b=late(0.5))
        gate = bench.targets["b"].health.gate
        gate.obey(Capacity(1, 5, 60.0))
        assert gate.try_enter()
        asyncio.get_running_loop().call_later(1.5, gate.leave)
        await bench.ask(failover=AFTER_1S)
        assert bench.story == ["a ok", "b rejected"]
        assert bench.providers["b"].calls == [] and gate.waiting == 0

    run(scenario())


def test_the_budget_is_a_share_of_the_requests() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(2.0), b=Scripted("ok"))
        for _ in range(200):
            await bench.ask(failover=Failover(hedge=HedgeRule(after_s=1.0, budget=0.05)))
        assert len(bench.providers["b"].calls) == 10

    run(scenario())


def test_what_a_quiet_time_saves_up_is_bounded() -> None:
    budget = HedgeBudget()
    for _ in range(10_000):
        budget.earn(0.05)
    assert sum(budget.spend() for _ in range(100)) == SAVED_MAX


def test_requests_with_tools_are_hedged_only_where_the_policy_says_so() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(2.0), b=Scripted("ok"))
        await bench.ask(failover=AFTER_1S, tools=TOOLS)
        assert bench.story == ["a ok"]
        await bench.ask(failover=Failover(hedge=HedgeRule(after_s=1.0, budget=1.0, tools=True)), tools=TOOLS)
        assert bench.story == ["a lost_hedge", "b ok"]

    run(scenario())


def test_a_percentile_is_of_the_first_targets_own_time_and_unknown_at_first() -> None:
    async def scenario() -> None:
        rule = Failover(hedge=HedgeRule(quantile=0.9, budget=1.0))
        bench = Bench(a=late(0.5), b=Scripted("ok"))
        for _ in range(100):
            await bench.ask("a")
        bench.providers["a"]._script = ([20.0, *STREAM],)
        started = bench.clock()
        await bench.ask(failover=rule)
        assert bench.story == ["a lost_hedge", "b ok"]
        assert bench.providers["b"].asked_at[0] - started == pytest.approx(0.5, rel=0.1)
        fresh = Bench(a=late(5.0), b=Scripted("ok"))
        await fresh.ask(failover=rule)
        assert fresh.story == ["a ok"]

    run(scenario())


def test_a_hedge_is_one_call_and_when_it_fails_the_first_is_waited_for() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(5.0), b=Scripted(BUSY), c=late(9.0))
        await bench.ask(failover=AFTER_1S, attempts=3)
        assert bench.story == ["a ok", "b error"]

    run(scenario())


def test_when_the_late_first_fails_its_turn_goes_to_the_next_that_was_not_asked() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([2.0, BUSY]), b=late(9.0), c=Scripted("ok"))
        await bench.ask(failover=AFTER_1S, attempts=1)
        assert bench.story == ["a error", "b lost_hedge", "c ok"]

    run(scenario())


def test_what_a_hedge_could_not_get_is_still_there_as_a_fallback() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([2.0, GONE]), b=Scripted(BUSY, "ok"))
        await bench.ask(failover=AFTER_1S, attempts=1)
        assert bench.story == ["a error", "b error", "b ok"]
        assert [a.is_hedge for a in bench.attempts] == [False, True, False]

    run(scenario())


def test_nobody_is_hedged_with_a_target_that_cools_down_and_nothing_is_spent_on_it() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(2.0), b=Scripted(fault(status=429, retry_after_s=50.0), "ok"))
        with pytest.raises(AllTargetsFailed):
            await bench.ask("b", attempts=1)
        once = Failover(hedge=HedgeRule(after_s=1.0, budget=0.5))
        for _ in range(2):
            await bench.ask(failover=once)
        assert bench.story == ["a ok"]
        await asyncio.sleep(60)
        await bench.ask("b")
        await bench.ask(failover=once)
        assert bench.story == ["a lost_hedge", "b ok"]

    run(scenario())


def test_when_all_fail_each_cause_is_told() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([2.0, BUSY]), b=Scripted([4.0, GONE]))
        with pytest.raises(AllTargetsFailed) as caught:
            await bench.ask(failover=AFTER_1S, attempts=1)
        assert [(c["model"], c["fault"]) for c in caught.value.causes] == [("a", "status"), ("b", "connect")]

    run(scenario())


def test_what_is_the_callers_fault_ends_both() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([2.0, BAD_REQUEST]), b=late(9.0))
        with pytest.raises(ClientError):
            await bench.ask(failover=AFTER_1S, attempts=1)
        assert bench.story == ["a error", "b cancelled"]
        assert bench.providers["b"].open_now == 0

    run(scenario())


def test_what_only_the_hedge_refuses_the_first_may_still_answer() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(3.0), b=Scripted(BAD_REQUEST))
        await bench.ask(failover=AFTER_1S, attempts=1)
        assert bench.story == ["a ok", "b error"]
        failing = Bench(a=Scripted([3.0, GONE]), b=Scripted(BAD_REQUEST))
        with pytest.raises(ClientError):
            await failing.ask(failover=AFTER_1S, attempts=1)
        assert failing.story == ["a error", "b error"]

    run(scenario())


@pytest.mark.parametrize("leaves_after_s", [0.5, 2.0])
def test_a_client_that_leaves_ends_both(leaves_after_s: float) -> None:
    async def scenario() -> None:
        bench = Bench(a=late(9.0), b=late(9.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(leaves_after_s):
                await bench.ask(failover=AFTER_1S)
        assert bench.story == (["a cancelled"] if leaves_after_s < 1 else ["a cancelled", "b cancelled"])
        assert bench.providers["a"].open_now == bench.providers["b"].open_now == 0

    run(scenario())


def test_a_client_that_leaves_as_the_hedge_answers_ends_both() -> None:
    async def scenario() -> None:
        for turns in range(16):
            bench = Bench(a=late(9.0), b=Scripted([0.2, CONTENT, 9.0]))
            await bench.leave(1.2, turns, failover=AFTER_1S)
            assert bench.held == {"a": (0, 0), "b": (0, 0)}, turns

    run(scenario())


def test_a_retry_of_the_first_target_does_not_keep_the_hedge_away() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([0.5, BUSY], [9.0, *STREAM]), b=Scripted("ok"))
        await bench.ask(failover=AFTER_1S, backoff_s=0.1)
        assert bench.story == ["a error", "a lost_hedge", "b ok"]

    run(scenario())


def test_both_at_the_same_moment_give_one_answer_and_leave_nothing_open() -> None:
    async def scenario() -> None:
        bench = Bench(a=late(3.0), b=late(2.0))
        execution = bench.start(failover=AFTER_1S)
        pieces = await execution.begin()
        assert CONTENT in pieces
        while not pieces[-1].is_end:
            pieces = await execution.read()
        await execution.aclose()
        assert sorted(bench.story) in (["a lost_hedge", "b ok"], ["a ok", "b lost_hedge"])
        assert bench.providers["a"].open_now == bench.providers["b"].open_now == 0

    run(scenario())
