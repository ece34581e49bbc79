"""What a caller is told whose budget is spent, or cannot be counted."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from gateway.budgets.base import Account, Ask, State
from gateway.errors import Refused
from gateway.policy.budgets import BudgetRule
from gateway.pricing.cost import usd

UNCOUNTABLE_S: Final = 5.0  # to wait when budgets cannot be counted: a store that is away is asked again within that


class BudgetExceeded(Refused):
    """A budget is spent, or has less left than this request may cost. rule: the one that says so."""

    def __init__(self, rule: BudgetRule, ask: Ask, state: State, at: float, more: str = "") -> None:
        wait_s = state.wait_s(ask, at)
        message = f"{_standing(rule, state)}; {_said(rule, ask, state, wait_s, at)}{more}"
        super().__init__(message, status=429, code="budget_exceeded", retry_after_s=wait_s)
        self.rule = rule


class BudgetsUnavailable(Refused):
    """The budgets cannot be counted, and the policy says to refuse then."""

    def __init__(self, rule: BudgetRule, account: Account) -> None:
        what = f"what {whose(rule, account)} has spent cannot be counted just now"
        message = f"{what}, and budgets[{rule.place}] of the policy says `on_error: closed`; try again later"
        super().__init__(message, status=503, code="budgets_unavailable", retry_after_s=UNCOUNTABLE_S)


def dollars(nusd: int) -> str:
    """An amount for people: to the cent, or to two digits that say something."""
    amount = usd(nusd) or 0.0
    digits = 2 if abs(amount) >= 0.1 or not amount else min(1 - math.floor(math.log10(abs(amount))), 9)
    return f"${amount:,.{digits}f}"


def whose(rule: BudgetRule, account: Account) -> str:
    """Whose money it is."""
    if rule.per == "gateway":
        return "the whole gateway"
    return f"{f'tag {rule.tag}=' if rule.tag is not None else f'{rule.per} '}'{account.name}'"


def in_time(rule: BudgetRule) -> str:
    """The time in which it may be spent."""
    return f"a {rule.period}" if rule.period.calendar is not None else f"in {rule.period}"


def utc(at: float) -> str:
    """A moment for people, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _standing(rule: BudgetRule, state: State) -> str:
    spent = dollars(state.spent_nusd)
    reserved = f" and {dollars(state.reserved_nusd)} reserved for requests under way" if state.reserved_nusd else ""
    share = "" if rule.at == 1 else f" (refused from {dollars(rule.threshold_nusd)} on)"
    budget = f"{whose(rule, state.account)} may spend {dollars(rule.limit_nusd)} {in_time(rule)}{share}"
    return f"{budget}, budgets[{rule.place}] of the policy; {spent} are spent{reserved}"


def _said(rule: BudgetRule, ask: Ask, state: State, wait_s: float | None, at: float) -> str:
    need = f"this request may cost {dollars(ask.amount_nusd)}"
    if wait_s is None:
        return f"{need}, more than all of it: send less, ask for fewer tokens with `max_tokens`, or name a cheaper model"
    again = f"try again after {utc(at + wait_s + 59)}" if wait_s > 120 else f"try again in {math.ceil(wait_s)} s"
    if state.standing_nusd < rule.threshold_nusd:
        return f"{need}: send less, ask for fewer tokens with `max_tokens`, name a cheaper model, or {again}"
    return f"{again}, or have the budget raised"
