"""One request against the limits of its caller: what is reserved for it, and the headers that tell how the limits stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.attempt import Attempt
from gateway.limits.base import Hold, Level, Limiter, LimitExceeded, Window, asks_for
from gateway.metrics import Metrics
from gateway.reply import Headers


class Allowance:
    """Reserve it before anything is done for the request, and settle it in the end, whatever became of that."""

    def __init__(self, limiter: Limiter, metrics: Metrics, windows: Sequence[Window], tokens: int) -> None:
        """tokens: the most that the request may need."""
        self._limiter, self._metrics, self._windows, self._tokens = limiter, metrics, windows, tokens
        self._hold: Hold | None = None
        self._levels: tuple[Level, ...] = ()

    async def reserve(self) -> None:
        """Reserve what the request may need. Raises LimitExceeded or LimitsUnavailable, and then nothing is reserved."""
        try:
            self._hold = await self._limiter.reserve(asks_for(self._windows, self._tokens))
        except LimitExceeded as exc:
            self._metrics.limited(exc.window.per)
            self._levels = exc.levels
            raise
        self._levels = self._hold.levels

    def settle(self, attempts: Sequence[Attempt]) -> None:
        """Count what the request's attempts took in truth, nothing if there was none; once."""
        if self._hold is not None:
            used = [attempt.usage for attempt in attempts if attempt.usage is not None]
            self._hold.settle(sum(usage.input + usage.output for usage in used))

    @property
    def headers(self) -> Headers:
        """How the limits stood when it came: of several on requests, or on tokens, the one with the least share left."""
        headers: Headers = []
        for unit in ("requests", "tokens"):
            levels = [level for level in self._levels if level.window.unit == unit]
            if levels:
                scarcest = min(levels, key=lambda level: level.share)
                headers += [
                    (f"x-ratelimit-limit-{unit}", str(scarcest.window.limit)),
                    (f"x-ratelimit-remaining-{unit}", str(scarcest.remaining)),
                    (f"x-ratelimit-reset-{unit}", duration(scarcest.reset_s)),
                ]
        return headers


def duration(seconds: float) -> str:
    """As OpenAI writes times that are left: "20ms", "1s", "6m0s", "1h0m0s"; rounded up, to the second from one on."""
    if seconds <= 0:
        return "0s"
    if seconds <= 0.999:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest_s}s" if hours else f"{minutes}m{rest_s}s" if minutes else f"{rest_s}s"
