"""What can go wrong with a call over HTTP, in the words of UpstreamError."""

from __future__ import annotations

import urllib.parse
from typing import Final

from gateway.errors import UpstreamError
from gateway.http1.failures import (
    BadAddress,
    BadRequest,
    BrokenOff,
    CallFailed,
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LookupFailed,
    NotHttp,
    TlsFailed,
)


def mapped(exc: CallFailed, url: str) -> UpstreamError:
    where = host_of(url)
    if isinstance(exc, ConnectTimeout):
        return UpstreamError(f"no connection to {where} in time", fault="timeout", is_retryable=True)
    if isinstance(exc, BrokenOff):
        return UpstreamError(f"the connection to {where} broke in mid-answer: {exc}", fault="cut", is_retryable=True)
    if isinstance(exc, Disconnected):
        how = f"closed the connection without an answer{f': {exc}' if str(exc) else ''}"
        return UpstreamError(f"{where} {how}", fault="connect", is_retryable=True)
    return UpstreamError(_REASONS[type(exc)].format(where=where, why=exc), fault="connect", is_retryable=True)


_REASONS: Final[dict[type[CallFailed], str]] = {
    BadAddress: "{where} is not an address: {why}",
    BadRequest: "{where} was not called: {why}",
    LookupFailed: "cannot look up {where}: {why}",
    ConnectFailed: "cannot connect to {where}: {why}",
    TlsFailed: "TLS to {where} failed: {why}",
    NotHttp: "{where} did not answer in HTTP: {why}",
}


def host_of(url: str) -> str:
    """For messages: no credentials, and no path, which may be a secret too."""
    try:
        return urllib.parse.urlsplit(url).netloc.rpartition("@")[2] or "the URL"
    except ValueError:
        return "the URL"
