"""The breaker as a table: when it opens, for how long, and who may go then."""

import logging
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fault, UpstreamError
from gateway.health.breaker import RETRY_AFTER_MAX_S, Breaker
from gateway.policy.failover import BreakerRule
from tests.health.clock import Clock

RULE = BreakerRule()


def fault(kind: Fault = "status", status: int | None = 503, retry_after_s: float | None = None) -> UpstreamError:
    return UpstreamError("the provider's own words", fault=kind, status=status, retry_after_s=retry_after_s)


DOWN = fault()


def opened(clock: Clock, rule: BreakerRule = RULE) -> Breaker:
    breaker = Breaker("m", clock, rule)
    for _ in range(rule.failures):
        breaker.failed(DOWN)
    return breaker


def test_closed_breaker_admits_any_number() -> None:
    breaker = Breaker("m", Clock())
    assert all(breaker.admits() for _ in range(10))
    assert (breaker.is_open, breaker.is_closed, breaker.cooling_s) == (False, True, 0.0)


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker("m", Clock())
    for _ in range(RULE.failures - 1):
        breaker.failed(DOWN)
        assert breaker.admits()
    breaker.failed(fault("cut", None))
    assert not breaker.admits()
    assert (breaker.is_open, breaker.cooling_s, breaker.last_error) == (True, RULE.cooldown_s, "cut")
    assert not breaker.waits_as_asked


def test_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker("m", Clock())
    for _ in range(RULE.failures - 1):
        breaker.failed(DOWN)
    breaker.succeeded()
    for _ in range(RULE.failures - 1):
        breaker.failed(DOWN)
    assert breaker.admits()


# The share of failures.

OFTEN = BreakerRule(failures=1000, share=0.5, window_s=30.0, min_calls=20)


def called(breaker: Breaker, clock: Clock, outcomes: str, every_s: float = 0.1) -> None:
    """One call after the other: x fails, . is answered."""
    for outcome in outcomes:
        clock.now += every_s
        breaker.failed(DOWN) if outcome == "x" else breaker.succeeded()


def test_half_of_the_last_calls_failing_opens_it_without_a_run_of_failures() -> None:
    clock = Clock()
    breaker = Breaker("m", clock, OFTEN)
    called(breaker, clock, ".x" * 9 + ".")
    assert breaker.is_closed, "19 calls are not enough to tell"
    called(breaker, clock, "x")
    assert not breaker.admits()
    assert breaker.cooling_s == OFTEN.cooldown_s


def test_a_third_of_the_calls_failing_does_not_open_it() -> None:
    clock = Clock()
    breaker = Breaker("m", clock, OFTEN)
    called(breaker, clock, "..x" * 200)
    assert breaker.is_closed
    assert breaker.failed_share == pytest.approx(1 / 3, abs=0.02)


def test_failures_that_are_longer_ago_than_the_window_are_forgotten() -> None:
    clock = Clock()
    breaker = Breaker("m", clock, OFTEN)
    called(breaker, clock, "x" * 15)
    clock.now += OFTEN.window_s
    called(breaker, clock, "." * 10 + "x" * 5)
    assert breaker.is_closed
    assert breaker.failed_share == pytest.approx(1 / 3)


def test_once_closed_again_it_counts_anew() -> None:
    clock = Clock()
    breaker = Breaker("m", clock, OFTEN)
    called(breaker, clock, "x" * 20)
    clock.now += OFTEN.cooldown_s
    assert breaker.admits()
    breaker.succeeded()
    called(breaker, clock, "x" * 10)
    assert breaker.is_closed, "what was before the cooldown does not count against it"


@pytest.mark.parametrize(("share_failing", "opens"), [(0.3, False), (0.7, True)])
def test_random_failures_open_it_by_their_share(share_failing: float, opens: bool) -> None:
    clock, draw = Clock(), random.Random(7)
    breaker = Breaker("m", clock, OFTEN)
    openings: list[str] = []
    breaker.opened = openings.append
    called(breaker, clock, "".join("x" if draw.random() < share_failing else "." for _ in range(2000)))
    assert bool(openings) is opens


# Cooldowns and probes.


