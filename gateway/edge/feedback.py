"""`POST /v1/feedback`: what somebody thought of an answer, to the ledger and to the cache."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request

from gateway.cache.feedback import CacheFeedback, Given
from gateway.edge.asgi import read_body
from gateway.edge.auth import Operator, tenant_of
from gateway.errors import ClientError, Refused, StoreUnavailable
from gateway.ledger.base import Entry, Feedback
from gateway.ledger.writer import LedgerWriter

FIELDS: Final = ("request_id", "value", "comment", "tags")
COMMENT_BYTES_MAX: Final = 10_000
TAGS_MAX: Final = 32
TAG_CHARS_MAX: Final = 256
RETRY_AFTER_S: Final = 5.0


def feedback_routes(
    ledger: LedgerWriter, cache: CacheFeedback, operator: Operator, body_bytes_max: int, now: Callable[[], float] = time.time
) -> APIRouter:
    """The route. now: seconds since 1970."""
    router = APIRouter()

    @router.post("/v1/feedback")
    async def feedback(request: Request) -> dict[str, Any]:
        """`{"request_id", "value": -1..1, "comment"?, "tags"?}`. Below zero, a kept answer is evicted with its neighbourhood."""
        headers = dict(request.scope["headers"])
        said = read_feedback(await read_body(headers, request.receive, body_bytes_max), now())
        key = None if operator.is_at_the_door(headers) else tenant_of(request.scope).key
        entry = await ledger.find(said.request_id, key)
        if entry is None or entry.purpose != "request":
            message = f"request '{said.request_id}' is not in the ledger, or is not yours"
            raise ClientError(message, status=404, code="request_not_found", param="request_id")
        ledger.reserve()
        ledger.put(msgspec.structs.replace(said, entry=entry.uid))
        return {"request_id": said.request_id, "value": said.value, "evicted": await _told(cache, entry, said.value)}

    return router


async def _told(cache: CacheFeedback, entry: Entry, value: float) -> int:
    is_repeat = any(earlier.value * value > 0 for earlier in entry.feedback)
    given = Given(entry.request_id, entry.key, entry.team, entry.cache, entry.cache_entry, is_repeat)
    try:
        return await cache.tell(given, value)
    except StoreUnavailable as exc:
        message = f"the feedback is in the ledger, but the cache could not be told: {exc}; send it again"
        raise Refused(message, status=503, code="cache_unavailable", retry_after_s=RETRY_AFTER_S) from exc


def read_feedback(body: bytes, at: float) -> Feedback:
    """Bytes to a Feedback. Raises ClientError that names the field and what is wrong with it."""
    try:
        # Text: of bytes it would guess the encoding. It reads NaN too, so that the error can say which field it is in.
        fields = json.loads(body.decode())
    except (ValueError, RecursionError) as exc:
        raise ClientError(f"the body is not JSON: {exc}", code="invalid_json") from exc
    if not isinstance(fields, dict):
        raise ClientError("the body is not an object; send `request_id` and `value`", code="invalid_json")
    unknown = next((name for name in fields if name not in FIELDS), None)
    if unknown is not None:
        shown = unknown[:100].encode(errors="replace").decode()  # JSON can say half a character here, too
        raise _wrong(shown, f"is not known; known: {', '.join(FIELDS)}", "unknown_field")
    return Feedback(
        request_id=_request_id(fields.get("request_id")),
        at=at,
        value=_value(fields.get("value")),
        comment=_comment(fields.get("comment")),
        tags=_tags(fields.get("tags")),
    )


def _request_id(value: object) -> str:
    if not isinstance(value, str) or not value or not _is_text(value):
        raise _wrong("request_id", "must be the `x-request-id` of an answer")
    return value


def _value(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("value", "must be a number from -1 to 1")
    if not -1 <= value <= 1:
        raise _wrong("value", f"is {str(value)[:40]}; give a number from -1 to 1", "invalid_value")
    return float(value)


def _comment(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _is_text(value):
        raise _wrong("comment", "must be text")
    size = len(value.encode())
    if size > COMMENT_BYTES_MAX:
        raise _wrong("comment", f"has {size} bytes; the limit is {COMMENT_BYTES_MAX}", "invalid_value")
    return value


def _tags(value: object) -> dict[str, str] | list[str]:
    """Names with values, or names alone; kept as they are given."""
    if value is None:
        return []
    if not isinstance(value, dict | list):
        raise _wrong("tags", "must be an object of texts, or a list of texts")
    texts = [*value, *value.values()] if isinstance(value, dict) else value
    if len(value) > TAGS_MAX:
        raise _wrong("tags", f"has {len(value)} tags; the limit is {TAGS_MAX}", "invalid_value")
    if not all(isinstance(text, str) and _is_text(text) and len(text) <= TAG_CHARS_MAX for text in texts):
        raise _wrong("tags", f"must hold texts of at most {TAG_CHARS_MAX} characters")
    return value


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: JSON can also say half a character."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _wrong(field: str, message: str, code: str = "invalid_type") -> ClientError:
    return ClientError(f"`{field}` {message}", code=code, param=field)
