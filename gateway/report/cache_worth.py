"""What the cache is worth, of the requests of one line of the report: hits, what they saved, and how sure they were right."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from gateway.interval import wilson


@dataclass
class CacheWorth:
    """Counts of requests, tokens and nano-USD.

    tokens_saved: of the answers that hits gave. saved_nusd: the baseline of the hits, which themselves cost nothing, where it
    is known. overhead_nusd: of embedding questions and of audits, and whatever else deciding cost. refreshes,
    refresh_nusd: answers past their time that were asked for anew, and their cost.
    right, wrong, unsure: verdicts on semantic hits that were asked upstream too. good, bad: semantic hits that somebody
    gave feedback on, by the sign of the latest.
    """

    exact_hits: int = 0
    semantic_hits: int = 0
    tokens_saved: int = 0
    saved_nusd: int = 0
    overhead_nusd: int = 0
    refreshes: int = 0
    refresh_nusd: int = 0
    audited: int = 0
    right: int = 0
    wrong: int = 0
    unsure: int = 0
    good: int = 0
    bad: int = 0

    @property
    def is_used(self) -> bool:
        """Whether there is anything to tell."""
        return any((self.exact_hits, self.semantic_hits, self.refreshes, self.audited))

    @property
    def precision(self) -> float | None:
        """The share of semantic hits that were right, of those audited with a clear verdict; None without one."""
        judged = self.right + self.wrong
        return self.right / judged if judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `precision` (Wilson)."""
        judged = self.right + self.wrong
        return wilson(self.right, judged) if judged else None

    def add(self, other: CacheWorth) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def as_json(self) -> dict[str, Any]:
        """With dollars beside nano-USD."""
        counts = asdict(self)
        money = {f"{k.removesuffix('_nusd')}_usd": v / 1e9 for k, v in counts.items() if k.endswith("_nusd")}
        interval = None if self.interval is None else list(self.interval)
        return {**counts, **money, "precision": self.precision, "precision_interval": interval}
