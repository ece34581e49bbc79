"""Parameters that a cascade adds to a request and that a model may not take. No I/O."""

from __future__ import annotations

from gateway.errors import UpstreamError


def refuses(error: UpstreamError, parameter: str) -> bool:
    """Whether a provider says no because of this parameter: some models cannot, and say so instead of leaving it out."""
    is_about_the_request = error.status in (400, 422) or error.fault == "unsupported"
    return is_about_the_request and parameter in f"{error.param} {error.message}".lower()
