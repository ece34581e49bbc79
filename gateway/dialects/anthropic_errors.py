"""Errors in Anthropic's shape, so that its SDKs raise the class that callers expect.

Types by status: Anthropic, "API errors" (the table of HTTP errors).
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import AllTargetsFailed, ClientError, DeadlineExceeded, TurnoutError, code_of, status_of

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


# A conversation that Anthropic keeps, of which the request has the new turns only.
THREAD: Final = "thread"
# On this the SDKs send the whole conversation, without a thread.
_NO_THREADS: Final = {"error_code": "thread_unsupported_request", "unsupported": [THREAD]}


def error_body(error: TurnoutError, request_id: str = "") -> dict[str, Any]:
    """`{"type": "error", "error": {…}, "request_id"}`, with a stable code and whatever else OpenAI's shape has of ours."""
    status = status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    fields: dict[str, Any] = {"type": kind, "message": error.message, "code": code_of(error)}
    if isinstance(error, ClientError) and error.param is not None:
        fields["param"] = error.param
        if error.param == THREAD:
            fields["details"] = _NO_THREADS
    if isinstance(error, AllTargetsFailed | DeadlineExceeded):
        fields["details"] = error.causes
    return {"type": "error", "error": fields, "request_id": request_id or None}
