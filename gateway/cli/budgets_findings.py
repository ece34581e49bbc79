"""What the doctor finds of the budgets: who counts them, whether it can, and whether alerts have somewhere to go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from gateway.budgets.opening import open_counts
from gateway.cli.counts_findings import Counts, find_in_redis
from gateway.cli.finding import Finding
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
        yield from find_in_redis("budgets", partial(_opened, settings.redis_url))
    if policy.alerts is None:
        if any(rule.then == "alert" for rule in policy.budgets):
            remedy = 'give `alerts: {webhook: "${SLACK_WEBHOOK}"}` to have them sent'
            yield Finding("missing", "alerts", "the policy says nothing of where they go: they are in the log alone", remedy)
    elif policy.alerts.unavailable is not None:
        remedy = f"export {policy.alerts.unavailable.split()[0]}=… and start again"
        yield Finding("missing", "alerts", f"in the log alone: {policy.alerts.unavailable}", remedy)
    else:
        yield Finding("ok", "alerts", "sent to the webhook of the policy")


async def _opened(redis_url: str, told: Callable[[str], None]) -> Counts:
    check_redis_url(redis_url)
    return await open_counts(redis_url, lambda account, nusd, at: None, told, is_wanted=True)
