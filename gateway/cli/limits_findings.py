"""What the doctor finds of the limits: who counts them, and whether it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.limits.opening import open_limiter
from gateway.policy.compile import Policy
from gateway.settings import Settings


def find_limits(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Nothing for a policy without limits. Never raises for what is wrong."""
    if not policy.limits:
        return
    if settings.redis_url is None:
        yield Finding("ok", "limits", "counted in this process's memory; replicas would each count by themselves")
        return
    try:
        problem = asyncio.run(_looked(settings.redis_url))
    except ConfigError as exc:
        yield Finding("broken", "limits", str(exc))
        return
    if problem is None:
        yield Finding("ok", "limits", "counted in Redis, which answers")
    else:
        yield Finding("missing", "limits", problem, "until then each replica counts alone, or refuses, as `on_error` says")


async def _looked(redis_url: str) -> str | None:
    def told(cause: str) -> None:
        """The doctor says it once, from `problem`."""

    limiter = await open_limiter(redis_url, told, is_wanted=True)
    try:
        return limiter.problem
    finally:
        await limiter.aclose()
