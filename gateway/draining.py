"""The end of serving, as requests see it: readiness goes first, and what outlasts the grace time is broken off and says so."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from gateway.errors import ShuttingDown


class Drain:
    """One for the process. is_draining: the gateway takes no new connections and finishes what it has."""

    def __init__(self) -> None:
        self.is_draining = False
        self._open: set[asyncio.Task[Any]] = set()
        self._broken: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """From now on the gateway says that it is not ready."""
        self.is_draining = True

    def break_off(self) -> int:
        """End the work of every task that is inside `breakable`; how many there were."""
        for task in self._open:
            self._broken.add(task)
            task.cancel()
        return len(self._open)

    def breakable(self) -> Breakable:
        """Around the work of the current task: where it is broken off, ShuttingDown is raised instead of a cancellation.

        So it is told from a caller who left, and whoever is still there hears why the answer ends. Works as
        asyncio.timeout does: a cancellation by somebody else goes on as one.
        """
        return Breakable(self._open, self._broken)


class Breakable:
    """See Drain. A class, since a generator's context costs several times as much, and every request has one."""

    __slots__ = ("_before", "_broken", "_open", "_task")

    def __init__(self, open_: set[asyncio.Task[Any]], broken: set[asyncio.Task[Any]]) -> None:
        self._open, self._broken = open_, broken

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None
        self._before = task.cancelling()
        self._open.add(task)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        task = self._task
        self._open.discard(task)
        if task in self._broken:
            self._broken.discard(task)
            # INVARIANT: break_off cancels tasks that wait inside the block, so its cancellation is raised here and not later.
            if isinstance(exc, asyncio.CancelledError) and task.uncancel() <= self._before:
                raise ShuttingDown from exc
