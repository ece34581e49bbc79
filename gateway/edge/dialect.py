"""The port of a client dialect: from a POST to a request of ours, and the words for what comes back."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import msgspec

from gateway.chat import ChatHead, check_model
from gateway.dialects.base import Writer
from gateway.edge.request_headers import OURS, read_headers
from gateway.errors import TurnoutError
from gateway.request import CHAT, ChatRequest, DialectName, Native
from gateway.tenant import Tenant

R = TypeVar("R", bound=ChatRequest)


class Incoming(msgspec.Struct, frozen=True):
    """A POST as it came. headers: names in lower case. query: without its question mark."""

    id: str
    body: bytes
    headers: dict[bytes, bytes]
    query: bytes
    tenant: Tenant

    def request(self, body: bytes, head: ChatHead, dialect: DialectName = CHAT, native: Native | None = None) -> ChatRequest:
        """The request that this is. body, head: of it in the canonical form. Raises ClientError for a header that is wrong."""
        if dialect == CHAT and OURS.isdisjoint(self.headers) and not self.tenant.tags:
            check_model(head.model)
            return ChatRequest(self.id, body, head)  # nothing is said besides, as of most requests
        return self.request_as(ChatRequest, body, head, dialect, native)

    def request_as(
        self, kind: type[R], body: bytes, head: ChatHead, dialect: DialectName, native: Native | None, **more: Any
    ) -> R:
        """The same as a dialect's own class of requests. more: the fields that only that one has."""
        check_model(head.model)
        given, tags = read_headers(self.headers), self.tenant.tags
        return kind(
            request_id=self.id,
            body=body,
            head=head,
            dialect=dialect,
            native=native,
            forced_route=given.route,
            tags={**tags, **given.tags} if tags else given.tags,
            session=given.session,
            cache=given.cache,
            cache_ttl_s=given.cache_ttl_s,
            is_debug=given.is_debug,
            **more,
        )


class Dialect(Protocol[R]):
    """What callers of one endpoint speak."""

    async def read(self, given: Incoming) -> R:
        """The request. Raises ClientError that names the field and what is wrong with it, or Refused."""
        ...

    def writer(self, request: R) -> Writer:
        """Says one answer to this request."""
        ...

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        """An error in the dialect's shape; status and headers are the same in all of them."""
        ...

    def answered(self, request: R, writer: Writer) -> Awaitable[None] | None:
        """The answer is complete; its last bytes go out when what this returns, if it is something, has been awaited."""
        ...
