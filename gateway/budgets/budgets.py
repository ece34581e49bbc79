"""The budgets of a policy at work: claimed by requests, charged for the rest, filled from the ledger, shown to people."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.budgets.base import Account, Ask, Charge, Counts, Family, Reply, Spent, State, Unknown, family_of
from gateway.budgets.claim import Claim, Payer, charges_for, payer_of, watched
from gateway.budgets.frame import frame
from gateway.budgets.ledger import GATEWAY, is_in_hours
from gateway.budgets.rules import Rules
from gateway.budgets.usual import UsualOutput
from gateway.errors import StoreUnavailable
from gateway.ledger.base import Entry
from gateway.metrics import Metrics
from gateway.policy.budgets import BudgetRule
from gateway.policy.compile import Policy
from gateway.request import ChatRequest
from gateway.tenant import Tenant

log = logging.getLogger("turnout.budgets")

LOOK_S: Final = 60.0  # between two looks at the ledger
DEAR_EVERY: Final = 10  # looks after which it is read for tags, for months and for times that roll as well: up to seconds
WAIT_S: Final = 2.0  # that a request waits for what was spent before it came
WRITTEN_S: Final = 1.0  # of that for what was booked and is on its way to the ledger
AGAIN_S: Final = 5.0  # after a look that failed
SHOWN_MAX: Final = 1000  # holders of a rule, those who have spent most

ReadSpent = Callable[[Family, float], Spent]
"""(family, at) to what the ledger says was spent; may block; raises OSError."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one holder stands under one rule. ends_at: of a calendar period, seconds since 1970."""

    rule: BudgetRule
    state: State
    ends_at: int | None


