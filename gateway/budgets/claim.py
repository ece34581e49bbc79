"""One request against the budgets that hold for it: reserve what it may cost, and settle what it did."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec

from gateway.budgets.base import KEY_ALONE, Account, Ask, Charge, Family, Reply, State
from gateway.budgets.errors import BudgetExceeded, BudgetsUnavailable, dollars, in_time, whose
from gateway.budgets.ledger import GATEWAY
from gateway.budgets.most import is_free, most_nusd
from gateway.budgets.rules import Rules
from gateway.budgets.usual import UsualOutput
from gateway.errors import StoreUnavailable
from gateway.ledger.base import IDLE, Entry
from gateway.policy.budgets import BudgetRule
from gateway.policy.catalog import Model
from gateway.policy.model import Plan
from gateway.pricing.cost import cost_nusd
from gateway.request import ChatRequest

log = logging.getLogger("turnout.budgets")

LEASE_S: Final = 60.0  # on top of the request's own deadline: then its process is gone, or it will be settled as it comes


@dataclass(frozen=True, slots=True)
class Payer:
    """Who a request, or what the gateway did by itself, is charged to."""

    key: str
    team: str | None
    tags: Mapping[str, str]

    def holder(self, family: Family, route: str | None) -> str | None:
        """The name that it counts under; None where it is none of the family's."""
        if family.per == "gateway":
            return GATEWAY
        if family.per == "route":
            return route
        if family.tag is not None:
            return self.tags.get(family.tag)
        if self.key == IDLE:
            return None
        return self.key if family.per == "key" else self.team if self.team is not None else KEY_ALONE + self.key


def payer_of(entry: Entry) -> Payer:
    """Who pays for an entry."""
    return Payer(entry.key, entry.team, entry.tags)


def watched(rules: Rules, payer: Payer, route: str | None) -> dict[Account, Sequence[BudgetRule]]:
    """The accounts that this is charged to, each with the rules that hold for it."""
    found: dict[Account, Sequence[BudgetRule]] = {}
    for family in rules.families:
        holder = payer.holder(family, route)
        if holder is not None:
            account = Account(family, holder)
            if held := rules.of(account):
                found[account] = held
    return found


def charges_for(
    entry: Entry, accounts: Collection[Account], booked_at: float, hold: str = "", reserved_nusd: int = 0, known_nusd: int = 0
) -> list[Charge]:
    """What an entry costs these accounts. An unknown cost counts as what was reserved for it, or what is known of it if more."""
    cost = max(reserved_nusd, known_nusd) if entry.cost_nusd is None else entry.cost_nusd
    return [
        Charge(account, cost + entry.overhead_nusd, entry.at, booked_at, hold, reserved_nusd)
        for account in accounts
        if cost + entry.overhead_nusd or reserved_nusd
    ]


class Books(Protocol):
    """Where money is counted, with what was spent before read from the ledger where need be."""

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply: ...

    async def states(self, accounts: Sequence[Account], at: float) -> list[State]: ...

    def settle(self, charges: Sequence[Charge]) -> None: ...

    @property
    def now(self) -> float: ...

    def reached(self, rule: BudgetRule) -> None: ...


