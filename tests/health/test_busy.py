"""The busy meter's one promise: the charges add up to the time the machine was busy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.health.busy import BusyMeter
from tests.health.clock import Clock


def test_calls_side_by_side_share_the_time() -> None:
    clock = Clock(0.0)
    meter = BusyMeter()
    first = meter.start(clock.now)
    clock.now = 2.0
    second = meter.start(clock.now)
    clock.now = 4.0
    assert meter.stop(first, clock.now) == 3.0  # two alone, half of two
    clock.now = 5.0
    assert meter.stop(second, clock.now) == 2.0
    clock.now = 50.0
    third = meter.start(clock.now)
    clock.now = 51.0
    assert meter.stop(third, clock.now) == 1.0  # idle time is nobody's
    assert meter.running == 0


def test_what_a_call_is_charged_so_far_is_a_part_of_what_it_will_be() -> None:
    clock = Clock(0.0)
    meter = BusyMeter()
    first = meter.start(clock.now)
    clock.now = 2.0
    assert meter.so_far(first, clock.now) == 2.0  # its first content: it has read
    second = meter.start(clock.now)
    clock.now = 6.0
    assert meter.so_far(first, clock.now) == 4.0
    assert meter.so_far(second, clock.now) == 2.0
    assert meter.stop(first, clock.now) == 4.0
    clock.now = 7.0
    assert meter.so_far(second, clock.now) == 3.0
    assert meter.stop(second, clock.now) == 3.0


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 4)), max_size=60))
def test_charges_add_up_to_the_busy_time(steps: list[tuple[int, int]]) -> None:
    """Each step: so many milliseconds pass, then a call begins, or the one of that number ends."""
    clock = Clock(0.0)
    meter = BusyMeter()
    running: dict[int, float] = {}
    busy_s = charged_s = 0.0
    for wait_ms, which in [*steps, *((7, n) for n in range(5))]:
        clock.now += wait_ms / 1000
        busy_s += wait_ms / 1000 if running else 0.0
        if which in running:
            read_s = meter.so_far(running[which], clock.now)
            charge_s = meter.stop(running.pop(which), clock.now)
            assert 0 <= read_s <= charge_s
            charged_s += charge_s
        elif len(steps) > 0:
            running[which] = meter.start(clock.now)
        assert meter.running == len(running)
    for started in list(running.values()):
        charged_s += meter.stop(started, clock.now)
    assert charged_s == pytest.approx(busy_s, abs=1e-6)
