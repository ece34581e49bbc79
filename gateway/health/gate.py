"""How many calls may be in flight, and who waits for a place. Knows no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import UpstreamError
from gateway.policy.failover import Capacity, Priority

PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")
RETRY_AFTER_MIN_S: Final = 1.0
RETRY_AFTER_MAX_S: Final = 60.0
SMOOTHING: Final = 0.1  # of the newest interval between two calls that end

Waiter = asyncio.Future[None]
"""Done when a place is its own; has an exception when it was pushed out."""


class Gate:
    """A bound on calls in flight, with a queue of bounded length: higher priority first, within one who came first.

    is_bounded: it has a bound at all, and calls have to `enter`.
    A full queue pushes out the last of the lowest priority for a newcomer of a higher one.
    INVARIANT: while somebody waits there is no free place, and a place is always somebody's: it is handed on, never offered.
    """

    def __init__(self, name: str, capacity: Capacity | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._clock = name, clock
        self._capacity = capacity or Capacity()
        self.is_bounded = self._capacity.in_flight_max is not None
        self._queues: dict[Priority, deque[Waiter]] = {priority: deque() for priority in PRIORITIES}
        self._interval_s = 0.0  # between two calls that end while it is full; 0 while unknown
        self._ended_at: float | None = None  # None: it was not full since
        self.in_flight = 0
        self.waiting = 0

    def obey(self, capacity: Capacity) -> None:
        """From now on with this bound. Calls in flight stay, those that wait get what places there are now."""
        self._capacity, self.is_bounded = capacity, capacity.in_flight_max is not None
        self._hand_on()

    def try_enter(self) -> bool:
        """Whether there was a place. It is the caller's until `leave`."""
        if not self._has_room():
            return False
        self.in_flight += 1
        return True

    async def enter(self, priority: Priority, until: float) -> None:
        """Take a place, or wait for one until then on the clock, and no longer than the queue's own limit.

        Raises UpstreamError (`busy`, with retry_after_s) when there is none. Cancelling it is safe.
        """
        if self.try_enter():
            return
        wait_s = max(min(self._capacity.queue_wait_s, until - self._clock()), 0.0)
        if not wait_s:  # and nobody is pushed out by one who cannot wait
            raise self._busy("no place just now")
        waiter = self._queue(priority)
        try:
            await asyncio.wait([waiter], timeout=wait_s)
        except asyncio.CancelledError:
            if waiter.done() and waiter.exception() is None:
                self.leave()
            else:
                self._drop(waiter, priority)
            raise
        if not waiter.done():
            self._drop(waiter, priority)
            raise self._busy(f"no place within {wait_s:.1f} s")
        waiter.result()

    def leave(self) -> None:
        """Give a place back: to the first who waits, if somebody does."""
        self._tick()
        self.in_flight -= 1
        self._hand_on()

    def _has_room(self) -> bool:
        bound = self._capacity.in_flight_max
        return bound is None or self.in_flight < bound

    def _queue(self, priority: Priority) -> Waiter:
        if self.waiting >= self._capacity.queue_length:
            self._push_out(priority)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queues[priority].append(waiter)
        self.waiting += 1
        return waiter

    def _push_out(self, newcomer: Priority) -> None:
        """Make room in the queue. Raises UpstreamError when nobody in it is of lower priority."""
        for priority in reversed(PRIORITIES[PRIORITIES.index(newcomer) + 1 :]):
            if self._queues[priority]:
                self.waiting -= 1
                self._queues[priority].pop().set_exception(self._busy("pushed out by a request of higher priority"))
                return
        raise self._busy("the queue is full" if self._capacity.queue_length else "there is no queue")

    def _drop(self, waiter: Waiter, priority: Priority) -> None:
        """It does not wait any more; it may have been pushed out already."""
        if not waiter.done():
            self._queues[priority].remove(waiter)
            self.waiting -= 1
            waiter.cancel()

    def _hand_on(self) -> None:
        while self.waiting and self._has_room():
            waiter = next(queue for queue in self._queues.values() if queue).popleft()
            self.waiting -= 1
            self.in_flight += 1
            waiter.set_result(None)

    def _tick(self) -> None:
        """A call ends: learn how often one does, as long as there is no place free."""
        now, is_full = self._clock(), not self._has_room()
        if is_full and self._ended_at is not None:
            interval_s = now - self._ended_at
            self._interval_s += (interval_s - self._interval_s) * (SMOOTHING if self._interval_s else 1.0)
        self._ended_at = now if is_full else None

    def _busy(self, why: str) -> UpstreamError:
        bound, waiting = self._capacity.in_flight_max, self.waiting
        wait_s = min(max(self._interval_s * (waiting + 1), RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)
        message = f"{self.name}: {why}; {bound} calls are in flight, as many as `max_in_flight` allows, and {waiting} wait"
        return UpstreamError(message, fault="busy", retry_after_s=wait_s)


class Place:
    """What a call holds while it is in flight: a place in each gate that it went through."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates

    def leave(self) -> None:
        """Give them back; does nothing the second time."""
        gates, self._gates = self._gates, ()
        for gate in gates:
            gate.leave()


async def enter(gates: Sequence[Gate], priority: Priority, until: float) -> Place:
    """A place in all of them, taken in their order. Raises UpstreamError when one of them has none, and then holds none."""
    held: list[Gate] = []
    try:
        for gate in gates:
            await gate.enter(priority, until)
            held.append(gate)
    except BaseException:
        Place(held).leave()
        raise
    return Place(held)
