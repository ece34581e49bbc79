"""Work that a request leaves behind: audits, refreshes, comparisons. Bounded; what does not fit is not done, and said once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

log = logging.getLogger("turnout.background")

RUNNING_MAX: Final = 16


class Background:
    """Owned by the application's lifespan."""

    def __init__(self, running_max: int = RUNNING_MAX) -> None:
        self._running_max = running_max
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._is_full = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run it when there is room. name: what it is, the same for each piece of work that is; only one of a name runs."""
        if self._is_closed or name in self._tasks.values():
            return False
        if len(self._tasks) >= self._running_max:
            if not self._is_full:
                log.warning(
                    "%d audits and refreshes of the cache are under way; more are left out until some end", len(self._tasks)
                )
            self._is_full = True
            return False
        self._is_full = False
        task = asyncio.create_task(work(), name=name)
        self._tasks[task] = name
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        name = self._tasks.pop(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("%s failed by a mistake of the gateway's", name, exc_info=exc)

    async def aclose(self) -> None:
        """End what is under way; each piece books what it has cost so far."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
