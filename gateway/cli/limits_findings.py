"""What the doctor finds of the limits: who counts them, and whether it can."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.cli.counts_findings import find_in_redis
from gateway.cli.finding import Finding
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
    url = settings.redis_url
    yield from find_in_redis("limits", lambda told: open_limiter(url, told, is_wanted=True))
