"""The port: where finished Responses are kept. Each is its owner's alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Kept(msgspec.Struct, frozen=True):
    """One finished Response.

    response: the object as its caller got it, JSON. items: all that it was made from, with what earlier ones gave, a JSON
    array; so to go on from it takes one look-up, however long the conversation is.
    """

    response: bytes
    items: bytes


class ResponseStore(Protocol):
    """owner: of the Responses, a tenant's key; to anybody else they do not exist. Raises StoreUnavailable when it is away."""

    @property
    def problem(self) -> str | None:
        """What is the matter with it, with the remedy; None when all is well."""
        ...

    async def put(self, owner: str, id_: str, kept: Kept, output_ids: Sequence[str], ttl_s: float) -> None:
        """Keep it for so many seconds. output_ids: of the items of its output. One that is too large is not kept."""
        ...

    async def get(self, owner: str, id_: str) -> Kept | None: ...

    async def holder(self, owner: str, output_id: str) -> str | None:
        """The id of the Response that has this item in its output."""
        ...

    async def remove(self, owner: str, id_: str) -> bool:
        """Whether there was one."""
        ...

    async def aclose(self) -> None: ...
