"""What the doctor finds of a store in Redis that replicas count in together: whether it can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from gateway.cli.finding import Finding
from gateway.errors import ConfigError


class Counts(Protocol):
    """What counts, once it is open."""

    @property
    def problem(self) -> str | None: ...

    async def aclose(self) -> None: ...


def find_in_redis(what: str, open_: Callable[[Callable[[str], None]], Awaitable[Counts]]) -> Iterator[Finding]:
    """Opens it, looks, and closes it. what: is counted there. open_: given whom to tell of faults; raises ConfigError."""
    try:
        problem = asyncio.run(_looked(open_))
    except ConfigError as exc:
        yield Finding("broken", what, str(exc))
        return
    if problem is None:
        yield Finding("ok", what, "counted in Redis, which answers")
    else:
        yield Finding("missing", what, problem, "until then each replica counts alone, or refuses, as `on_error` says")


async def _looked(open_: Callable[[Callable[[str], None]], Awaitable[Counts]]) -> str | None:
    def told(cause: str) -> None:
        """The doctor says it once, from `problem`."""

    counts = await open_(told)
    try:
        return counts.problem
    finally:
        await counts.aclose()
