"""From a provider's error answer to an UpstreamError: what it means for retry, fallback and the caller."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import CONTEXT_LENGTH, REQUESTS_OWN, UpstreamError

RETRYABLE = frozenset({408, 409, 425, 429})
CALLERS = frozenset({400, 413, 415, 422})
# Of bytes that are no JSON to us: cut or broken, in another encoding than UTF-8, nested without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_CONTEXT = re.compile(
    r"context.{0,20}(length|size|window)|maximum context|prompt is too long|too many (input )?tokens|exceed.{0,20}context",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\(byte (\d+)\)$")  # in msgspec's messages; a number that ends with the body is not called truncated
# What llama.cpp says, with status 500, of a text to embed: nothing is wrong with the server.
_BATCH = re.compile(r"input \(\d+ tokens\) is too large to process")
# What it says, with status 500, of messages and tools that it or the model's chat template cannot take.
_TEMPLATE = re.compile(r"failed to parse (tools|messages)|jinja exception|while executing \w+ at line", re.IGNORECASE)


def refusal(name: str, status: int, headers: Mapping[str, str], body: bytes, secret: str | None = None) -> UpstreamError:
    """What a status other than 200 means. name: the provider's. secret: taken out of the message if it is in it.

    A prompt that is too long is nobody's fault yet: another model may hold it. So are messages that the model's chat template
    cannot take.
    """
    if secret:
        body = body.replace(secret.encode(), b"***")  # before the text is cut short, which may cut the secret
    message, code, param = error_fields(body)
    message = message or f"status {status} without a message"
    is_too_long = _is_too_long(status, code, message)
    is_unsupported = status == 500 and bool(_TEMPLATE.search(message))
    is_lasting = is_too_long or is_unsupported or code == "insufficient_quota"
    return UpstreamError(
        f"{name}: {message}",
        fault="unsupported" if is_unsupported else "status",
        status=status,
        retry_after_s=retry_after_s(headers),
        is_retryable=(status in RETRYABLE or status >= 500) and not is_lasting,
        is_callers_fault=status in CALLERS and not is_too_long and code not in REQUESTS_OWN,
        code=CONTEXT_LENGTH if is_too_long else code,
        param=param,
    )


def _is_too_long(status: int, code: str | None, message: str) -> bool:
    if status == 500:
        return bool(_BATCH.search(message))
    return status in (400, 413) and (code in (CONTEXT_LENGTH, "exceed_context_size_error") or bool(_CONTEXT.search(message)))


def reported(name: str, error: bytes, secret: str | None = None) -> UpstreamError:
    """An error that came as a stream event, or as the body of a 200. error: its JSON, or plain text."""
    if secret:
        error = error.replace(secret.encode(), b"***")
    message, code, _ = error_fields(error)
    message = message or "an error without a message"
    is_retryable = code not in ("invalid_request_error", "authentication_error", "permission_error", "not_found_error")
    return UpstreamError(f"{name}: {message}", fault="reported", code=code, is_retryable=is_retryable)


def no_page(name: str, headers: Mapping[str, str]) -> None:
    """Raises UpstreamError for a web page under status 200, which is what some proxies say when they cannot reach the server."""
    if "html" in headers.get("content-type", "").lower():
        raise UpstreamError(f"{name}: answered with a web page; is base_url right?", fault="malformed")


def unreadable(name: str, what: str, body: bytes, exc: Exception) -> UpstreamError:
    """Of a body that is no JSON. what: what it should be. exc: of UNREADABLE.

    JSON that stops in the middle was cut, however well the body ended.
    """
    place = _PLACE.search(str(exc))
    if "truncated" in str(exc) or (place is not None and int(place[1]) >= len(body)):
        return UpstreamError(f"{name}: the answer ended in the middle of {what}", fault="cut", is_retryable=True)
    return UpstreamError(f"{name}: the answer is not {what}: {exc}", fault="malformed")


def error_fields(body: bytes) -> tuple[str, str | None, str | None]:
    """(message, code, param) out of the shapes that providers use; ("", None, None) if there is nothing to read."""
    try:
        fields: Any = msgspec.json.decode(body)
    except UNREADABLE:
        text = body[:500].decode("utf-8", "replace").strip()
        return ("" if text.startswith("<") else text), None, None
    if isinstance(fields, list) and fields:
        fields = fields[0]  # Google's OpenAI-compatible servers send a list of one
    error = fields.get("error") or fields if isinstance(fields, dict) else fields
    if isinstance(error, str):
        return error, None, None
    if not isinstance(error, dict):
        return "", None, None
    message = error.get("message") or error.get("detail") or ""
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    param = error.get("param")
    return (
        message if isinstance(message, str) else msgspec.json.encode(message).decode(),
        code if isinstance(code, str) else None,
        param if isinstance(param, str) else None,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from retry-after-ms, or retry-after in either of its forms (RFC 9110, 10.2.3)."""
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after")
    wait_s = _number(value)
    if value is None or wait_s is not None:
        return wait_s
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(when.timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    """Not below 0; None for what is no number, "nan" and "inf" included."""
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None
