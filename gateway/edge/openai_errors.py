"""Errors in OpenAI's shape, so that its SDKs raise the class that callers expect."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, Refused, TurnoutError, UpstreamError, status_of

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(error: TurnoutError) -> dict[str, Any]:
    """`{"error": {…}}` with message, type, param and a stable code; details where targets failed."""
    status = status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    fields: dict[str, Any] = {"message": error.message, "type": kind, "param": None, "code": _code(error)}
    if isinstance(error, ClientError):
        fields["param"] = error.param
    if isinstance(error, AllTargetsFailed | DeadlineExceeded):
        fields["details"] = error.causes
    return {"error": fields}


def error_response(error: TurnoutError) -> tuple[int, bytes, list[tuple[str, str]]]:
    """(status, body, headers). `retry-after` where waiting helps, in whole seconds."""
    wait_s = error.retry_after_s if isinstance(error, AllTargetsFailed | Refused) else None
    headers = [("retry-after", str(math.ceil(wait_s)))] if wait_s else []
    if status_of(error) == 401:
        headers.append(("www-authenticate", "Bearer"))  # RFC 9110, 15.5.2
    return status_of(error), msgspec.json.encode(error_body(error)), headers


def _code(error: TurnoutError) -> str:
    if isinstance(error, ClientError | Refused | AllTargetsFailed):
        return error.code
    if isinstance(error, DeadlineExceeded):
        return "deadline_exceeded"
    if isinstance(error, UpstreamError):
        return f"upstream_{error.fault}"
    return "internal_error"
