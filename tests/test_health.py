"""The breaker as a table, and the busy meter's one promise: the charges add up to the time the machine was busy."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.health import COOLDOWN_MAX_S, COOLDOWN_S, FAILURES_TO_OPEN, Breaker, BusyMeter, Health


class Clock:
    """A clock that somebody sets."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("m", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed("down")
    return breaker


def test_closed_breaker_admits_any_number() -> None:
    breaker = Breaker("m", Clock())
    assert all(breaker.admits() for _ in range(10))
    assert (breaker.is_open, breaker.cooling_s) == (False, 0.0)


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker("m", Clock())
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed("down")
        assert breaker.admits()
    breaker.failed("still down")
    assert not breaker.admits()
    assert (breaker.is_open, breaker.cooling_s, breaker.last_error) == (True, COOLDOWN_S, "still down")


def test_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker("m", Clock())
    for _ in range(FAILURES_TO_OPEN * 3):
        breaker.failed("down")
        breaker.succeeded()
    assert breaker.admits()


def test_one_probe_is_let_through_after_the_cooldown() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN_S - 0.01
    assert not breaker.admits()
    clock.now += 0.01
    assert [breaker.admits() for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("end", ["succeeded", "abandoned"])
def test_probe_that_does_not_fail_lets_the_next_one_through(end: str) -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN_S
    assert breaker.admits()
    getattr(breaker, end)()
    assert breaker.admits()
    assert breaker.admits() is (end == "succeeded")


def test_each_failed_probe_doubles_the_cooldown_up_to_its_most() -> None:
    clock = Clock()
    breaker = opened(clock)
    waits = []
    for _ in range(7):
        waits.append(breaker.cooling_s)
        clock.now += breaker.cooling_s
        assert breaker.admits()
        breaker.failed("down", is_probe=True)
    assert waits == [min(COOLDOWN_S * 2**n, COOLDOWN_MAX_S) for n in range(7)]
    clock.now += breaker.cooling_s
    breaker.admits()
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed("down")
    assert breaker.cooling_s == COOLDOWN_S


@pytest.mark.parametrize(("asked_s", "cooling_s"), [(0.5, 0.5), (30.0, 30.0), (3600.0, COOLDOWN_MAX_S), (0.0, 0.0), (None, 0.0)])
def test_provider_that_asks_for_a_wait_gets_it_at_once(asked_s: float | None, cooling_s: float) -> None:
    breaker = Breaker("m", Clock())
    breaker.failed("busy", asked_s)
    assert breaker.cooling_s == cooling_s
    assert breaker.admits() is (cooling_s == 0)


def test_of_two_cooldowns_the_longer_wins() -> None:
    clock = Clock()
    breaker = Breaker("m", clock)
    breaker.failed("busy", 40.0)
    clock.now += 10
    breaker.failed("busy", 5.0)
    assert breaker.cooling_s == 30.0
    breaker.failed("busy", 50.0)
    assert breaker.cooling_s == 50.0


def test_only_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.health")
    clock = Clock()
    breaker = opened(clock)
    for _ in range(20):
        clock.now += COOLDOWN_MAX_S
        breaker.admits()
        breaker.failed("down")
    breaker.succeeded()
    breaker.succeeded()
    assert [r.message for r in caplog.records] == [f"m fails (down): no calls for {COOLDOWN_S} s", "m answers again"]


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "fail", "succeed", "abandon", "wait"]), st.none() | st.floats(0, 100)), max_size=40
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
        elif asking:
            is_probe = asking.pop(0)
            if what == "fail":
                breaker.failed("down", number, is_probe=is_probe)
            elif what == "succeed":
                breaker.succeeded()
            elif is_probe:
                breaker.abandoned()
        assert 0 <= breaker.cooling_s <= COOLDOWN_MAX_S + 1e-9  # sums of floats round
    for is_probe in asking:
        breaker.failed("down", is_probe=is_probe)
    clock.now += COOLDOWN_MAX_S + 1e-9
    assert breaker.admits()


def test_older_calls_neither_give_the_probe_back_nor_take_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += breaker.cooling_s
    assert breaker.admits() and breaker.is_probing
    breaker.failed("an older call ends late")
    assert breaker.is_probing
    clock.now += COOLDOWN_MAX_S
    assert not breaker.admits(), "the probe is still under way"


def test_a_probe_that_gets_content_lets_others_in_before_it_ends() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += breaker.cooling_s
    assert breaker.admits()
    breaker.answers()
    assert breaker.admits() and not breaker.is_probing
    breaker.failed("cut in the middle", is_probe=True)
    assert not breaker.admits(), "one more failure is enough until an answer was complete"


# The busy meter.


def test_calls_side_by_side_share_the_time() -> None:
    clock = Clock(0.0)
    meter = BusyMeter(clock)
    first = meter.start()
    clock.now = 2.0
    second = meter.start()
    clock.now = 4.0
    assert meter.stop(first) == 3.0  # two alone, half of two
    clock.now = 5.0
    assert meter.stop(second) == 2.0
    clock.now = 50.0
    third = meter.start()
    clock.now = 51.0
    assert meter.stop(third) == 1.0  # idle time is nobody's
    assert meter.running == 0


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 4)), max_size=60))
def test_charges_add_up_to_the_busy_time(steps: list[tuple[int, int]]) -> None:
    """Each step: so many milliseconds pass, then a call begins, or the one of that number ends."""
    clock = Clock(0.0)
    meter = BusyMeter(clock)
    running: dict[int, float] = {}
    busy_s = charged_s = 0.0
    for wait_ms, which in [*steps, *((7, n) for n in range(5))]:
        clock.now += wait_ms / 1000
        busy_s += wait_ms / 1000 if running else 0.0
        if which in running:
            charge_s = meter.stop(running.pop(which))
            assert charge_s >= 0
            charged_s += charge_s
        elif len(steps) > 0:
            running[which] = meter.start()
        assert meter.running == len(running)
    for started in list(running.values()):
        charged_s += meter.stop(started)
    assert charged_s == pytest.approx(busy_s, abs=1e-6)


def test_health_is_kept_by_what_makes_the_adapter_and_forgotten_with_it() -> None:
    health = Health(Clock())
    first = health.of(("openai", "https://one", "gpt"), "openai/gpt")
    assert health.of(("openai", "https://one", "gpt"), "openai/gpt") is first
    assert health.of(("openai", "https://two", "gpt"), "openai/gpt") is not first
    health.forget(("openai", "https://one", "gpt"))
    assert health.of(("openai", "https://one", "gpt"), "openai/gpt") is not first
