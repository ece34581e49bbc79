"""An error as an HTTP response: status and headers, which are the same in every dialect, and the dialect's body."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.dialects import anthropic_errors, openai_errors
from gateway.errors import AllTargetsFailed, Refused, TurnoutError, status_of

ErrorBody = Callable[[TurnoutError, str], dict[str, Any]]
"""(error, request id) to the dialect's own words for it."""


def speaks_anthropic(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether whoever asks there is a client of Anthropic's: they name the version of its API, at every path."""
    return path.startswith("/v1/messages") or b"anthropic-version" in headers


def error_body_at(path: str, headers: Mapping[bytes, bytes]) -> ErrorBody:
    """The words of whoever asks there."""
    return anthropic_errors.error_body if speaks_anthropic(path, headers) else openai_errors.error_body


def error_response(
    error: TurnoutError, request_id: str = "", body_of: ErrorBody = openai_errors.error_body
) -> tuple[int, bytes, list[tuple[str, str]]]:
    """(status, body, headers). `retry-after` where waiting helps, in whole seconds."""
    wait_s = error.retry_after_s if isinstance(error, AllTargetsFailed | Refused) else None
    headers = [("retry-after", str(math.ceil(wait_s)))] if wait_s else []
    if isinstance(error, AllTargetsFailed) and error.is_lasting:
        headers.append(("x-should-retry", "false"))  # OpenAI's and Anthropic's SDKs heed it
    if status_of(error) == 401:
        headers.append(("www-authenticate", "Bearer"))  # RFC 9110, 15.5.2
    return status_of(error), msgspec.json.encode(body_of(error, request_id)), headers
