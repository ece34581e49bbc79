"""`/v1/responses/{id}`: the Responses that were kept, here or at a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway.dialects.responses_answer import ID_PREFIX
from gateway.dialects.responses_fields import Json
from gateway.edge.auth import tenant_of
from gateway.edge.kept_by_provider import KeptByProvider
from gateway.edge.responses import RESPONSES_PATH, missing
from gateway.errors import ClientError
from gateway.offload import offloaded
from gateway.responses.base import Kept
from gateway.responses.conversations import Conversations, input_of

PAGE: Final = 20
PAGE_MAX: Final = 100


def responses_routes(conversations: Conversations, elsewhere: KeptByProvider) -> APIRouter:
    """The routes of Responses that were kept, each for its owner alone. elsewhere: asked for what is not kept here."""
    router = APIRouter()

    async def kept(request: Request, id_: str) -> Kept | None:
        return await conversations.find(tenant_of(request.scope).key, id_)

    def at_provider(request: Request, id_: str, *steps: str) -> Response:
        passed = None if id_.startswith(ID_PREFIX) else elsewhere.at_provider(request, "responses", "responses", id_, *steps)
        if passed is None:
            raise ClientError(missing(id_, conversations), status=404, code="response_not_found", param="response_id")
        return passed

    @router.get(RESPONSES_PATH + "/{id_}")
    async def retrieve(request: Request, id_: str) -> Response:
        """One Response, as it was given."""
        found = await kept(request, id_)
        if found is None:
            return at_provider(request, id_)
        if request.query_params.get("stream") == "true":
            message = "`stream`: only a response that runs in the background can be streamed again, and none does here"
            raise ClientError(message, code="unsupported_parameter", param="stream")
        return Response(found.response, media_type="application/json")

    @router.delete(RESPONSES_PATH + "/{id_}")
    async def delete(request: Request, id_: str) -> Response:
        """Forget one."""
        if not await conversations.remove(tenant_of(request.scope).key, id_):
            return at_provider(request, id_)
        return JSONResponse({"id": id_, "object": "response", "deleted": True})

    @router.get(RESPONSES_PATH + "/{id_}/input_items")
    async def items(request: Request, id_: str) -> Response:
        """All that one was made from, in pages."""
        found = await kept(request, id_)
        if found is None:
            return at_provider(request, id_, "input_items")
        given = request.query_params
        limit, order = _limit(given.get("limit")), given.get("order") or "desc"
        if order not in ("asc", "desc"):
            raise ClientError(f"`order` is {order[:40]!r}; give asc or desc", code="invalid_value", param="order")

        def shown(_: bytes) -> bytes:
            said = input_of(found)
            return msgspec.json.encode(page(said if order == "asc" else said[::-1], limit, given.get("after")))

        return Response(await offloaded(shown, found.items), media_type="application/json")

    @router.post(RESPONSES_PATH + "/{id_}/cancel")
    async def cancel(request: Request, id_: str) -> Response:
        """Only what runs in the background can be cancelled; a stream is, when its caller leaves."""
        if await kept(request, id_) is None:
            return at_provider(request, id_, "cancel")
        message = f"response '{id_}' is complete; only one that runs in the background can be cancelled"
        raise ClientError(message, code="response_not_in_background", param="response_id")

    return router


def page(items: Sequence[Json], limit: int, after: str | None) -> dict[str, Any]:
    """So many of the items, from behind the one with this id."""
    start = 0
    if after:
        places = [n for n, item in enumerate(items) if item.get("id") == after]
        if not places:
            raise ClientError(f"`after`: there is no item '{after[:100]}' in this response", code="invalid_value", param="after")
        start = places[0] + 1
    shown = items[start : start + limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(items),
    }


def _limit(text: str | None) -> int:
    if not text:
        return PAGE
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not 1 <= limit <= PAGE_MAX:
        raise ClientError(f"`limit` is {text[:40]!r}; give a number from 1 to {PAGE_MAX}", code="invalid_value", param="limit")
    return limit
