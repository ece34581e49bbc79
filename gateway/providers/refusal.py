"""From a provider's error answer to an UpstreamError: what it means for retry, fallback and the caller."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import UpstreamError

RETRYABLE = frozenset({408, 409, 425, 429})
# OpenAI's words for a parameter that this model does not take; another may.
MODELS_OWN = frozenset({"unsupported_value", "unsupported_parameter"})
CALLERS = frozenset({400, 413, 415, 422})
CONTEXT_LENGTH = "context_length_exceeded"
_CONTEXT = re.compile(
    r"context.{0,20}(length|size|window)|maximum context|prompt is too long|too many (input )?tokens|exceed.{0,20}context",
    re.IGNORECASE,
)


def refusal(name: str, status: int, headers: Mapping[str, str], body: bytes, secret: str | None = None) -> UpstreamError:
    """What a status other than 200 means. name: the provider's. secret: taken out of the message if it is in it.

    A prompt that is too long is nobody's fault yet: another model may hold it.
    """
    message, code, param = error_fields(body)
    message = message or f"status {status} without a message"
    if secret:
        message = message.replace(secret, "***")
    is_too_long = status in (400, 413) and (
        code in (CONTEXT_LENGTH, "exceed_context_size_error") or bool(_CONTEXT.search(message))
    )
    return UpstreamError(
        f"{name}: {message}",
        fault="status",
        status=status,
        retry_after_s=retry_after_s(headers),
        is_retryable=(status in RETRYABLE or status >= 500) and code != "insufficient_quota",
        is_callers_fault=status in CALLERS and not is_too_long and code not in MODELS_OWN,
        code=CONTEXT_LENGTH if is_too_long else code,
        param=param,
    )


def reported(name: str, error: bytes, secret: str | None = None) -> UpstreamError:
    """An error that came as a stream event, or as the body of a 200."""
    message, code, _ = error_fields(b'{"error":' + error + b"}")
    message = message or "an error without a message"
    if secret:
        message = message.replace(secret, "***")
    is_retryable = code not in ("invalid_request_error", "authentication_error", "permission_error", "not_found_error")
    return UpstreamError(f"{name}: {message}", fault="reported", code=code, is_retryable=is_retryable)


def error_fields(body: bytes) -> tuple[str, str | None, str | None]:
    """(message, code, param) out of the shapes that providers use; ("", None, None) if there is nothing to read."""
    try:
        fields: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        text = body[:500].decode("utf-8", "replace").strip()
        return ("" if text.startswith("<") else text), None, None
    error = fields.get("error", fields) if isinstance(fields, dict) else fields
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
    millis = headers.get("retry-after-ms")
    if millis is not None:
        try:
            return max(float(millis) / 1000, 0.0)
        except ValueError:
            pass  # fall through to the standard header
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(when.timestamp() - time.time(), 0.0)
