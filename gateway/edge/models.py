"""`GET /v1/models`, and one of them, as OpenAI's clients expect them, or Anthropic's, which name its API's version."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from gateway.edge.auth import tenant_of
from gateway.errors import ClientError
from gateway.policy.engine import denied_model, permitted_names
from gateway.runtime import CurrentRuntime

ANTHROPIC: Final = "anthropic-version"  # the header
PAGE_MAX: Final = 1000
CREATED_AT: Final = "1970-01-01T00:00:00Z"  # a policy does not say since when


def models_routes(current: CurrentRuntime) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        """The models that the caller may name, `auto` first."""
        names = permitted_names(current.now.policy, tenant_of(request.scope).permit)
        if ANTHROPIC in request.headers:
            return anthropic_page(names, dict(request.query_params))
        return {"object": "list", "data": [_model(current, name) for name in names]}

    @router.get("/v1/models/{name:path}")
    async def model(request: Request, name: str) -> dict[str, Any]:
        """One model."""
        policy, permit = current.now.policy, tenant_of(request.scope).permit
        names = permitted_names(policy, permit)
        if name in names:
            return anthropic_model(name) if ANTHROPIC in request.headers else _model(current, name)
        denial = denied_model(policy, name, permit) if name in policy.models else None
        if denial is not None:
            raise ClientError(denial.message, status=denial.status, code=denial.code)
        known = ", ".join(names) or "none that your key may use"
        raise ClientError(f"model '{name}' is not served here; known: {known}", status=404, code="model_not_found")

    return router


def anthropic_model(name: str) -> dict[str, Any]:
    """One model in Anthropic's shape."""
    return {"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT}


def anthropic_page(names: list[str], query: dict[str, str]) -> dict[str, Any]:
    """A page of them. query: `limit` (1 to 1000, 20 if it is left out), `after_id`, `before_id`. Raises ClientError."""
    limit = _limit(query.get("limit"))
    first, last = 0, len(names)
    if "after_id" in query:
        first = _place(names, "after_id", query["after_id"]) + 1
    if "before_id" in query:
        last = _place(names, "before_id", query["before_id"])
    within = names[first:last]
    page = within[-limit:] if "before_id" in query and "after_id" not in query else within[:limit]
    return {
        "data": [anthropic_model(name) for name in page],
        "has_more": len(page) < len(within),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return 20
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= PAGE_MAX:
        message = f"limit is {text[:50]!r}; give a number from 1 to {PAGE_MAX}"
        raise ClientError(message, code="invalid_type", param="limit")
    return int(text)


def _place(names: list[str], param: str, name: str) -> int:
    if name not in names:
        raise ClientError(f"{param}: no model '{name[:100]}' is served here", code="invalid_value", param=param)
    return names.index(name)


def _model(current: CurrentRuntime, name: str) -> dict[str, Any]:
    model = current.now.policy.models.get(name)
    return {"id": name, "object": "model", "created": 0, "owned_by": model.provider if model else "turnout"}
