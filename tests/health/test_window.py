"""How many of the last seconds' calls failed, by a clock that is set."""

from __future__ import annotations

from gateway.health.window import SLOTS, Window
from tests.health.clock import Clock


def test_each_call_counts_for_the_length_of_the_window_to_a_slot() -> None:
    clock = Clock()
    window = Window(10.0, clock)
    for second in range(25):  # no look in between, at which the old ones would be forgotten
        clock.now = 100.0 + second
        window.note(is_failure=second % 2 == 1)
    assert window.count() == (10, 5)
    clock.now += SLOTS - 1
    assert window.count() == (1, 0)
    clock.now += 1.0
    assert window.count() == (0, 0)


def test_a_slot_ends_on_time() -> None:
    clock = Clock()
    window = Window(10.0, clock)
    window.note(is_failure=True)
    clock.now += 0.999
    window.note(is_failure=True)
    clock.now = 101.0
    window.note(is_failure=False)
    clock.now = 110.0
    assert window.count() == (1, 0)
