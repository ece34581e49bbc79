"""`POST /v1/embeddings` in the OpenAI dialect: bytes to an EmbeddingsRequest, an answer to bytes."""

from __future__ import annotations

from typing import Any, Final

from gateway.dialects import openai_errors
from gateway.dialects.base import Writer
from gateway.dialects.chat_answer import ChatWriter
from gateway.edge.dialect import Incoming
from gateway.edge.json_body import read_json
from gateway.embeddings import DIALECT, EmbeddingsRequest, chat_head, read_head
from gateway.errors import TurnoutError
from gateway.offload import offloaded

EMBEDDINGS_PATH: Final = "/v1/embeddings"


class EmbeddingsDialect:
    """Texts are embedded by the thousand, so a long body is read off the loop."""

    async def read(self, given: Incoming) -> EmbeddingsRequest:
        return await offloaded(lambda body: read_request(given), given.body)

    def writer(self, request: EmbeddingsRequest) -> Writer:
        return ChatWriter()  # vectors go out as they came

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return openai_errors.error_body(error, request_id)

    def answered(self, request: EmbeddingsRequest, writer: Writer) -> None:
        """Nothing is kept of it here."""


def read_request(given: Incoming) -> EmbeddingsRequest:
    """Bytes to an EmbeddingsRequest. Raises ClientError that names the field and what is wrong with it."""
    head, items = read_json(given.body, read_head, "`model` and `input`")
    return given.request_as(EmbeddingsRequest, given.body, chat_head(head), DIALECT, None, items=items)
