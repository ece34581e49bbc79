"""`POST /v1/chat/completions`: OpenAI's chat dialect, which is the canonical form."""

from __future__ import annotations

from typing import Any, Final

from gateway import chat
from gateway.dialects import openai_errors
from gateway.dialects.base import Writer
from gateway.dialects.chat_answer import ChatWriter
from gateway.edge.dialect import Incoming
from gateway.edge.json_body import read_json
from gateway.errors import ClientError, TurnoutError
from gateway.request import ChatRequest

CHAT_PATH: Final = "/v1/chat/completions"


class ChatDialect:
    """The hot route's."""

    async def read(self, given: Incoming) -> ChatRequest:
        return read_request(given)

    def writer(self, request: ChatRequest) -> Writer:
        return ChatWriter(wants_usage=request.wants_usage)

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return openai_errors.error_body(error, request_id)

    def answered(self, request: ChatRequest, writer: Writer) -> None:
        """Nothing is kept of it here."""


def read_request(given: Incoming) -> ChatRequest:
    """Bytes to a ChatRequest. Raises ClientError that names the field and what is wrong with it."""
    head = read_json(given.body, chat.read_head, "`model` and `messages`")
    if not head.messages:
        raise ClientError("`messages` is empty; give at least one message", code="empty_messages", param="messages")
    if not head.model:
        raise ClientError("`model` is empty; name a model, or `auto`", code="invalid_model", param="model")
    return given.request(given.body, head)
