"""Everything but the hot route, as ordinary FastAPI: the dry run, ledger entries, health."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from gateway.affording import afford
from gateway.budgets.budgets import Budgets
from gateway.edge.asgi import ClientLeft, read_body
from gateway.edge.auth import Entrance, tenant_of
from gateway.edge.chat_completions import read_request
from gateway.edge.dialect import Incoming
from gateway.edge.error_response import error_body_at, error_response
from gateway.edge.request_headers import request_id
from gateway.edge.status import Status
from gateway.errors import ClientError, InternalError, LedgerUnavailable, Refused, TurnoutError
from gateway.ledger.base import Entry, as_fields
from gateway.ledger.writer import LedgerWriter
from gateway.pricing.cost import usd
from gateway.runtime import CurrentRuntime
from gateway.sessions import Sessions, session_draw

ENDPOINTS = (
    "POST /v1/chat/completions, POST /v1/messages, POST /v1/messages/count_tokens, POST /v1/responses, POST /v1/completions, "
    "POST /v1/embeddings, GET /v1/models, POST /v1/route, POST /v1/feedback, GET /v1/requests/{id}, GET /health/ready, "
    "GET /metrics; all of it is described at GET /openapi.json"
)


def api_routes(
    current: CurrentRuntime,
    ledger: LedgerWriter,
    sessions: Sessions,
    status: Status,
    entrance: Entrance,
    body_bytes_max: int,
    budgets: Budgets,
) -> APIRouter:
    """The routes. status: what readiness reports. entrance: says whose entries a caller may see. budgets: for the dry run."""
    router = APIRouter()

    @router.post("/v1/route")
    async def route(request: Request) -> dict[str, Any]:
        """Where a chat request would go and why. Sends nothing upstream and books nothing."""
        headers = dict(request.scope["headers"])
        body = await read_body(headers, request.receive, body_bytes_max)
        runtime = current.now
        tenant = tenant_of(request.scope)
        chat_request = read_request(Incoming(request_id(headers), body, headers, b"", tenant))
        session = chat_request.session
        draw = random.random() if session is None else session_draw(session, tenant)
        pinned = sessions.pinned(chat_request, tenant)
        routed = await runtime.router.route(chat_request, runtime.candidates(), draw, pinned, tenant.permit)
        if not runtime.policy.budgets:
            return runtime.router.story(routed)
        claim = budgets.claim(runtime.policy, chat_request, tenant, budgets.now, "")
        try:
            routed = await afford(routed, claim, runtime, tenant.permit, is_trial=True)
        except Refused as exc:
            return runtime.router.story(routed) | {"budget": {"error": {"code": exc.code, "message": exc.message}}}
        return runtime.router.story(routed) | {"budget": claim.story}

    @router.get("/v1/requests/{id_}")
    async def entry(request: Request, id_: str) -> dict[str, Any]:
        """One ledger entry with its attempts: of the caller's own requests, of anybody's for the operator."""
        found = await ledger.find(id_, entrance.sees(request.scope))
        if found is None:
            raise ClientError(f"request '{id_}' is not in the ledger", status=404, code="request_not_found")
        return entry_json(found)

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @router.get("/healthz")
    @router.get("/health/ready")
    async def ready(response: Response) -> dict[str, Any]:
        """Whether requests can be answered, and what is amiss. Never calls a model."""
        report = status.report()
        response.status_code = 503 if report["status"] in ("unavailable", "draining") else 200
        return report

    return router


def render_errors(app: FastAPI) -> None:
    """Errors of these routes in the same shape as those of the hot one."""

    def rendered(request: Request, error: TurnoutError, more: Mapping[str, str] | None = None) -> Response:
        given: dict[bytes, bytes] = dict(request.scope["headers"])
        status, body, headers = error_response(error, request_id(given), error_body_at(request.url.path, given))
        return Response(body, status, {**dict(headers), **(more or {})}, media_type="application/json")

    async def ours(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, TurnoutError)
        return rendered(request, exc)

    async def starlettes(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        said = f"{request.method} {request.url.path}: {exc.detail}; this gateway has {ENDPOINTS}"
        code = "method_not_allowed" if exc.status_code == 405 else "not_found"
        return rendered(request, ClientError(said, status=exc.status_code, code=code), exc.headers)

    async def left(request: Request, exc: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    async def ledgers(request: Request, exc: Exception) -> Response:
        return rendered(request, LedgerUnavailable(f"{exc}; try again later"))

    async def mistakes(request: Request, exc: Exception) -> Response:
        return rendered(request, InternalError(request_id(dict(request.scope["headers"]))))

    app.add_exception_handler(Exception, mistakes)  # Starlette logs it besides
    app.add_exception_handler(ClientLeft, left)
    app.add_exception_handler(OSError, ledgers)
    app.add_exception_handler(TurnoutError, ours)
    app.add_exception_handler(HTTPException, starlettes)


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as the API shows it: the ledger's fields, time as ISO 8601, and dollars beside nano-USD."""
    fields = as_fields(entry)
    fields["at"] = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields["saved_nusd"] = entry.saved_nusd
    for name in ("cost", "baseline", "saved"):
        fields[f"{name}_usd"] = usd(fields[f"{name}_nusd"])
    for counted in (fields, *fields["attempts"]):
        if counted["usage"] is not None:
            del counted["usage"]["unpriced"]  # what it makes of the cost is kept, and not why
    for attempt in fields["attempts"]:
        attempt["cost"] = attempt.pop("cost_nusd")  # the name the API promises; nano-USD as everywhere
    return fields
