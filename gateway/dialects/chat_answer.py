"""Answers in OpenAI's chat dialect, which is the canonical form: bytes pass through, and a stream's usage gets its cost."""

from __future__ import annotations

from typing import Final

from gateway.chat import DONE, sse, usage_event, with_cost
from gateway.dialects.openai_errors import error_body
from gateway.errors import TurnoutError
from gateway.reply import Closing

KEEP_ALIVE: Final = b": keep-alive\n\n"


class ChatWriter:
    """wants_usage: whether the caller of a stream asked for the usage event."""

    keep_alive = KEEP_ALIVE

    def __init__(self, *, wants_usage: bool = False) -> None:
        self._wants_usage = wants_usage
        self._first = b""  # events, for the id of a usage event of our own

    def whole(self, body: bytes, native: bytes) -> bytes:
        return body

    def events(self, data: bytes) -> bytes:
        self._first = self._first or data
        return data

    def passing(self, native: bytes) -> bytes:
        return native

    def end(self, closing: Closing) -> bytes:
        if not self._wants_usage:
            return DONE
        if closing.event:
            return with_cost(closing.event, closing.usage, closing.cost_usd) + DONE
        return usage_event(self._first, closing.usage, closing.cost_usd) + DONE

    def broken(self, error: TurnoutError) -> bytes:
        return sse(error_body(error))
