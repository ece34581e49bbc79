"""The JSON API of the operator, behind TURNOUT_ADMIN_KEY: what the cache holds, and out with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request

from gateway.cache.base import Selection, Store
from gateway.edge.auth import Operator
from gateway.edge.cache_entries import LIMIT, SELECTORS, kept_json, read_limit, read_selection
from gateway.errors import ClientError, Refused, StoreUnavailable
from gateway.metrics import Metrics

RETRY_AFTER_S: Final = 5.0

Given = TypeVar("Given")
Value = TypeVar("Value")


def admin_routes(store: Store, operator: Operator, metrics: Metrics, kind: str, problem: Callable[[], str | None]) -> APIRouter:
    """The routes. kind: of the store, `memory` or `redis`. problem: why the store cannot be asked just now, None if it can."""
    router = APIRouter()

    def admitted(request: Request) -> None:
        operator.require(dict(request.scope["headers"]))

    @router.get("/admin/cache")
    async def cache(request: Request) -> dict[str, Any]:
        """Where answers are kept, what is amiss there, and how often they were given, by route, since the start."""
        admitted(request)
        return {"store": kind, "problem": problem(), "routes": metrics.cache_by_route()}

    @router.get("/admin/cache/entries")
    async def entries(request: Request) -> dict[str, Any]:
        """Kept answers that match `id`, `tenant`, `route` and `older_than` (as 7d), the newest first, at most `limit`."""
        admitted(request)
        given = _query(request, (*SELECTORS, "limit"))
        limit = _read(read_limit, given.pop("limit", str(LIMIT)))
        kept = await _asked(store.entries(_read(read_selection, given), limit))
        return {"entries": [kept_json(one) for one in kept]}

    @router.delete("/admin/cache/entries")
    async def evict(request: Request) -> dict[str, int]:
        """Forget the kept answers that match; needs a selector, or `all=true`."""
        admitted(request)
        given = _query(request, (*SELECTORS, "all"))
        is_all = given.pop("all", None)
        if is_all not in (None, "true"):
            raise ClientError(f"all is {is_all!r}; write all=true, or select entries", code="invalid_query", param="all")
        if (is_all is not None) == bool(given):
            message = f"say which entries, by {', '.join(SELECTORS)}, or all=true for every one"
            raise ClientError(message, code="invalid_query")
        selection = _read(read_selection, given) if given else Selection()
        return {"evicted": await _asked(store.evict(selection))}

    return router


def _query(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters. One that is not known, or comes twice, could select more than was meant."""
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise ClientError(f"{unknown[:100]!r} is not known; known: {', '.join(known)}", code="invalid_query")
    if len(given) < len(pairs):
        raise ClientError("a parameter is there twice; one of each can be given", code="invalid_query")
    return given


def _read(read: Callable[[Given], Value], given: Given) -> Value:
    try:
        return read(given)
    except ValueError as exc:
        raise ClientError(str(exc), code="invalid_query") from exc


async def _asked(asked: Awaitable[Value]) -> Value:
    try:
        return await asked
    except StoreUnavailable as exc:
        message = f"the cache cannot be asked just now: {exc}"
        raise Refused(message, status=503, code="cache_unavailable", retry_after_s=RETRY_AFTER_S) from exc
