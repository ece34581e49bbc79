"""`POST /v1/responses`: OpenAI's Responses dialect."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import msgspec

from gateway import chat
from gateway.dialects import openai_errors
from gateway.dialects.base import Writer
from gateway.dialects.responses_answer import ID_PREFIX, ResponsesWriter
from gateway.dialects.responses_fields import Json, ResponsesBody
from gateway.dialects.responses_request import (
    as_object,
    canonical_body,
    given_items,
    lacks_input,
    native_body,
    read_body,
    wants_logprobs,
)
from gateway.edge.dialect import Incoming
from gateway.edge.json_body import read_json
from gateway.errors import ClientError, TurnoutError
from gateway.offload import INLINE_BYTES_MAX, offloaded
from gateway.request import ChatRequest, DialectName, Native
from gateway.responses.base import Kept
from gateway.responses.conversations import Conversations, input_of, listed, output_of
from gateway.runtime import CurrentRuntime
from gateway.tenant import Tenant

RESPONSES_PATH: Final = "/v1/responses"
DIALECT: Final[DialectName] = "openai_responses"
# What only the provider knows of a conversation; without it there is nothing whole to keep.
ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
REFERENCES_MAX: Final = 1000  # different ones in a request: each is looked up

_decode = msgspec.json.Decoder().decode


class ResponsesRequest(ChatRequest, frozen=True, dict=True):
    """given: the body's fields. items: the whole conversation as it is kept, b"" if it is not. owner: whose the answer is.

    replaced_id: the previous_response_id that the conversation has taken the place of.
    """

    given: Json = msgspec.field(default_factory=dict)
    has_logprobs: bool = False
    items: bytes = b""
    owner: str = ""
    replaced_id: str | None = None


class ResponsesDialect:
    """conversations: what callers go on from. current: says whether some provider may know what is not kept here.

    body_bytes_max: of a request, and of the conversation that it goes on with.
    """

    def __init__(self, conversations: Conversations, current: CurrentRuntime, body_bytes_max: int) -> None:
        self._conversations, self._current, self._body_bytes_max = conversations, current, body_bytes_max

    async def read(self, given: Incoming) -> ResponsesRequest:
        fields, body = await offloaded(_read, given.body)
        if lacks_input(body, fields) and not self._is_spoken:
            raise ClientError("`input` is missing", code="invalid_type", param="input")
        before = await self._before(body, given.tenant)
        items, added_bytes = await self._resolved(given_items(body), given.tenant)
        size_bytes = len(given.body) + added_bytes + (0 if before is None else len(before.items) + len(before.response))
        if size_bytes > self._body_bytes_max:
            raise _too_large(size_bytes, self._body_bytes_max)
        if not given.tenant.is_guest:
            _check_own(fields, items)
        is_kept = body.store is not False and self._conversations.store is not None

        def made() -> ResponsesRequest:
            return _request(given, fields, body, before, items, is_kept=is_kept)

        return made() if size_bytes <= INLINE_BYTES_MAX else await asyncio.to_thread(made)

    def writer(self, request: ResponsesRequest) -> Writer:
        return ResponsesWriter(request.given, has_logprobs=request.has_logprobs, replaced_id=request.replaced_id)

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return openai_errors.error_body(error, request_id)

    async def answered(self, request: ResponsesRequest, writer: Writer) -> None:
        """The answer is kept before its last bytes go out, so that whoever has read it can go on from it."""
        assert isinstance(writer, ResponsesWriter)
        if request.items and writer.response:
            await self._conversations.keep(request.owner, writer.response, request.items)

    @property
    def _is_spoken(self) -> bool:
        """Whether some provider speaks Responses itself."""
        return any(DIALECT in target.provider.dialects for target in self._current.now.targets.values())

    async def _before(self, body: ResponsesBody, tenant: Tenant) -> Kept | None:
        """What the request goes on from; None where that is the provider's, or nothing. Raises ClientError, Refused."""
        id_ = body.previous_response_id
        if id_ is None:
            return None
        kept = await self._conversations.find(tenant.key, id_)
        if kept is not None:
            return kept
        if not id_.startswith(ID_PREFIX) and self._is_spoken and tenant.is_guest:
            return None
        message = f"{missing(id_, self._conversations)}; send the whole conversation as `input`"
        raise ClientError(message, status=404, code="previous_response_not_found", param="previous_response_id")

    async def _resolved(self, items: list[Json], tenant: Tenant) -> tuple[list[Json], int]:
        """The items, each reference replaced by what it stands for if that was kept, and how many bytes that comes to.

        A reference has few bytes and may stand for very many: who sends it again and again asks for more than a body may have.
        Raises ClientError, Refused.
        """
        times = Counter(id_ for item in items if (id_ := _referred(item)) is not None)
        if not times:
            return items, 0
        if len(times) > REFERENCES_MAX:
            message = f"`input` refers to {len(times)} items, the limit is {REFERENCES_MAX}; send the items themselves"
            raise ClientError(message, code="invalid_value", param="input")
        found = await self._conversations.items(tenant.key, times)
        size_bytes = sum(len(msgspec.json.encode(item)) * times[id_] for id_, item in found.items())
        return [item if (id_ := _referred(item)) is None else found.get(id_, item) for item in items], size_bytes


