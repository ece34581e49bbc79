"""Decide within budgets: what the policy decided, or what is left of it when somebody has spent enough."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.budgets.claim import Claim
from gateway.policy.model import Answer, Plan
from gateway.policy.permit import Permit
from gateway.router import Routed
from gateway.runtime import Runtime


async def afford(routed: Routed, claim: Claim, runtime: Runtime, permit: Permit, *, is_trial: bool = False) -> Routed:
    """The decision that the budgets allow, with what it may cost reserved: the same, another route's, or the part of it that
    costs nothing more.

    An answer of our own costs nothing and is given whatever is spent, and a denial denies. A route that a budget sends to is
    decided as if the request had asked for it, once: what that one would cost is held against the other budgets. is_trial:
    reserve nothing. Raises BudgetExceeded and BudgetsUnavailable.
    """
    if not isinstance(routed.decision, Plan):
        return routed
    within = await claim.within(routed.decision, is_trial=is_trial)
    if isinstance(within, Plan):
        return replace(routed, decision=within)
    assert within.route is not None, "a rule that sends elsewhere says where"
    again = runtime.router.reroute(routed, within.route, runtime.candidates(), permit)
    by = f"budget:{within.route}"
    if isinstance(again.decision, Answer):
        return replace(again, decision=replace(again.decision, decided_by=by))
    if isinstance(again.decision, Plan):
        plan = await claim.within(replace(again.decision, decided_by=by), can_reroute=False, is_trial=is_trial)
        assert isinstance(plan, Plan), "nothing sends it elsewhere twice"
        return replace(again, decision=plan)
    denial = replace(again.decision, message=f"{claim.story}: {again.decision.message}")  # else it would be a riddle
    return replace(again, decision=denial)
