"""`POST /v1/completions`: OpenAI's older dialect, a text that goes on from a prompt."""

from __future__ import annotations

from typing import Any, Final

from gateway.chat import read_head
from gateway.dialects import completions_request, openai_errors
from gateway.dialects.base import Writer
from gateway.dialects.completions_answer import CompletionWriter
from gateway.edge.dialect import Incoming
from gateway.edge.json_body import read_json
from gateway.errors import ClientError, TurnoutError
from gateway.request import ChatRequest, DialectName, Native

COMPLETIONS_PATH: Final = "/v1/completions"
DIALECT: Final[DialectName] = "openai_completions"


class CompletionsDialect:
    """As the chat dialect, but for requests and answers."""

    async def read(self, given: Incoming) -> ChatRequest:
        read = read_json(given.body, completions_request.read_body, "`model` and `prompt`")
        if not read.model:
            raise ClientError("`model` is empty; name a model, or `auto`", code="invalid_model", param="model")
        body, only = completions_request.canonical_body(read, given.body)
        return given.request(body, read_json(body, read_head, "`model` and `prompt`"), DIALECT, Native(DIALECT, given.body, only))

    def writer(self, request: ChatRequest) -> Writer:
        return CompletionWriter(wants_usage=request.wants_usage)

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return openai_errors.error_body(error, request_id)

    def answered(self, request: ChatRequest, writer: Writer) -> None:
        """Nothing is kept of it here."""
