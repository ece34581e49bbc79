"""A limit on how long a task waits that can be set anew for next to nothing. Knows nothing of requests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Deadline:
    """Write `at`, then wait inside `with`: TimeoutError is raised there once `at` has come. For many waits, one at a time.

    Works as asyncio.timeout does: it cancels the task, and tells its own cancellation from everybody else's, so that they
    can be nested. But that one sets a timer for each wait and takes it back, which costs more than most waits have to do.
    Here the one timer looks, when it rings, what `at` is by then, and whether anybody waits. A limit that is over before the
    wait begins is no business of the timer's: what is there already would still be let through.

    at: on the clock, in seconds. `close` it in the end, else the timer rings once more, for nobody.
    """

    # As it begins; many have one wait.
    at = math.inf
    _task: asyncio.Task[Any] | None = None  # the one that waits
    _cancelling = 0  # how often others had cancelled it when its wait began
    _is_over = False  # we have cancelled it
    _timer: asyncio.TimerHandle | None = None
    _rings_at = math.inf

    def __init__(self, clock: Callable[[], float]) -> None:
        """Within the running loop."""
        self._loop, self._clock = asyncio.get_running_loop(), clock

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task(self._loop)
        assert task is not None, "only a task can be cancelled"
        self._cancelling = task.cancelling()
        if self.at < self._rings_at:
            self._set(self.at - self._clock())

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        task, self._task = self._task, None
        if self._is_over:
            self._is_over = False
            assert task is not None
            is_ours_alone = task.uncancel() <= self._cancelling
            if is_ours_alone and isinstance(exc, asyncio.CancelledError):
                raise TimeoutError from exc

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._rings_at = math.inf

    def _set(self, left_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = self.at
        self._timer = self._loop.call_later(left_s, self._ring)

    def _ring(self) -> None:
        rang_at, self._timer, self._rings_at = self._rings_at, None, math.inf
        if self._task is None:
            return  # whoever waits next sets it
        if self.at > rang_at:
            # By the clock, for a timer that rang late; but not longer than `at` has moved, for one that rang early.
            self._set(min(self.at - self._clock(), self.at - rang_at))
        else:
            self._is_over = True
            self._task.cancel()
