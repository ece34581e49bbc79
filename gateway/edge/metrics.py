"""`GET /metrics`: what Prometheus reads."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from gateway.exposition import exposition
from gateway.metrics import Metrics


def metrics_routes(metrics: Metrics) -> APIRouter:
    """The route. It tells counts by route only, so it needs no key."""
    router = APIRouter()

    @router.get("/metrics")
    async def read(request: Request) -> Response:
        """Text exposition, or OpenMetrics where the scraper asks for it."""
        body, content_type = exposition(metrics, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return router
