"""`POST /v1/responses/input_tokens`: OpenAI's way to ask how long a question is."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request

from gateway.edge.asgi import read_body
from gateway.edge.auth import tenant_of
from gateway.edge.dialect import Incoming
from gateway.edge.request_headers import request_id
from gateway.edge.responses import RESPONSES_PATH, ResponsesDialect
from gateway.edge.token_counts import TokenCounts
from gateway.runtime import CurrentRuntime
from gateway.sessions import Sessions

INPUT_TOKENS_PATH: Final = f"{RESPONSES_PATH}/input_tokens"


def input_tokens_routes(dialect: ResponsesDialect, current: CurrentRuntime, sessions: Sessions, body_bytes_max: int) -> APIRouter:
    """The route. dialect: reads the question, and what it goes on from. sessions: whose model is known already."""
    router, counts = APIRouter(), TokenCounts(current, sessions)

    @router.post(INPUT_TOKENS_PATH)
    async def input_tokens(request: Request) -> dict[str, Any]:
        """The input tokens of a request."""
        headers, tenant = dict(request.scope["headers"]), tenant_of(request.scope)
        body = await read_body(headers, request.receive, body_bytes_max)
        asked = await dialect.read(Incoming(request_id(headers), body, headers, request.scope["query_string"], tenant))
        return {"object": "response.input_tokens", "input_tokens": await counts.count(asked, tenant)}

    return router
