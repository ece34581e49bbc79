"""`POST /v1/messages`: Anthropic's Messages dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway import chat
from gateway.dialects import anthropic_errors
from gateway.dialects.base import Writer
from gateway.dialects.fields import dotted, wrong_field
from gateway.dialects.messages_mending import mended
from gateway.dialects.messages_request import Canonical, canonical
from gateway.dialects.messages_writer import MessagesWriter
from gateway.edge.dialect import Incoming
from gateway.edge.json_body import read_json
from gateway.errors import ClientError, TurnoutError
from gateway.offload import offloaded
from gateway.request import ChatRequest, DialectName, Native

MESSAGES_PATH: Final = "/v1/messages"
DIALECT: Final[DialectName] = "anthropic_messages"
OF_THE_DIALECT: Final = ("anthropic-version", "anthropic-beta")


class MessagesDialect:
    """The hot route's."""

    async def read(self, given: Incoming) -> ChatRequest:
        return await read_messages(given, canonical, "`model`, `max_tokens` and `messages`")

    def writer(self, request: ChatRequest) -> Writer:
        return MessagesWriter(request.request_id, request.tokens_in)

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return anthropic_errors.error_body(error, request_id)

    def answered(self, request: ChatRequest, writer: Writer) -> None:
        """Nothing is kept of it here."""


async def read_messages(given: Incoming, read: Callable[[bytes], Canonical], needs: str) -> ChatRequest:
    """Bytes to a ChatRequest. needs: what the body must have, for people. Raises ClientError that names the field."""

    def work(body: bytes) -> ChatRequest:
        found = _read(body, read, needs)
        said = mended(body) if found.is_mended else body
        native = Native(DIALECT, said, found.only, _headers(given.headers), given.query)
        return given.request(found.body, chat.read_head(found.body), DIALECT, native)

    return await offloaded(work, given.body)


def _read(body: bytes, read: Callable[[bytes], Canonical], needs: str) -> Canonical:
    try:
        return read_json(body, read, needs)
    except ClientError as exc:
        if exc.param is None or "[" not in exc.param:
            raise
        said = exc.message.removeprefix(f"`{exc.param}`: ").removeprefix(f"`{exc.param}` ")
        raise wrong_field(dotted(exc.param), said) from exc


def _headers(headers: dict[bytes, bytes]) -> dict[str, str]:
    found = {name: headers.get(name.encode(), b"").decode("latin-1") for name in OF_THE_DIALECT}
    return {name: value for name, value in found.items() if value}
