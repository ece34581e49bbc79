"""The ledger of docs/spend.md: two weeks of two routes, and a dear Friday."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.ledger.base import Entry, Feedback, Record
from gateway.usage import Usage
from tests.ledger.entries import answered, entry

BEGIN = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
SMALL, STRONG = 200_000, 4_000_000  # nano-USD for an answer
CACHED_EACH, SAID_EACH, BAD_EACH = 5, 7, 4


def example() -> list[Record]:
    """An hour has two easy requests, of which every fifth is a cache hit, and one hard one; on Friday the 13th four."""
    written: list[Record] = []
    for hour in range(14 * 24):
        at = BEGIN + 3_600 * hour
        for i in range(2):
            n = 2 * hour + i
            one = _easy(n, at + 60 * i)
            written.append(one)
            if one.cache == "miss" and n % SAID_EACH == 0:
                written.append(Feedback(one.request_id, at + 600, -1.0 if n % BAD_EACH == 0 else 1.0, entry=one.uid))
        hard = range(4 if hour // 24 == 12 else 1)
        written += [answered(f"hard-{hour}-{i}", "hard", "strong", STRONG, STRONG, at=at + 120 + i) for i in hard]
    return written


def _easy(n: int, at: float) -> Entry:
    if n % CACHED_EACH == 0:
        usage = Usage(10, 5)
        return entry(
            f"easy-{n}", at=at, route="easy", cache="hit-semantic", usage=usage, baseline_nusd=STRONG, overhead_nusd=1_000
        )
    return answered(f"easy-{n}", "easy", "small", SMALL, STRONG, at=at, cache="miss", overhead_nusd=1_000)
