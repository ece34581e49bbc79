"""Some of the API's routes for a test, without the rest of the gateway: asked over ASGI, on the test's own loop."""

from __future__ import annotations

import httpx
from fastapi import APIRouter, FastAPI

from gateway.edge.api import render_errors

BASE_URL = "http://127.0.0.1"


def client_of(*routers: APIRouter) -> httpx.AsyncClient:
    """Use as an async context manager."""
    app = FastAPI()
    render_errors(app)
    for router in routers:
        app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL)