def test_one_probe_is_let_through_after_the_cooldown() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += RULE.cooldown_s - 0.01
    assert not breaker.admits()
    clock.now += 0.01
    assert [breaker.admits() for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("end", ["succeeded", "abandoned"])
def test_probe_that_does_not_fail_lets_the_next_one_through(end: str) -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += RULE.cooldown_s
    assert breaker.admits()
    getattr(breaker, end)()
    assert breaker.admits()
    assert breaker.admits() is (end == "succeeded")


@pytest.mark.parametrize("kind", ["slow", "busy", "limited"])
def test_what_the_gateway_itself_decided_is_no_failure(kind: Fault) -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    for _ in range(RULE.failures + 1):
        breaker.failed(fault(kind, None, retry_after_s=7.0))
    assert breaker.is_closed and breaker.failed_share == 0.0 and breaker.last_error == ""
    breaker = opened(clock)
    clock.now += RULE.cooldown_s
    assert breaker.admits()
    breaker.failed(fault(kind, None), is_probe=True)
    assert breaker.admits(), "the probe was given back"


def test_each_failed_probe_doubles_the_cooldown_up_to_its_most() -> None:
    clock = Clock()
    breaker = opened(clock)
    waits = []
    for _ in range(7):
        waits.append(breaker.cooling_s)
        clock.now += breaker.cooling_s
        assert breaker.admits()
        breaker.failed(DOWN, is_probe=True)
    assert waits == [min(RULE.cooldown_s * 2**n, RULE.cooldown_max_s) for n in range(7)]
    clock.now += breaker.cooling_s
    breaker.admits()
    breaker.succeeded()
    for _ in range(RULE.failures):
        breaker.failed(DOWN)
    assert breaker.cooling_s == RULE.cooldown_s


@pytest.mark.parametrize(
    ("asked_s", "cooling_s"), [(0.5, 0.5), (30.0, 30.0), (90.0, 90.0), (86400.0, RETRY_AFTER_MAX_S), (0.0, 0.0), (None, 0.0)]
)
def test_provider_that_asks_for_a_wait_gets_it_at_once(asked_s: float | None, cooling_s: float) -> None:
    breaker = Breaker("m", Clock())
    breaker.failed(fault(status=429, retry_after_s=asked_s))
    assert breaker.cooling_s == cooling_s
    assert breaker.admits() is (cooling_s == 0)
    assert breaker.waits_as_asked is (cooling_s > 0)


def test_of_two_cooldowns_the_longer_wins() -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    breaker.failed(fault(retry_after_s=40.0))
    clock.now += 10
    breaker.failed(fault(retry_after_s=5.0))
    assert breaker.cooling_s == 30.0
    breaker.failed(fault(retry_after_s=50.0))
    assert breaker.cooling_s == 50.0
    assert breaker.waits_as_asked
    breaker.told_open(70.0, "elsewhere")
    assert breaker.cooling_s == 70.0


def test_a_wait_that_is_shorter_than_the_cooldown_is_not_the_providers() -> None:
    breaker = Breaker("m", Clock())
    for _ in range(RULE.failures):
        breaker.failed(fault(retry_after_s=1.0))
    assert breaker.cooling_s == RULE.cooldown_s
    assert not breaker.waits_as_asked


def test_a_call_from_before_it_opened_does_not_close_it() -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    began = clock.now
    clock.now += 5
    breaker.failed(fault(status=429, retry_after_s=30.0))
    clock.now += 1
    breaker.succeeded(began)
    assert not breaker.admits(), "the provider ends what it has begun, and wants to be left alone all the same"
    breaker.succeeded(clock.now)
    assert breaker.admits(), "one that was sent in spite of it was answered"


def test_only_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.health")
    clock = Clock()
    breaker = opened(clock)
    for _ in range(20):
        clock.now += RULE.cooldown_max_s
        breaker.admits()
        breaker.failed(DOWN)
    breaker.succeeded()
    breaker.succeeded()
    assert [r.message for r in caplog.records] == [
        f"m fails (status 503): no calls for {RULE.cooldown_s} s",
        "m answers again",
    ]


def test_openings_and_changes_are_told() -> None:
    clock = Clock()
    openings: list[str] = []
    changes: list[Breaker] = []
    breaker = Breaker("m", clock)
    breaker.opened, breaker.changed = openings.append, changes.append
    breaker.failed(DOWN)
    assert changes == []
    for _ in range(RULE.failures):
        breaker.failed(DOWN)
    assert openings == ["m"] and changes
    clock.now += RULE.cooldown_s
    assert breaker.admits()
    changes.clear()
    breaker.abandoned()
    breaker.abandoned()
    assert changes == [breaker], "a probe that ended, once"
    breaker.succeeded()
    assert changes == [breaker, breaker]
    breaker.told_open(5.0, "status 500")
    breaker.told_closed()
    assert len(changes) == 2, "what was told is not told back"
    assert openings == ["m", "m"]


def test_a_breaker_that_is_told_goes_by_it() -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    breaker.told_open(4.0, "status 500")
    assert (breaker.admits(), breaker.cooling_s, breaker.last_error) == (False, 4.0, "status 500")
    breaker.told_closed()
    assert breaker.admits() and not breaker.is_probing
    breaker.told_open(0.0, "status 500")
    assert [breaker.admits(), breaker.is_probing, breaker.admits()] == [True, True, False]


def test_other_rules_hold_from_now_on_and_nothing_is_forgotten() -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    for _ in range(RULE.failures - 1):
        breaker.failed(DOWN)
    breaker.obey(BreakerRule(failures=RULE.failures, cooldown_s=9.0))
    breaker.failed(DOWN)
    assert breaker.cooling_s == 9.0
    breaker.obey(BreakerRule(failures=100, window_s=5.0, cooldown_s=1.0, cooldown_max_s=2.0))
    assert breaker.cooling_s == 9.0
    clock.now += 9
    assert breaker.admits()
    breaker.failed(DOWN, is_probe=True)
    assert breaker.cooling_s == 2.0


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "fail", "succeed", "abandon", "wait", "told", "tell"]), st.none() | st.floats(0, 100)),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_a_model_is_asked_again_in_the_end(steps: list[tuple[str, float | None]]) -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    asking: list[bool] = []  # whether each call under way is the probe
    for what, number in steps:
        if what == "wait":
            clock.now += number or 0.0
        elif what == "ask":
            if breaker.admits():
                asking.append(breaker.is_probing)
        elif what == "told":
            breaker.told_open(number or 0.0, "elsewhere")
        elif what == "tell":
            breaker.told_closed()
        elif asking:
            is_probe = asking.pop(0)
            if what == "fail":
                breaker.failed(fault(retry_after_s=number), is_probe=is_probe)
            elif what == "succeed":
                breaker.succeeded()
            elif is_probe:
                breaker.abandoned()
        assert 0 <= breaker.cooling_s <= RETRY_AFTER_MAX_S
    for is_probe in asking:
        breaker.failed(DOWN, is_probe=is_probe)
    clock.now += 100 + RULE.cooldown_max_s
    assert breaker.admits()


