"""What the doctor finds of the budgets: who counts them, whether it can, and whether alerts have somewhere to go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gateway.budgets.opening import open_counts
from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.policy.compile import Policy
from gateway.redis_url import check_redis_url
from gateway.settings import Settings


def find_budgets(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Nothing for a policy without budgets. Never raises for what is wrong."""
    if not policy.budgets:
        return
    if settings.redis_url is None:
        said = "counted in this process's memory, from the ledger on; replicas would each count by themselves"
        yield Finding("ok", "budgets", said)
    else:
        yield from _in_redis(settings.redis_url)
    if policy.alerts is None:
        if any(rule.then == "alert" for rule in policy.budgets):
            remedy = 'give `alerts: {webhook: "${SLACK_WEBHOOK}"}` to have them sent'
            yield Finding("missing", "alerts", "the policy says nothing of where they go: they are in the log alone", remedy)
    elif policy.alerts.unavailable is not None:
        remedy = f"export {policy.alerts.unavailable.split()[0]}=… and start again"
        yield Finding("missing", "alerts", f"in the log alone: {policy.alerts.unavailable}", remedy)
    else:
        yield Finding("ok", "alerts", "sent to the webhook of the policy")


def _in_redis(redis_url: str) -> Iterator[Finding]:
    try:
        check_redis_url(redis_url)
        problem = asyncio.run(_looked(redis_url))
    except ConfigError as exc:
        yield Finding("broken", "budgets", str(exc))
        return
    if problem is None:
        yield Finding("ok", "budgets", "counted in Redis, which answers")
    else:
        yield Finding("missing", "budgets", problem, "until then each replica counts alone, or refuses, as `on_error` says")


async def _looked(redis_url: str) -> str | None:
    def told(cause: str) -> None:
        """The doctor says it once, from `problem`."""

    counts = await open_counts(redis_url, lambda account, nusd, at: None, told, is_wanted=True)
    try:
        return counts.problem
    finally:
        await counts.aclose()
