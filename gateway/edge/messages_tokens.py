"""`POST /v1/messages/count_tokens`: Anthropic's way to ask how long a question is."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from gateway.dialects.messages_request import canonical_question
from gateway.edge.asgi import read_body
from gateway.edge.auth import tenant_of
from gateway.edge.dialect import Incoming
from gateway.edge.messages import MESSAGES_PATH, read_messages
from gateway.edge.request_headers import request_id
from gateway.edge.token_counts import TokenCounts
from gateway.runtime import CurrentRuntime
from gateway.sessions import Sessions

COUNT_TOKENS_PATH: Final = f"{MESSAGES_PATH}/count_tokens"


def count_tokens_routes(current: CurrentRuntime, sessions: Sessions, body_bytes_max: int) -> APIRouter:
    """The route. sessions: whose model is known already."""
    router, counts = APIRouter(), TokenCounts(current, sessions)

    @router.post(COUNT_TOKENS_PATH)
    async def count_tokens(request: Request) -> dict[str, int]:
        """The input tokens of a request."""
        headers, tenant = dict(request.scope["headers"]), tenant_of(request.scope)
        body = await read_body(headers, request.receive, body_bytes_max)
        given = Incoming(request_id(headers), body, headers, request.scope["query_string"], tenant)
        asked = await read_messages(given, canonical_question, "`model` and `messages`")
        return {"input_tokens": await counts.count(asked, tenant)}

    return router
