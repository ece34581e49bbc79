"""Open the budgets: counted in this process, or in Redis for all replicas, whose library is imported only then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.budgets.alarm import Alarm
from gateway.budgets.base import Changed, Counts, Family, Spent
from gateway.budgets.budgets import Budgets, ReadSpent
from gateway.budgets.ledger import read_spent
from gateway.budgets.memory import MemoryCounts
from gateway.budgets.told import FileTold, Told
from gateway.budgets.webhook import Webhook
from gateway.errors import ConfigError
from gateway.ledger.base import LedgerReader
from gateway.metrics import Metrics
from gateway.policy.compile import Policy
from gateway.providers.http import HttpClient
from gateway.redis_url import check_redis_url

TOLD: Final = "alerts.json"  # in the data folder


@contextlib.asynccontextmanager
async def open_budgets(
    redis_url: str | None,
    data_dir: Path,
    open_reader: Callable[[], LedgerReader],
    written: Callable[[], Awaitable[None]],
    policy: Policy,
    http: HttpClient,
    metrics: Metrics,
) -> AsyncIterator[Budgets]:
    """The budgets of a gateway, until the block is left.

    open_reader: of the ledger, opened for each look. written: returns when it has what was booked until then. policy: in
    force at first. Raises ConfigError for a URL that cannot be used.
    """

    def in_force() -> Budgets:
        return budgets

    file = FileTold(data_dir / TOLD)
    async with contextlib.AsyncExitStack() as stack:
        told: Told = file
        if redis_url:
            check_redis_url(redis_url)
            from gateway.budgets.told_redis import SharedTold
            from gateway.redis_link import RedisLink

            link = RedisLink(redis_url)
            stack.push_async_callback(link.aclose)
            told = SharedTold(link, file)
        webhook = Webhook(http, told, metrics, lambda: in_force().policy.alerts)
        alarm = Alarm(lambda: in_force().rules, webhook)
        counts = await open_counts(redis_url, alarm.changed, metrics.budgets_failed, is_wanted=bool(policy.budgets))
        budgets = Budgets(counts, reads(open_reader), policy, metrics, written)
        sending = asyncio.create_task(webhook.run(), name="alerts")
        stack.push_async_callback(webhook.aclose, sending)
        stack.push_async_callback(budgets.aclose)
        await budgets.adopt(policy)
        looking = asyncio.create_task(budgets.run(), name="budgets-looks")
        stack.push_async_callback(_cancel, looking)
        yield budgets


async def open_counts(redis_url: str | None, changed: Changed, failed: Callable[[str], None], *, is_wanted: bool) -> Counts:
    """Where money is counted. is_wanted: the policy has budgets, so Redis is looked for at once."""
    if not redis_url:
        return MemoryCounts(changed)
    from gateway.budgets.redis import RedisCounts
    from gateway.budgets.shared import SharedCounts
    from gateway.redis_link import RedisLink

    counts = SharedCounts(RedisCounts(RedisLink(redis_url)), changed, failed)
    if is_wanted:
        await counts.check()
    return counts


def reads(open_reader: Callable[[], LedgerReader]) -> ReadSpent:
    """Looks into a ledger, each with a reader of its own."""

    def read(family: Family, at: float) -> Spent:
        try:
            reader = open_reader()
        except ConfigError as exc:
            raise OSError(str(exc)) from exc
        try:
            return read_spent(reader, family, at)
        finally:
            reader.close()

    return read


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
