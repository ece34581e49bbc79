"""GET /admin/budgets, behind TURNOUT_ADMIN_KEY: who has spent how much of what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request

from gateway.budgets.budgets import Budgets, Standing
from gateway.edge.auth import Operator


def budget_routes(budgets: Budgets, operator: Operator) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.get("/admin/budgets")
    async def standings(request: Request) -> dict[str, Any]:
        """Each budget with each holder that has spent something: the numbers that requests are held against."""
        operator.require(dict(request.scope["headers"]))
        return {"problem": budgets.problem, "budgets": [standing_json(one) for one in await budgets.standings()]}

    return router


def standing_json(standing: Standing) -> dict[str, Any]:
    """As the API and the command show it; money in nano-USD and in dollars."""
    rule, state = standing.rule, standing.state
    fields: dict[str, Any] = {
        "budget": rule.place,
        "per": rule.kind,
        "holder": state.account.name,
        "period": str(rule.period),
        "at": rule.at,
        "then": {"route": rule.route} if rule.then == "route" else rule.then,
        "spent_nusd": state.spent_nusd,
        "reserved_nusd": state.reserved_nusd,
        "limit_nusd": rule.limit_nusd,
    }
    fields |= {f"{name}_usd": fields[f"{name}_nusd"] / 1e9 for name in ("spent", "reserved", "limit")}
    ends_at = None if standing.ends_at is None else datetime.fromtimestamp(standing.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**fields, "is_reached": state.standing_nusd >= rule.threshold_nusd, "ends_at": ends_at}
