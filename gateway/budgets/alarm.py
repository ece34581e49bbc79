"""What people are told when money is spent: who it is that has spent how much, once for each budget, holder and time."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.budgets.base import Account
from gateway.budgets.errors import dollars, in_time, utc, whose
from gateway.budgets.frame import frame
from gateway.budgets.rules import Rules
from gateway.policy.budgets import BudgetRule

log = logging.getLogger("turnout.budgets")

REMEMBERED_MAX: Final = 10_000
_SLACKS_OWN: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. id: the same from every process that finds it. until: seconds since 1970, after which it may come again."""

    id: str
    until: float
    text: str
    details: str

    def body(self) -> dict[str, Any]:
        """As Slack's incoming webhooks take it (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""
        return {
            "text": _escaped(self.text),
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": f":rotating_light: *{_escaped(self.text)}*"}},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(self.details)}]},
            ],
        }


class Sends(Protocol):
    """Takes alerts to where they go."""

    def send(self, alert: Alert) -> None:
        """Soon, unless it was sent before, by any process. Never fails, never waits."""
        ...


class Alarm:
    """Told of all that is spent. rules: those in force."""

    def __init__(self, rules: Callable[[], Rules], sends: Sends) -> None:
        self._rules, self._sends = rules, sends
        self._told: OrderedDict[str, None] = OrderedDict()

    def changed(self, account: Account, spent_nusd: int, at: float) -> None:
        """An account has spent so much now."""
        for rule in self._rules().of(account):
            if rule.then != "alert" or spent_nusd < rule.threshold_nusd:
                continue
            alert = alert_of(rule, account, spent_nusd, at)
            if alert.id in self._told:
                continue
            self._told[alert.id] = None
            if len(self._told) > REMEMBERED_MAX:
                self._told.popitem(last=False)
            self._sends.send(alert)


def alert_of(rule: BudgetRule, account: Account, spent_nusd: int, at: float) -> Alert:
    """The alert that a rule gives. Of a time that rolls: no more than one in each such time since 1970."""
    length_s = account.family.period.length_s
    ends_at = frame(rule.period, at).ends_at
    until = ends_at if ends_at is not None else (int(at) // length_s + 1) * length_s
    share = spent_nusd / rule.limit_nusd
    text = f"{whose(rule, account)} has spent {dollars(spent_nusd)} of {dollars(rule.limit_nusd)} {in_time(rule)} ({share:.0%})"
    resets = f"A new {rule.period} begins {utc(ends_at)}." if ends_at is not None else "What is older than that leaves it."
    details = f"budgets[{rule.place}] of the policy: alert at {rule.at:.0%}. {resets}"
    return Alert(f"{account.id}:{rule.threshold_nusd}:{until}", until, text, details)


def _escaped(text: str) -> str:
    return re.sub("[&<>]", lambda found: _SLACKS_OWN[found[0]], text)
