"""What is normal for a model, learned from its answers: how soon it begins, how fast it goes on, how long it takes just now."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from gateway.health.distribution import Distribution, Histogram

ENOUGH: Final = 20.0  # observations, before anything is called normal
HALF_LIFE_S: Final = 1800.0  # a lasting change is normal after half an hour
HALF_LIFE_COUNT: Final = 100
HELD_WEIGHT: Final = 0.1  # of what is seen while the model is thought slow: normal after some hours if it stays so
RENEW_SHARE: Final = 0.02  # new observations, before a distribution is read anew

BUCKETS: Final = 8
FIRST_BUCKET_TOKENS: Final = 256
BUCKET_GROWTH: Final = 4

PEAK_S: Final = 10.0  # in which a peak of the latency fades
USUAL_S: Final = 600.0  # over which the latency is averaged that it fades to
TOKENS_MIN: Final = 8  # of an answer, for a speed to mean something


class Pace:
    """Times by size of the prompt, apart for streams (to the first content) and whole answers (to the end).

    A size of which too little is known goes by the next larger one that is known, or else by the next smaller one, its times
    multiplied by how much longer the prompt is: rather too long than too short, since what is thought slow is left alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[tuple[bool, int], Histogram] = {}
        self._speeds = Histogram(clock(), HALF_LIFE_S, HALF_LIFE_COUNT)
        self._read: dict[tuple[bool, int], Distribution | None] = {}
        self._unread = 0  # observations since the first of those was read
        self._unread_max = 0.0  # with so many they are read anew
        self._held_until = -math.inf
        self._usual_s = self._peak_s = 0.0
        self._peak_at = clock()

    def answered(self, tokens_in: int, is_stream: bool, first_s: float) -> None:
        """An attempt gave its first content (a stream) or came whole (not a stream) after so many seconds."""
        now = self._clock()
        self._rise(now, first_s)
        self._times_of(now, tokens_in, is_stream).add(now, first_s, self._weight(now))

    def waited(self, tokens_in: int, is_stream: bool, at_least_s: float) -> None:
        """An attempt was broken off after so many seconds without content: another was quicker, or it was given up."""
        now = self._clock()
        if at_least_s > self.latency_s:  # else it may have been as slow as any
            self._rise(now, at_least_s)
        self._times_of(now, tokens_in, is_stream).add_at_least(now, at_least_s, self._weight(now))

    def spoke(self, tokens_out: int, seconds: float) -> None:
        """An answer of so many tokens took so long after its first content."""
        if tokens_out >= TOKENS_MIN and seconds > 0:
            now = self._clock()
            self._speeds.add(now, tokens_out / seconds, self._weight(now))

    def hold(self, until: float) -> None:
        """Until then on the clock the model is thought slow: what it does now is hardly its normal."""
        self._held_until = max(self._held_until, until)

    def normal(self, tokens_in: int, is_stream: bool) -> Distribution | None:
        """The seconds that such requests take; None while too little is known."""
        if self._unread >= self._unread_max:
            self._read.clear()
            self._unread, self._unread_max = 0, RENEW_SHARE * sum(times.total for times in self._times.values())
        key = is_stream, bucket(tokens_in)
        if key not in self._read:
            self._read[key] = self._nearest(is_stream, key[1])
        return self._read[key]

    def quantile_s(self, q: float, tokens_in: int, is_stream: bool) -> float | None:
        """The time that the share q of such requests stays below; None while too little is known."""
        normal = self.normal(tokens_in, is_stream)
        return None if normal is None else normal.quantile(q)

    @property
    def tokens_per_s(self) -> float | None:
        """Of output, the median over answers; None while too little is known."""
        return Distribution([self._speeds]).quantile(0.5) if self._speeds.total >= ENOUGH else None

    def reading_share(self, tokens_out: int, took_s: float) -> float:
        """Of the time that an answer took which came whole, the share in which the prompt was read: what its tokens leave over.

        They are thought to be made at the speed that streams show; 0 while too little is known of that.
        """
        speed = self.tokens_per_s
        if speed is None or took_s <= 0:
            return 0.0
        return max(1.0 - tokens_out / speed / took_s, 0.0)

    @property
    def latency_s(self) -> float:
        """What an answer takes just now: the worst of the last seconds, fading to what was usual lately. 0 if unknown."""
        return self._usual_s + (self._peak_s - self._usual_s) * math.exp(-(self._clock() - self._peak_at) / PEAK_S)

    def _rise(self, now: float, seconds: float) -> None:
        """Up at once, down slowly: who is thought quicker than he is gets more than he can do. After Finagle's PeakEwma.

        Unlike there it fades to a longer average and not to nothing, so that an idle model is no bottomless one.
        """
        passed_s, self._peak_at = now - self._peak_at, now
        kept = math.exp(-passed_s / PEAK_S)
        usual_s = self._usual_s
        faded_s = usual_s + (self._peak_s - usual_s) * kept  # `latency_s` as of now
        self._peak_s = max(seconds, faded_s * kept + seconds * (1.0 - kept))
        share = 1.0 - math.exp(-passed_s / USUAL_S) if usual_s else 1.0
        self._usual_s = usual_s + (seconds - usual_s) * share

    def _times_of(self, now: float, tokens_in: int, is_stream: bool) -> Histogram:
        """Where such a request is counted."""
        self._unread += 1
        key = is_stream, bucket(tokens_in)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = Histogram(now, HALF_LIFE_S, HALF_LIFE_COUNT)
        return times

    def _weight(self, now: float) -> float:
        return HELD_WEIGHT if now < self._held_until else 1.0

    def _nearest(self, is_stream: bool, wanted: int) -> Distribution | None:
        for near in (*range(wanted, BUCKETS), *range(wanted - 1, -1, -1)):
            times = self._times.get((is_stream, near))
            if times is not None and times.total >= ENOUGH:
                return Distribution([times], _scale(near, wanted))
        some = {near: times for (of_stream, near), times in self._times.items() if of_stream == is_stream}
        if sum(times.total for times in some.values()) < ENOUGH:
            return None
        return Distribution(list(some.values()), _scale(max(some), wanted))


def bucket(tokens_in: int) -> int:
    """The size of a prompt: 0 up to 256 tokens, then one more for each factor of four."""
    if tokens_in <= FIRST_BUCKET_TOKENS:
        return 0
    return min(math.ceil(math.log(tokens_in / FIRST_BUCKET_TOKENS, BUCKET_GROWTH)), BUCKETS - 1)


def _scale(known: int, wanted: int) -> float:
    return float(BUCKET_GROWTH ** max(wanted - known, 0))