def _referred(item: Json) -> str | None:
    """The id of the item that this one stands for; None for one that says something itself."""
    id_ = item.get("id")
    is_reference = item.get("type") == "item_reference" or ("type" not in item and "role" not in item)
    return id_ if is_reference and isinstance(id_, str) else None


def _check_own(fields: Json, items: list[Json]) -> None:
    """One account of the provider's stands behind all virtual keys, and answers whoever knows an id. Raises ClientError."""
    named = "conversation" if fields.get("conversation") is not None else None
    for n, item in enumerate(items):
        if _referred(item) is not None:
            named = f"input[{n}].id"
    if named is not None:
        message = f"`{named}` is not kept here, and a provider that keeps it cannot tell whose it is; send the items themselves"
        raise ClientError(message, status=404, code="item_not_found", param=named)


def _too_large(size_bytes: int, bytes_max: int) -> ClientError:
    message = (
        f"the conversation has {size_bytes} bytes with what it goes on from, the limit is {bytes_max}; begin a new one with "
        "what still matters of it, or raise TURNOUT_MAX_BODY_MB"
    )
    return ClientError(message, status=413, code="request_too_large")


def _read(raw: bytes) -> tuple[Json, ResponsesBody]:
    """All of the body's fields, and those that have a meaning here. Raises ClientError."""
    fields = as_object(read_json(raw, _decode, "`model` and `input`"))
    return fields, read_body(fields)


def _request(
    given: Incoming, fields: Json, body: ResponsesBody, before: Kept | None, items: list[Json], *, is_kept: bool
) -> ResponsesRequest:
    """before: what it goes on from. items: the input, its references resolved. is_kept: if it is whole. Raises ClientError."""
    history = [] if before is None else input_of(before) + output_of(before)
    placed = [(f"previous_response_id.items[{i}]", item) for i, item in enumerate(history)]
    placed += [(f"input[{i}]", item) for i, item in enumerate(items)]
    canonical, only = canonical_body(body, fields, placed)
    if body.previous_response_id is not None and before is None:
        only = (*only, "previous_response_id")
    is_resolved = before is not None or items != given_items(body)
    native = Native(DIALECT, native_body(given.body, items, history, is_resolved=is_resolved), only)
    head = chat.read_head(canonical)
    if not head.messages and not only:
        raise ClientError("`input` says nothing; give a message", code="empty_input", param="input")
    is_whole = not any(name in only for name in ELSEWHERE) and not any(item.get("type") == "item_reference" for item in items)
    return given.request_as(
        ResponsesRequest,
        canonical,
        head,
        DIALECT,
        native,
        given=fields,
        has_logprobs=wants_logprobs(body),
        items=msgspec.json.encode([listed(item) for _, item in placed]) if is_kept and is_whole else b"",
        owner=given.tenant.key,
        replaced_id=None if before is None else body.previous_response_id,
    )


def missing(id_: str, conversations: Conversations) -> str:
    """Why a Response is not there."""
    if conversations.store is None:
        return f"response '{id_[:100]}' is not kept: this gateway keeps none (`responses:` in its policy says whether it does)"
    return f"response '{id_[:100]}' is not kept here: its time is over, it had `store: false`, or it is not yours"
