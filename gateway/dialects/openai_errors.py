"""Errors in OpenAI's shape, so that its SDKs raise the class that callers expect."""

from __future__ import annotations

from typing import Any

from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, TurnoutError, code_of, status_of

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(error: TurnoutError, request_id: str = "") -> dict[str, Any]:
    """`{"error": {…}}` with message, type, param and a stable code; details where targets failed."""
    status = status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    fields: dict[str, Any] = {"message": error.message, "type": kind, "param": None, "code": code_of(error)}
    if isinstance(error, ClientError):
        fields["param"] = error.param
    if isinstance(error, AllTargetsFailed | DeadlineExceeded):
        fields["details"] = error.causes
    return {"error": fields}