def test_older_calls_neither_give_the_probe_back_nor_take_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += breaker.cooling_s
    assert breaker.admits() and breaker.is_probing
    breaker.failed(DOWN)
    assert breaker.is_probing
    clock.now += RULE.cooldown_max_s
    assert not breaker.admits(), "the probe is still under way"


def test_a_probe_that_gets_content_lets_others_in_before_it_ends() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += breaker.cooling_s
    assert breaker.admits()
    breaker.answers()
    assert breaker.admits() and not breaker.is_probing
    breaker.failed(fault("cut", None), is_probe=True)
    assert not breaker.admits(), "one more failure is enough until an answer was complete"


def test_a_closed_breaker_costs_next_to_nothing() -> None:
    breaker = Breaker("m")

    def batch_s(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(10_000):
            call()
        return (time.perf_counter() - started) / 10_000

    assert min(batch_s(breaker.admits) for _ in range(5)) < 5e-6  # 0.05 µs on an idle machine
    assert min(batch_s(breaker.succeeded) for _ in range(5)) < 20e-6  # 1 µs


def test_what_was_sent_before_the_provider_asked_for_a_wait_does_not_end_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1.0
    began = clock()
    clock.now += 1.0
    breaker.failed(fault(status=429, retry_after_s=60.0))
    breaker.succeeded(began)
    assert breaker.cooling_s == pytest.approx(60.0)


def test_an_answer_closes_one_that_another_has_told_open() -> None:
    breaker = Breaker("m", Clock())
    breaker.told_open(5.0, "status 503")
    breaker.succeeded()
    assert breaker.is_closed
