"""The end of serving, as requests see it: readiness goes first, and what outlasts the grace time is broken off and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import ShuttingDown


class Drain:
    """One for the process. is_draining: the gateway takes no new connections and finishes what it has."""

    def __init__(self) -> None:
        self.is_draining = False
        self._open: set[asyncio.Task[object]] = set()
        self._broken: set[asyncio.Task[object]] = set()

    def begin(self) -> None:
        """From now on the gateway says that it is not ready."""
        self.is_draining = True

    def break_off(self) -> int:
        """End the work of every task that is inside `breakable`; how many there were."""
        for task in self._open:
            self._broken.add(task)
            task.cancel()
        return len(self._open)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Around the work of the current task: where it is broken off, ShuttingDown is raised instead of a cancellation.

        So it is told from a caller who left, and whoever is still there hears why the answer ends. Works as
        asyncio.timeout does: a cancellation by somebody else goes on as one.
        """
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        self._open.add(task)
        try:
            yield
        except asyncio.CancelledError as exc:
            # INVARIANT: break_off cancels tasks that wait inside the block, so its cancellation is raised here and not later.
            if task in self._broken and task.uncancel() <= before:
                raise ShuttingDown from exc
            raise
        finally:
            self._open.discard(task)
            self._broken.discard(task)
