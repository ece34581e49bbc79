"""A budget's standing as the API and the command show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.budgets.budgets import Standing


def standing_json(standing: Standing) -> dict[str, Any]:
    """Its fields; money in nano-USD and in dollars."""
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
