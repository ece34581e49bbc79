"""Tells a store what is owed to it, in the background: while the store is away it waits, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.store_guard import StoreGuard


class Settling:
    """Begins with the first `wake`. is_owing: whether anything is left to tell. send: tells some of it; raises nothing."""

    def __init__(
        self, name: str, guard: StoreGuard, is_owing: Callable[[], bool], send: Callable[[], Awaitable[None]], probe_s: float
    ) -> None:
        self._name, self._guard, self._is_owing, self._send, self._probe_s = name, guard, is_owing, send, probe_s
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    def wake(self) -> None:
        """There is something to tell."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        self._woken.set()

    async def aclose(self, within_s: float) -> None:
        """Tell what is left, as far as the store takes it within that time."""
        if self._task is not None:
            self._is_closing = True
            self._woken.set()
            await asyncio.wait({self._task}, timeout=within_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._is_owing() and not (self._is_closing and self._guard.is_open):
                if self._guard.is_open:
                    await asyncio.sleep(self._probe_s)
                else:
                    await self._send()
            if self._is_closing:
                return
