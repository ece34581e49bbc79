"""What an error answer's body says, whichever provider's shape it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

# Of bytes that are no JSON to us: cut or broken, in another encoding than UTF-8, nested without end.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
TEXT_CHARS_MAX = 500  # of a body that is no JSON
_SECONDS = re.compile(r"^([0-9]+(?:\.[0-9]+)?)s$")


def error_fields(body: bytes) -> tuple[str, str | None, str | None]:
    """(message, code, param) out of the shapes that providers use; ("", None, None) if there is nothing to read."""
    try:
        fields: Any = msgspec.json.decode(body)
    except UNREADABLE:
        text = body[:TEXT_CHARS_MAX].decode("utf-8", "replace").strip()
        return ("" if text.startswith("<") else text), None, None
    if isinstance(fields, list) and fields:
        fields = fields[0]  # Google's OpenAI-compatible servers send a list of one
    error = fields.get("error") or fields if isinstance(fields, dict) else fields
    if isinstance(error, str):
        kind = fields.get("error_type") if isinstance(fields, dict) else None  # Text Generation Inference's
        return error, kind if isinstance(kind, str) else None, None
    if not isinstance(error, dict):
        return "", None, None
    message = error.get("message") or error.get("detail") or ""
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    param = error.get("param")
    return (
        (message if isinstance(message, str) else msgspec.json.encode(message).decode()) + _upstreams_own(error),
        code if isinstance(code, str) else None,
        param if isinstance(param, str) else None,
    )


def _upstreams_own(error: dict[str, Any]) -> str:
    """What the provider behind OpenRouter said, which itself says "Provider returned error"."""
    metadata = error.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(raw := metadata.get("raw"), str) or not raw:
        return ""
    said = error_fields(raw.encode("utf-8", "replace"))[0] or raw[:TEXT_CHARS_MAX]
    return f" ({metadata.get('provider_name', 'upstream')}: {said})"


def retry_delay_s(body: bytes) -> float | None:
    """Seconds to wait by the body itself, where Google says it (google.rpc.RetryInfo); None if it does not."""
    if b"retryDelay" not in body:
        return None
    try:
        fields: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    delays = [found for text in _delays(fields) if (found := _SECONDS.match(text))]
    return float(delays[0][1]) if delays else None


def _delays(fields: Any) -> Iterator[str]:
    error = fields[0] if isinstance(fields, list) and fields else fields
    error = error.get("error") if isinstance(error, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            yield delay