class Budgets:
    """For whichever policy is in force: money is counted under the names of those who spend it, over every reload.

    policy: the one in force; rules: its budgets. now: seconds since 1970. written: returns when the ledger has what was booked
    until then.
    """

    def __init__(
        self,
        counts: Counts,
        read: ReadSpent,
        policy: Policy,
        metrics: Metrics,
        written: Callable[[], Awaitable[None]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._counts, self._read, self.policy, self._metrics = counts, read, policy, metrics
        self.rules, self._usual = Rules(policy.budgets), UsualOutput()
        self._written, self._now = written, now
        self._late: set[Family] = set()  # of which the ledger did not have all when it was read
        self._unsent: str | None = None  # why alerts go nowhere
        self._looks: dict[Family, asyncio.Task[None]] = {}
        self._failed: dict[Family, tuple[float, str]] = {}  # when the ledger could not be read, and why

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._now()

    @property
    def problem(self) -> str | None:
        """Why budgets are not what they should be just now, with the remedy; None when all is well."""
        if self._counts.problem is not None:
            return self._counts.problem
        why = next((why for _, why in self._failed.values()), None)
        return None if why is None else f"what was spent before cannot be read for the budgets, which go by what they saw: {why}"

    async def adopt(self, policy: Policy) -> None:
        """Go by this policy from now on, knowing what was spent in the times that it names."""
        self.policy, self.rules = policy, Rules(policy.budgets)
        why = policy.alerts.unavailable if policy.alerts is not None else None
        if why is not None and why != self._unsent:
            log.warning("alerts of budgets go to this log alone: %s", why)
        self._unsent = why
        await asyncio.gather(*(self._known(family) for family in self.rules.families))

    def claim(self, policy: Policy, request: ChatRequest, tenant: Tenant, at: float, hold: str) -> Claim:
        """What the budgets have to say of a request. policy: in force when it came. at, hold: as its entry's at and uid."""
        payer = Payer(tenant.key, tenant.team, request.tags)
        rules = self.rules if policy is self.policy else Rules(policy.budgets)
        return Claim(self, rules, policy.models, request, payer, at, hold, self._usual)

    def charge(self, entry: Entry) -> None:
        """Count what was spent without being asked for by a request of its own: once for each such entry."""
        accounts = watched(self.rules, payer_of(entry), entry.route)
        self._counts.settle(charges_for(entry, accounts.keys(), self.now))

    async def standings(self) -> list[Standing]:
        """Each rule with each holder that has spent something, by rule; of very many holders those who have spent most."""
        if self._looks:  # a budget that is new: not shown as if nothing were spent
            await asyncio.wait(self._looks.values(), timeout=WAIT_S)
        at, found = self.now, []
        for family in self.rules.families:
            holders = [GATEWAY] if family.per == "gateway" else self._counts.holders(family)
            states = await self.states([Account(family, holder) for holder in holders], at)
            states.sort(key=lambda state: (-state.standing_nusd, state.account.holder))
            for rule in self.rules.all:
                if family_of(rule) == family:
                    of_rule = [state for state in states if rule in self.rules.of(state.account)]
                    ends_at = frame(family.period, at).ends_at
                    found += [Standing(rule, state, ends_at) for state in of_rule[:SHOWN_MAX]]
        return sorted(found, key=lambda standing: standing.rule.place)

    def gauges(self) -> Mapping[str, Mapping[str, float]]:
        """For Prometheus: of each rule how far the one that is farthest has come."""
        shares: dict[str, float] = {}
        for rule in self.rules.all:
            family = family_of(rule)
            spent = self._counts.spent(family, self.now)
            mine = [nusd for holder, nusd in spent.items() if rule in self.rules.of(Account(family, holder))]
            shares[str(rule)] = max(mine, default=0) / rule.limit_nusd
        return {"turnout_budget_spent": shares}

    async def run(self) -> None:
        """Look at the ledger every so often, until cancelled: there is what other processes spent, and what was lost."""
        look = 0
        while True:
            await asyncio.sleep(LOOK_S)
            look += 1
            for family in self.rules.families:
                is_dear = not is_in_hours(family) or family.period.calendar != "day"
                if not is_dear or look % DEAR_EVERY == 0 or family in {*self._failed, *self._late}:
                    await self._look(family)

    # For claims.

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply:
        """As the counts do; what they do not know is read first. Raises StoreUnavailable."""
        try:
            return await self._counts.reserve(hold, asks, at, lease_s)
        except Unknown as exc:
            known = await asyncio.gather(*(self._known(family) for family in exc.families))
        if not all(known) and any(ask.on_error == "closed" for ask in asks):
            raise StoreUnavailable("ledger", "what was spent before is not known")
        try:
            return await self._counts.reserve(hold, asks, at, lease_s)
        except Unknown:
            return self._counts.reserve_alone(hold, asks, at)

    async def states(self, accounts: Sequence[Account], at: float) -> list[State]:
        """How they stand; what is not known yet is read first."""
        try:
            return await self._counts.states(accounts, at)
        except Unknown as exc:
            await asyncio.gather(*(self._known(family) for family in exc.families))
        try:
            return await self._counts.states(accounts, at)
        except Unknown:
            return [State(account, 0, 0) for account in accounts]

    def settle(self, charges: Sequence[Charge]) -> None:
        """As the counts do."""
        self._counts.settle(charges)

    def reached(self, rule: BudgetRule) -> None:
        """A request met a rule that refused it, or sent it elsewhere."""
        self._metrics.budget_reached(str(rule))

    async def _known(self, family: Family) -> bool:
        """Have what was spent read, once for all who wait, and for no longer than a request may wait. Whether it is known."""
        failed_at, _ = self._failed.get(family, (-AGAIN_S, ""))
        if self.now - failed_at < AGAIN_S:
            return False
        look = self._looks.get(family)
        if look is None:
            look = self._looks[family] = asyncio.create_task(self._look(family), name=f"budgets-look-{family.id}")
            look.add_done_callback(lambda _: self._looks.pop(family, None))
        await asyncio.wait({look}, timeout=WAIT_S)
        if not look.done():
            return False
        look.result()  # raises what is a mistake of ours
        return family not in self._failed

    async def _look(self, family: Family) -> None:
        """Count no less than the ledger says, when it has what this process booked: a budget that is new has not seen that."""
        self._late.add(family)
        with contextlib.suppress(TimeoutError):  # then this family is looked at again with the next look
            async with asyncio.timeout(WRITTEN_S):
                await self._written()
            self._late.discard(family)
        at = self.now
        try:
            await self._counts.fill(family, lambda: self._read(family, at), at)
        except OSError as exc:
            if family not in self._failed:
                log.warning("what was spent in '%s' cannot be read from the ledger: %s; trying again", family.id, exc)
            self._failed[family] = (self.now, str(exc))
        else:
            self._failed.pop(family, None)

    async def aclose(self) -> None:
        """Stop looking, count what is still to be settled."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await self._counts.aclose()