class Claim:
    """`within` each plan that is made for the request, then `settle`, whatever became of it.

    refusal: set when only what costs nothing is left to it: to be raised where that is not enough; whole is then the plan with
    what costs something. story: what budgets made of the request, for people; None if nothing.
    """

    def __init__(
        self,
        books: Books,
        rules: Rules,
        models: Mapping[str, Model],
        request: ChatRequest,
        payer: Payer,
        at: float,
        hold: str,
        usual: UsualOutput,
    ) -> None:
        """at: seconds since 1970, when the request came, as its entry says. hold: a name that no other request has.

        usual: of all claims, which learns from this one what was written.
        """
        self._books, self._rules, self._models, self._usual = books, rules, models, usual
        self._request, self._payer, self._at, self._hold = request, payer, at, hold
        self._obeyed: set[int] = set()  # places of rules
        self._reserved_nusd = 0
        self._accounts: Collection[Account] = ()
        self.refusal: BudgetExceeded | None = None
        self.whole: Plan | None = None
        self.story: str | None = None

    async def within(self, plan: Plan, *, can_reroute: bool = True, is_trial: bool = False) -> Plan | BudgetRule:
        """The plan, or what of it costs nothing more, with what it may cost reserved; or a rule that sends the request by
        another route, with nothing reserved: then decide again, and come again with that plan.

        is_trial: reserve nothing. Raises BudgetExceeded or BudgetsUnavailable.
        """
        accounts = watched(self._rules, self._payer, plan.route)
        if not can_reroute:
            self._obeyed |= {rule.place for rules in accounts.values() for rule in rules if rule.then == "route"}
        while True:
            amount = most_nusd(plan, self._models, self._request, self._at, self._usual)
            asks = [self._ask(account, rules, amount) for account, rules in accounts.items()]
            reply = await self._reply(asks, accounts, plan, is_trial=is_trial)
            if reply.is_held:
                return plan
            reached = [
                (rule, replace(ask, ceiling_nusd=rule.threshold_nusd), state)
                for ask, state in zip(asks, reply.states, strict=True)
                for rule in accounts[ask.account]
                if rule.then != "alert"
                and rule.place not in self._obeyed
                and not replace(ask, ceiling_nusd=rule.threshold_nusd).fits(state.standing_nusd)
            ]
            if not reached:
                return plan  # a trial, which reserves nothing
            rule, ask, state = min(reached, key=lambda one: _severity(one[0]))
            if not is_trial:
                self._books.reached(rule)
            if rule.then == "route":
                self.story = f"{_short(rule, state)}, so route '{rule.route}' answers"
                return rule
            refusal = BudgetExceeded(rule, ask, state, self._at)
            if not rule.keeps_free:
                raise refusal
            self._obeyed.add(rule.place)
            self.whole = self.whole or plan
            self.refusal, self.story = refusal, f"{_short(rule, state)}, so only what costs nothing more answers"
            plan = _free_part(plan, self._models, self.story)

    def settle(self, entry: Entry) -> None:
        """Count what the entry cost in the place of what was reserved; once."""
        self._learn(entry)
        accounts = self._accounts or watched(self._rules, self._payer, entry.route)
        known_nusd = _tokens_nusd(entry, self._models) if entry.cost_nusd is None else 0
        self._books.settle(charges_for(entry, accounts, self._books.now, self._hold, self._reserved_nusd, known_nusd))

    def _learn(self, entry: Entry) -> None:
        """How long the answers were, if they were as long as the models liked."""
        if self._request.output_bound is not None:
            return
        for attempt in entry.attempts:
            if attempt.usage is not None and attempt.usage.output:
                each = -(-attempt.usage.output // self._request.choices)
                self._usual.wrote(attempt.model, each, self._books.now)

    def _ask(self, account: Account, rules: Sequence[BudgetRule], amount: int) -> Ask:
        strict = [rule for rule in rules if rule.then != "alert" and rule.place not in self._obeyed]
        on_error = "closed" if any(rule.on_error == "closed" for rule in strict) else "open"
        return Ask(account, amount, min((rule.threshold_nusd for rule in strict), default=None), on_error)

    async def _reply(
        self, asks: Sequence[Ask], accounts: Mapping[Account, Sequence[BudgetRule]], plan: Plan, *, is_trial: bool
    ) -> Reply:
        if is_trial:
            return Reply(False, tuple(await self._books.states([ask.account for ask in asks], self._at)))
        # Before the call: one that is cut short may have been counted all the same, and is settled by its name.
        self._accounts, self._reserved_nusd = accounts.keys(), asks[0].amount_nusd if asks else 0
        try:
            reply = await self._books.reserve(self._hold, asks, self._at, plan.timeouts.total_s + LEASE_S)
        except StoreUnavailable as exc:
            account, rule = next((a, r) for a, rules in accounts.items() for r in rules if r.on_error == "closed")
            raise BudgetsUnavailable(rule, account) from exc
        if not reply.is_held:
            self._reserved_nusd = 0
        return reply


def _tokens_nusd(entry: Entry, models: Mapping[str, Model]) -> int:
    """What is known of an unknown cost: the tokens, where something was sold besides that no price is for."""
    return sum(
        cost_nusd(models[a.model].price_at(entry.at), msgspec.structs.replace(a.usage, unpriced=None), a.busy_s) or 0
        for a in entry.attempts
        if a.usage is not None and a.outcome != "lost_hedge"
    )


def _severity(rule: BudgetRule) -> tuple[int, float, int]:
    """What refuses all comes first, then what sends elsewhere, then what leaves some; of those the one that is farthest on."""
    order = 1 if rule.then == "route" else 2 if rule.keeps_free else 0
    return order, -rule.at, rule.place


def _short(rule: BudgetRule, state: State) -> str:
    spent = f"{dollars(state.spent_nusd)} of {dollars(rule.limit_nusd)} {in_time(rule)}"
    return f"{whose(rule, state.account)} has spent {spent}"


def _free_part(plan: Plan, models: Mapping[str, Model], why: str) -> Plan:
    free = tuple(name for name in plan.targets if is_free(models[name]))
    return msgspec.structs.replace(
        plan,
        targets=free,
        left_out=(*plan.left_out, *((name, why) for name in plan.targets if name not in free)),
        accept={name: rule for name, rule in plan.accept.items() if name in free},
        rungs=tuple(name for name in plan.rungs if name in free),
    )
