"""GET /admin/budgets, behind TURNOUT_ADMIN_KEY: who has spent how much of what."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gateway.budgets.budgets import Budgets
from gateway.edge.auth import Operator
from gateway.edge.standing_json import standing_json


def budget_routes(budgets: Budgets, operator: Operator) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.get("/admin/budgets")
    async def standings(request: Request) -> dict[str, Any]:
        """Each budget with each holder that has spent something: the numbers that requests are held against."""
        operator.require(dict(request.scope["headers"]))
        return {"problem": budgets.problem, "budgets": [standing_json(one) for one in await budgets.standings()]}

    return router
