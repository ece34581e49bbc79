"""The latency guard at work: who goes where while a model is slow, and how it gets its traffic back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from gateway.errors import DeadlineExceeded
from gateway.failover.guarded import Watch
from gateway.policy.failover import Failover, GuardRule
from gateway.policy.model import Timeouts
from gateway.providers.base import Piece
from gateway.running import HELD_BYTES_MAX, Running
from tests.execution import BUSY, CONTENT, STREAM, WHOLE, Bench, Scripted, request
from tests.virtual_time import run

RULE = GuardRule("b", ratio=2.0, for_s=30.0)
GUARDED = Failover(guard=RULE)


def speed(bench: Bench, name: str, first_s: float, *, is_stream: bool = True) -> None:
    bench.providers[name]._script = ([first_s, *(STREAM if is_stream else WHOLE)],)


async def learned(is_stream: bool = True) -> Bench:
    """A model whose first content comes after 0.2 s, and one to go to that needs 0.3 s."""
    bench = Bench(a=Scripted("ok"), b=Scripted("ok"))
    speed(bench, "a", 0.2, is_stream=is_stream)
    speed(bench, "b", 0.3, is_stream=is_stream)
    for _ in range(60):
        await bench.ask(is_stream=is_stream, failover=GUARDED)
    assert bench.providers["b"].calls == []
    return bench


async def one(bench: Bench, after_s: float = 0.0, *, is_stream: bool = True) -> tuple[float, str, list[str]]:
    """Seconds to the first content, who answered, and the story of one request that comes after so many seconds."""
    await asyncio.sleep(after_s)
    execution = bench.start(is_stream=is_stream, failover=GUARDED)
    came = bench.clock()
    try:
        pieces = await execution.begin()
        took_s = bench.clock() - came
        while not pieces[-1].is_end:
            pieces = await execution.read()
    finally:
        await execution.aclose()
    assert execution.answering is not None
    return took_s, execution.answering.model, [f"{a.model} {a.outcome} {a.fault}" for a in execution.attempts]


@pytest.mark.parametrize("is_stream", [True, False])
def test_in_a_spike_new_requests_go_elsewhere_and_those_that_wait_leave(is_stream: bool) -> None:
    async def scenario() -> None:
        bench = await learned(is_stream)
        speed(bench, "a", 20.0, is_stream=is_stream)
        told = await asyncio.gather(*(one(bench, k * 0.05, is_stream=is_stream) for k in range(200)))
        assert Counter(model for _, model, _ in told) == {"b": 200}
        moved = [story for _, _, story in told if story == ["a rejected unavailable", "b ok None"]]
        left = [story for _, _, story in told if story == ["a timeout slow", "b ok None"]]
        assert len(moved) + len(left) == 200 and 5 <= len(left) <= 25
        # Nobody waits for the slow one much longer than it takes to see it: the threshold and a handful of requests.
        assert max(took for took, _, _ in told) < 1.5
        assert bench.providers["a"].open_now == 0

    run(scenario())


def test_after_a_while_single_requests_try_it_and_the_traffic_comes_back() -> None:
    async def scenario() -> None:
        bench = await learned()
        speed(bench, "a", 20.0)
        await asyncio.gather(*(one(bench, k * 0.05) for k in range(40)))
        calls = len(bench.providers["a"].calls)
        told = await asyncio.gather(*(one(bench, k * 0.1) for k in range(1000)))  # 100 s of the spike
        tried = len(bench.providers["a"].calls) - calls
        assert 1 <= tried <= 4 and {model for _, model, _ in told} == {"b"}
        # A request that tries it leaves at the threshold, and costs its caller no more than that.
        assert max(took for took, _, _ in told) < 0.9
        speed(bench, "a", 0.2)
        await asyncio.gather(*(one(bench, k * 0.5) for k in range(100)))
        assert [await one(bench) for _ in range(3)] == [(pytest.approx(0.2), "a", ["a ok None"])] * 3

    run(scenario())


def test_one_slow_request_is_no_spike() -> None:
    async def scenario() -> None:
        bench = await learned()
        for k in range(100):
            speed(bench, "a", 0.9 if k % 20 == 7 else 0.2)
            _, model, story = await one(bench)
            assert (model, story) == ("a", ["a ok None"])

    run(scenario())


def test_the_last_target_is_never_left_for_being_slow() -> None:
    async def scenario() -> None:
        bench = await learned()
        speed(bench, "a", 4.0)
        bench.providers["b"]._script = (BUSY,)
        told = await asyncio.gather(*(one(bench, k * 0.05) for k in range(60)))
        assert {model for _, model, _ in told} == {"a"}

    run(scenario())


def test_who_was_left_for_being_slow_is_asked_again_when_nobody_else_answers() -> None:
    async def scenario() -> None:
        crawling = [step for _ in range(3) for step in (1.0, STREAM[1])]
        bench = Bench(a=Scripted([STREAM[0], *crawling, STREAM[-1]]), b=Scripted(BUSY))
        await bench.ask(failover=Failover(min_tokens_per_s=20.0), attempts=1)
        assert bench.story == ["a timeout", "b error", "a ok"]

    run(scenario())


def test_under_a_bound_in_seconds_nothing_need_be_learned() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([9.0, *STREAM]), b=Scripted("ok"))
        rule = Failover(guard=GuardRule("b", ttft_s=1.0, for_s=30.0))
        await asyncio.gather(*(bench.ask(failover=rule) for _ in range(30)), return_exceptions=True)
        await bench.ask(failover=rule)
        assert bench.story == ["a rejected", "b ok"]

    run(scenario())


def test_a_stream_that_crawls_is_left_unseen_and_the_last_one_is_kept() -> None:
    async def scenario() -> None:
        floor = Failover(min_tokens_per_s=20.0)
        crawling = [step for _ in range(50) for step in (1.0, STREAM[1])]
        bench = Bench(a=Scripted([STREAM[0], *crawling]), b=Scripted("ok"))
        data = await bench.ask(failover=floor)
        assert bench.story == ["a timeout", "b ok"] and data.count(b"[text]") == 1
        assert bench.attempts[0].fault == "slow" and bench.attempts[0].usage is not None
        assert bench.targets["a"].health.breaker.is_closed
        alone = Bench(a=Scripted([STREAM[0], *crawling[:10], STREAM[-1]]))
        await alone.ask(failover=floor)
        assert alone.story == ["a ok"]

    run(scenario())


def test_a_fast_stream_is_committed_at_once() -> None:
    async def scenario() -> None:
        bench = Bench(
            a=Scripted([STREAM[0], *(step for _ in range(50) for step in (0.01, STREAM[1])), STREAM[-1]]), b=Scripted("ok")
        )
        execution = bench.start(failover=Failover(min_tokens_per_s=20.0))
        await execution.begin()
        assert bench.clock() < 0.2
        await execution.aclose()

    run(scenario())


class Noting:
    """A guard that only writes down what it is told."""

    def __init__(self) -> None:
        self.tripped = asyncio.Event()
        self.told: list[tuple[float, bool]] = []

    def threshold_s(self, tokens_in: int, is_stream: bool) -> float:
        return 0.1

    def noted(self, first_s: float, tokens_in: int, is_stream: bool, *, is_over: bool) -> None:
        self.told.append((first_s, is_over))


def test_what_comes_while_our_own_loop_is_held_up_is_not_late() -> None:
    async def scenario() -> list[tuple[float, bool]]:
        guard = Noting()
        bench = Bench(a=Scripted([0.05, *STREAM]), b=Scripted("ok"))
        running = Running(bench.targets["a"], request(), bench.clock)
        watch = Watch(guard, bench.targets["a"], is_trial=False)  # type: ignore[arg-type]
        asyncio.get_running_loop().call_later(0.01, time.sleep, 0.4)
        begin = running.begin(bench.clock() + 9, connect_s=1)
        await watch.begin(running, begin, request(), bench.clock, lambda: True)
        await running.end("cancelled")
        return guard.told

    ((first_s, is_over),) = asyncio.run(scenario())
    assert is_over and first_s == pytest.approx(0.1, abs=0.05)


def test_a_client_that_leaves_a_guarded_request_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        bench = await learned()
        speed(bench, "a", 20.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await bench.ask(failover=GUARDED)
        assert bench.providers["a"].open_now == 0 and bench.story == ["a cancelled"]

    run(scenario())


def test_a_client_that_leaves_as_the_answer_begins_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        for turns in range(12):
            bench = Bench(a=Scripted([0.2, CONTENT, 9.0]), b=Scripted("ok"))
            await bench.leave(0.2, turns, failover=GUARDED)
            assert bench.held == {"a": (0, 0), "b": (0, 0)}, turns
            assert bench.story == ["a cancelled"] and bench.attempts[0].duration_ms == pytest.approx(200), turns

    run(scenario())


def test_every_target_slow_beyond_its_deadline_is_a_deadline() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted("hang"), b=Scripted("hang"))
        with pytest.raises(DeadlineExceeded):
            await bench.ask(failover=GUARDED, attempts=1)

    run(scenario())


def test_a_stream_is_not_watched_beyond_the_deadline() -> None:
    async def scenario() -> None:
        bench = Bench(a=Scripted([0.5, STREAM[1], 60.0, *STREAM]), b=Scripted("ok"))
        with pytest.raises(DeadlineExceeded):
            await bench.ask(failover=Failover(min_tokens_per_s=50.0), timeouts=Timeouts(total_s=1.0))
        assert bench.clock() == pytest.approx(1.0)

    run(scenario())


def test_a_stream_that_has_not_begun_is_not_held_to_a_speed() -> None:
    async def scenario() -> None:
        await asyncio.sleep(60.0)
        bench = Bench(a=Scripted([Piece(b"x" * (HELD_BYTES_MAX + 1)), 0.5, *STREAM]), b=Scripted("ok"))
        await bench.ask(failover=Failover(min_tokens_per_s=5.0))
        assert bench.story == ["a ok"]

    run(scenario())
