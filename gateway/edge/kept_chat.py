"""`/v1/chat/completions` beside its POST: chat completions that a provider keeps (`store: true`). The gateway keeps none."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from gateway.edge.chat_completions import CHAT_PATH
from gateway.edge.kept_by_provider import KeptByProvider
from gateway.errors import ClientError


def kept_chat_routes(kept: KeptByProvider) -> APIRouter:
    """The routes. kept: passes them on, for those who may."""
    router = APIRouter()

    def at_provider(request: Request, *steps: str) -> Response:
        passed = kept.at_provider(request, "chat", "chat", "completions", *steps)
        if passed is None:
            message = "no chat completion is kept here; those that a provider keeps are the operator's, as keys share its account"
            raise ClientError(message, status=404, code="not_found")
        return passed

    @router.get(CHAT_PATH)
    async def completions(request: Request) -> Response:
        """Those that are kept."""
        return at_provider(request)

    @router.get(CHAT_PATH + "/{id_}")
    @router.post(CHAT_PATH + "/{id_}")
    @router.delete(CHAT_PATH + "/{id_}")
    async def completion(request: Request, id_: str) -> Response:
        """One: given, given other metadata, or deleted."""
        return at_provider(request, id_)

    @router.get(CHAT_PATH + "/{id_}/messages")
    async def messages(request: Request, id_: str) -> Response:
        """What one answered."""
        return at_provider(request, id_, "messages")

    return router
