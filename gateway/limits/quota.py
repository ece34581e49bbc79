"""The limits of one model, asked before each attempt to call it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import UpstreamError
from gateway.limits.base import Hold, Limiter, LimitExceeded, LimitsUnavailable, Window, asks_for
from gateway.metrics import Metrics
from gateway.request import ChatRequest


class ModelQuota:
    """What a model may be sent. Counted under its name, so that it is kept over a reload of the policy."""

    def __init__(self, limiter: Limiter, metrics: Metrics, windows: Sequence[Window]) -> None:
        self._limiter, self._metrics, self._windows = limiter, metrics, windows

    async def reserve(self, request: ChatRequest) -> Hold:
        """Reserve what an attempt may need; to be settled once.

        Raises UpstreamError, which says nothing of the model's health: `limited` when its limit is spent, `unavailable` when
        it cannot be counted and may not be passed over. Both with retry_after_s where waiting helps.
        """
        try:
            return await self._limiter.reserve(asks_for(self._windows, request.tokens_expected))
        except LimitExceeded as exc:
            self._metrics.limited("model")
            raise UpstreamError(f"not asked: {exc.message}", fault="limited", retry_after_s=exc.retry_after_s) from exc
        except LimitsUnavailable as exc:
            raise UpstreamError(f"not asked: {exc.message}", fault="unavailable", retry_after_s=exc.retry_after_s) from exc
