"""Entries for ledger tests."""

from __future__ import annotations

from typing import Any

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.usage import Usage


def entry(request_id: str = "r-1", **fields: Any) -> Entry:
    """An entry with what a ledger needs, and whatever else is given."""
    given: dict[str, Any] = {
        "at": 1_000_000.0,
        "dialect": "openai_chat",
        "requested_model": "auto",
        "stream": False,
        "key": "anonymous",
        "policy_hash": "abc",
        "draw": 0.5,
    }
    return Entry(request_id=request_id, **{**given, **fields})


def answered(request_id: str, route: str, model: str, cost: int | None, baseline: int | None = 0, **fields: Any) -> Entry:
    """An entry whose one attempt was answered."""
    attempt = Attempt(f"p-{model}", model, usage=Usage(10, 5), cost_nusd=cost, ttft_ms=1.0)
    return entry(
        request_id,
        route=route,
        model=model,
        provider=f"p-{model}",
        attempts=[attempt],
        usage=Usage(10, 5),
        cost_nusd=cost,
        baseline_nusd=baseline,
        **fields,
    )
