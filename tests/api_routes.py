"""Some of the API's routes for a test, without the rest of the gateway: asked over ASGI, on the test's own loop."""

from __future__ import annotations

import httpx
from fastapi import APIRouter, FastAPI

from gateway.edge.api import render_errors
from gateway.edge.asgi import Receive, Scope, Send
from gateway.edge.auth import Entrance, Operator
from gateway.keys.directory import Directory

BASE_URL = "http://127.0.0.1"


def client_of(*routers: APIRouter) -> httpx.AsyncClient:
    """Use as an async context manager. Anybody is let in, as long as there is no virtual key."""
    entrance = Entrance(Directory(), Operator(None), is_insecure=True)
    app = FastAPI()
    render_errors(app)
    for router in routers:
        app.include_router(router)

    async def entered(scope: Scope, receive: Receive, send: Send) -> None:
        entrance.admit(scope, dict(scope["headers"]))
        await app(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(entered), base_url=BASE_URL)
