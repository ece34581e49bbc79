"""The headers that callers may set, in every dialect: ids, route, tags, session, cache, debug."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from gateway.errors import ClientError
from gateway.ids import new_uid
from gateway.policy.grammar import seconds
from gateway.request import CacheDirective

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
TAG: Final = re.compile(r"\s*([A-Za-z0-9_.-]{1,64})\s*=\s*([^,=]{1,256}?)\s*")
TAGS_MAX = 32
DIRECTIVES = ("bypass", "refresh", "only")
OURS: Final = frozenset(
    {
        b"x-turnout-cache",
        b"x-turnout-cache-ttl",
        b"x-turnout-debug",
        b"x-turnout-route",
        b"x-turnout-session",
        b"x-turnout-tags",
    }
)


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """What the headers say."""

    route: str | None
    tags: Mapping[str, str]
    session: str | None
    cache: CacheDirective | None
    cache_ttl_s: float | None
    is_debug: bool


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's id, else one of ours."""
    return given_id(headers) or new_request_id()


def given_id(headers: dict[bytes, bytes]) -> str | None:
    """The caller's id, if it is fit for logs and headers."""
    given = headers.get(b"x-request-id")
    return said if given is not None and _ID.fullmatch(said := given.decode("latin-1")) else None


def new_request_id() -> str:
    """One of ours."""
    return f"req_{new_uid()}"


NOTHING_SAID: Final = RequestHeaders(None, {}, None, None, None, is_debug=False)


def read_headers(headers: dict[bytes, bytes]) -> RequestHeaders:
    """Raises ClientError that names the header, its value and what it may be."""
    if OURS.isdisjoint(headers):
        return NOTHING_SAID
    cache = _text(headers, b"x-turnout-cache")
    if cache is not None and cache not in DIRECTIVES:
        raise ClientError(f"x-turnout-cache: {cache!r} is not known; use one of {', '.join(DIRECTIVES)}", code="invalid_header")
    return RequestHeaders(
        route=_text(headers, b"x-turnout-route"),
        tags=_tags(_text(headers, b"x-turnout-tags") or ""),
        session=_text(headers, b"x-turnout-session"),
        cache=cast(CacheDirective | None, cache),
        cache_ttl_s=_ttl(_text(headers, b"x-turnout-cache-ttl")),
        is_debug=_text(headers, b"x-turnout-debug") == "1",
    )


def _ttl(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        ttl_s = seconds(text)
    except ValueError as exc:
        raise ClientError(f"x-turnout-cache-ttl: {exc}", code="invalid_header") from exc
    if ttl_s <= 0:
        message = f"x-turnout-cache-ttl: {text!r} is no time; give more, or x-turnout-cache: bypass"
        raise ClientError(message, code="invalid_header")
    return ttl_s


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("utf-8", "replace").strip() or None if value is not None else None


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in text.split(",") if text else ():
        found = TAG.fullmatch(part)
        if found is None or len(tags) >= TAGS_MAX:
            message = f"x-turnout-tags: cannot read {part.strip()!r}; write NAME=VALUE,NAME=VALUE, at most {TAGS_MAX}"
            raise ClientError(message, code="invalid_header")
        tags[found[1]] = found[2]
    return tags
