"""Everything but the hot routes, as one FastAPI application. Imported once the gateway serves, see late_api."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from gateway import __version__
from gateway.budgets.budgets import Budgets
from gateway.cache.base import Store
from gateway.cache.feedback import CacheFeedback
from gateway.edge.admin import admin_routes
from gateway.edge.admin_budgets import budget_routes
from gateway.edge.api import api_routes, render_errors
from gateway.edge.auth import Entrance, Operator
from gateway.edge.feedback import feedback_routes
from gateway.edge.kept_by_provider import KeptByProvider
from gateway.edge.kept_chat import kept_chat_routes
from gateway.edge.messages_tokens import count_tokens_routes
from gateway.edge.metrics import metrics_routes
from gateway.edge.models import models_routes
from gateway.edge.openapi import openapi_routes
from gateway.edge.responses import ResponsesDialect
from gateway.edge.responses_kept import responses_routes
from gateway.edge.responses_tokens import input_tokens_routes
from gateway.edge.status import Status
from gateway.ledger.writer import LedgerWriter
from gateway.metrics import Metrics
from gateway.providers.http import HttpClient
from gateway.responses.conversations import Conversations
from gateway.runtime import CurrentRuntime
from gateway.sessions import Sessions


def build_api(
    *,
    current: CurrentRuntime,
    ledger: LedgerWriter,
    sessions: Sessions,
    status: Status,
    entrance: Entrance,
    operator: Operator,
    budgets: Budgets,
    http: HttpClient,
    responses: Conversations,
    dialect: ResponsesDialect,
    store: Store,
    problem: Callable[[], str | None],
    feedback: CacheFeedback,
    metrics: Metrics,
    kind: str,
    body_bytes_max: int,
) -> FastAPI:
    """The application. kind: of the cache's store, `memory` or `redis`. problem: why the store cannot be asked just now."""
    # FastAPI's own document knows the hot routes not, and its pages load a script from somebody else's host.
    api = FastAPI(title="Turnout", version=__version__, openapi_url=None)
    render_errors(api)
    kept_elsewhere = KeptByProvider(current, entrance, http, body_bytes_max)
    for routes in (
        api_routes(current, ledger, sessions, status, entrance, body_bytes_max, budgets),
        models_routes(current),
        input_tokens_routes(dialect, current, sessions, body_bytes_max),
        responses_routes(responses, kept_elsewhere),
        kept_chat_routes(kept_elsewhere),
        count_tokens_routes(current, sessions, body_bytes_max),
        feedback_routes(ledger, feedback, operator, body_bytes_max),
        admin_routes(store, operator, metrics, kind, problem),
        budget_routes(budgets, operator),
        metrics_routes(metrics),
        openapi_routes(__version__),
    ):
        api.include_router(routes)
    return api
