"""The refusal of a request that a provider cannot carry whole. Raised by translators before anything is sent."""

from __future__ import annotations

from gateway.errors import UpstreamError


def unsupported(param: str, why: str, *, provider: str = "") -> UpstreamError:
    """Another target may carry what this provider cannot. provider: its name, where `why` does not say whose API it is."""
    message = f"`{param}` {why}"
    if provider:
        message = f"{provider}: {message}"
    return UpstreamError(message, fault="unsupported", code="unsupported_parameter", param=param)


def not_chat(problem: object) -> UpstreamError:
    """No other target would take it either. problem: what is wrong with it."""
    return UpstreamError(
        f"not a chat request: {problem}", fault="unsupported", status=400, is_callers_fault=True, code="invalid_request"
    )
