"""How long to wait before the same target is asked again."""

from __future__ import annotations

import random
from typing import Final

from gateway.errors import UpstreamError
from gateway.policy.model import Retry

BACKOFF_MAX_S: Final = 8.0  # unless the policy's own first wait is longer
WAIT_BEFORE_FALLBACK_S: Final = 1.0  # a provider that asks for a longer wait is left for the next target


def wait_before_retry_s(retry: Retry, again: int, exc: UpstreamError, left_s: float, *, is_last: bool) -> float | None:
    """Seconds; None if the target should not be asked again. Doubles each time, with jitter, and is never less than asked for.

    again: how often it was asked, from 1. left_s: of the request's time. is_last: no other target is there to ask instead.
    """
    if not exc.is_retryable:
        return None
    backoff_s = min(retry.backoff_s * 2.0 ** (again - 1), max(retry.backoff_s, BACKOFF_MAX_S))
    wait_s: float = max(backoff_s * random.uniform(0.5, 1.0), exc.retry_after_s or 0.0)
    if wait_s >= left_s or (not is_last and wait_s > max(WAIT_BEFORE_FALLBACK_S, backoff_s)):
        return None
    return wait_s
