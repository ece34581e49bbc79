"""From what litellm raises to an UpstreamError. Reads exceptions by what they carry; imports no SDK.

litellm gives everything a status, also what never was an answer: a refused connection is its status 500, an
unknown parameter its 400, and an "overloaded" of any status its 500. So the chain of causes is asked first, and the
status only where an answer came: that of the cause nearest to the wire.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import CONTEXT_LENGTH, UpstreamError
from gateway.providers.error_body import error_fields, retry_delay_s
from gateway.providers.refusal import RETRYABLE, refusal
from gateway.providers.secrets import redacted

_PREFIX = re.compile(r"^(litellm\.\w+: |\w*(Error|Exception)(: | - | (?=\w+Error - )))+")
_SUFFIX = re.compile(r"(\. Handle with `litellm\.\w+`\.?|\s*Traceback \(most recent call last\).*)$", re.DOTALL)
_TIMEOUTS = frozenset({"Timeout", "TimeoutError", "APITimeoutError", "TimeoutException", "ConnectTimeout", "ReadTimeout"})
_CONNECTS = frozenset({"ConnectError", "ServerDisconnectedError", "ClientConnectorError", "ConnectionRefusedError", "gaierror"})
_CUTS = frozenset({"ReadError", "RemoteProtocolError", "WriteError", "ClientPayloadError", "ConnectionResetError"})
_CONNECTS_WIDE = _CONNECTS | _CUTS | {"ClientConnectionError", "EndpointConnectionError", "BadStatusLine", "BadHttpMessage"}
_TLS = frozenset({"SSLError", "SSLCertVerificationError", "ClientConnectorSSLError", "ClientConnectorCertificateError"})
# A body had begun, whatever litellm was waiting for.
_BODY_CUTS = frozenset({"ClientPayloadError", "ContentLengthError", "TransferEncodingError"})
_MALFORMED = frozenset({"JSONDecodeError", "ValidationError"})
_NO_ANSWER = "Empty or invalid response from LLM endpoint"  # of a 200 with a web page, or events nobody asked for
# litellm's own refusals, of class BadRequestError though the caller's request may be fine elsewhere.
_UNSUPPORTED = frozenset({"UnsupportedParamsError", "LiteLLMUnknownProvider"})
_MESSAGE_CHARS_MAX = 2000


def upstream_error(name: str, exc: Exception, secrets: Sequence[str], *, is_under_way: bool) -> UpstreamError:
    """What an exception of litellm's means. name: the provider's. is_under_way: the answer had begun."""
    message, code, param = _said(exc)
    message = redacted(message, *secrets)
    text = f"{name}: {message}"
    kinds = [type(e).__name__ for e in _causes(exc)]
    headers = _headers(exc)
    status = _status(exc)
    if "ContextWindowExceededError" in kinds:
        code = CONTEXT_LENGTH
    if kinds[0] in _UNSUPPORTED:
        return UpstreamError(text, fault="unsupported", code=code or "unsupported_parameter", param=param)
    if headers is None or is_under_way:  # no error answer came
        if not _TIMEOUTS.isdisjoint(kinds):
            return UpstreamError(text, fault="timeout", is_retryable=True)
        if not (_CUTS if is_under_way else _BODY_CUTS).isdisjoint(kinds):
            return UpstreamError(text, fault="cut", is_retryable=True)
        if not _MALFORMED.isdisjoint(kinds) or _NO_ANSWER in message:
            return UpstreamError(text, fault="malformed")
        if is_under_way:
            return UpstreamError(text, fault="reported", code=code, is_retryable=True)
        if not (_CONNECTS_WIDE | _TLS).isdisjoint(kinds):
            return UpstreamError(text, fault="connect", is_retryable=True)
    if not isinstance(status, int):
        return UpstreamError(text, fault="malformed")  # an accident inside litellm; what, the message says
    if headers is None:
        # An error under a 200, or an SDK that keeps its headers to itself: the status is litellm's guess.
        return UpstreamError(
            text, fault="reported", status=status, code=code, param=param, is_retryable=status in RETRYABLE or status >= 500
        )
    if status < 400:  # an answer that litellm could not read, or an error in one
        if _MALFORMED.isdisjoint(kinds):
            return UpstreamError(text, fault="reported", code=code, param=param, is_retryable=True)
        return UpstreamError(text, fault="malformed")
    body = msgspec.json.encode({"error": {"message": message, "code": code, "param": param}})
    error = refusal(name, status, headers, body)
    if error.retry_after_s is None:
        error.retry_after_s = retry_delay_s(_body(_text(exc)))
    return error


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it; bounded, as chains may have loops."""
    cause: BaseException | None = exc
    for _ in range(12):
        if cause is None:
            return
        yield cause
        cause = getattr(cause, "original_exception", None) or cause.__cause__ or cause.__context__


def _status(exc: Exception) -> int | None:
    """The status of the cause nearest to the wire that has one."""
    found = [status for cause in _causes(exc) if isinstance(status := getattr(cause, "status_code", None), int)]
    return found[-1] if found else None


def _said(exc: Exception) -> tuple[str, str | None, str | None]:
    """(message, code, param), as the provider put it, without litellm's wrapping."""
    text = _text(exc)
    body = getattr(exc, "body", None)
    if isinstance(body, dict):
        said, code, param = error_fields(msgspec.json.encode({"error": body}, enc_hook=str))
    else:
        said, code, param = error_fields(_body(text)) if "{" in text else ("", None, None)
    return said or text or type(exc).__name__, code, param


def _text(exc: Exception) -> str:
    """What the exception says, without litellm's wrapping."""
    text = _PREFIX.sub("", str(getattr(exc, "message", None) or exc))
    text = _SUFFIX.sub("", text)[:_MESSAGE_CHARS_MAX]
    return _unquoted(text) if text.startswith(("b'", 'b"')) else text


def _body(text: str) -> bytes:
    """The provider's JSON in a text; b"{}" if there is none. Before it litellm may have put words of its own."""
    start, end = text.find("{"), text.rfind("}")
    found = text[start : end + 1].encode("utf-8", "replace") if 0 <= start < end else b""
    try:
        msgspec.json.decode(found)
    except msgspec.DecodeError:
        return b"{}"
    return found


def _unquoted(text: str) -> str:
    """The body of an answer that litellm printed with its b''."""
    try:
        return bytes(ast.literal_eval(text)).decode("utf-8", "replace")
    except (ValueError, SyntaxError, TypeError):
        return text


def _headers(exc: Exception) -> Mapping[str, str] | None:
    """The error answer's headers, names in lower case; None if there was no answer."""
    for cause in _causes(exc):
        found: Any = getattr(cause, "litellm_response_headers", None)
        if not found:
            found = getattr(getattr(cause, "response", None), "headers", None)
        if found:
            return {str(key).lower(): str(value) for key, value in found.items()}
    return None
