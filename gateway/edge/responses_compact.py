"""`POST /v1/responses/compact`: a conversation made shorter by a model, in a form that only its provider reads.

A call like any other, routed, limited and booked; but no model answers it that is not asked in Responses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from gateway.dialects.base import Writer
from gateway.edge.dialect import Incoming
from gateway.edge.responses import RESPONSES_PATH, ResponsesDialect, ResponsesRequest
from gateway.errors import ClientError, TurnoutError

ACTION: Final = "/compact"
COMPACT_PATH: Final = RESPONSES_PATH + ACTION


class CompactDialect:
    """responses: reads the conversation, and what it goes on from."""

    def __init__(self, responses: ResponsesDialect) -> None:
        self._responses = responses

    async def read(self, given: Incoming) -> ResponsesRequest:
        asked = await self._responses.read(given)
        if asked.is_stream:
            raise ClientError("`stream`: a compacted conversation is given whole", code="unsupported_parameter", param="stream")
        assert asked.native is not None
        native = replace(asked.native, action=ACTION, only=(ACTION.strip("/"), *asked.native.only))
        return msgspec.structs.replace(
            asked, native=native, items=b"", replaced_id=None
        )  # it is no answer that could be gone on from by its id

    def writer(self, request: ResponsesRequest) -> Writer:
        return self._responses.writer(request)

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return self._responses.error_body(error, request_id)

    def answered(self, request: ResponsesRequest, writer: Writer) -> None:
        """Nothing is kept of it here."""
