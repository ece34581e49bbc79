"""The port of providers that count a question's tokens without answering it, and what they answer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from gateway.errors import UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.error_body import UNREADABLE
from gateway.request import Native


@runtime_checkable
class CountsTokens(Protocol):
    """An adapter of one."""

    async def count_tokens(self, asked: Native, model: Model, *, connect_s: float) -> int:
        """How many input tokens the question has for this model. Costs nothing. Raises UpstreamError."""
        ...


class _Counted(msgspec.Struct):
    input_tokens: int


_decode = msgspec.json.Decoder(_Counted).decode


def read_counted(name: str, body: bytes) -> int:
    """The tokens that an answer tells, Anthropic's or OpenAI's. name: the provider's. Raises UpstreamError."""
    try:
        return _decode(body).input_tokens
    except UNREADABLE as exc:
        raise UpstreamError(f"{name}: the answer is no count of tokens: {exc}", fault="malformed") from exc
