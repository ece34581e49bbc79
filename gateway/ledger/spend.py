"""What was spent, on what, and what it saved: sums over the ledger. Reads the file beside a running gateway."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, fields
from typing import Any

from gateway.ledger.cache_worth import SUMS, CacheWorth

BY_ENTRY = {
    "route": "coalesce(route, '(none)')",
    "day": "strftime('%Y-%m-%d', at, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00Z', at, 'unixepoch')",
    "key": "key",
    "team": "coalesce(team, '(none)')",
}
BY_ATTEMPT = ("model", "provider")
DIMENSIONS = (*BY_ENTRY, *BY_ATTEMPT)
NO_MODEL = "(no model)"  # what answers from the cache and from FAQs are booked under


@dataclass
class Row:
    """One line of the report. Money in nano-USD, over entries whose figure is known.

    Requests, hits, errors and tokens are the callers'; money includes what the gateway asked on its own account.
    unpriced: entries with an unknown cost, whose money is missing from cost_nusd. saved_nusd leaves out entries whose
    cost or baseline is unknown (`not_comparable`).
    """

    name: str
    requests: int = 0
    cache_hits: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0
    overhead_nusd: int = 0
    baseline_nusd: int = 0
    saved_nusd: int = 0
    unpriced: int = 0
    not_comparable: int = 0
    cache: CacheWorth = field(default_factory=CacheWorth)

    def add(self, other: Row) -> None:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cache.add(other.cache)

    def as_json(self, by: str) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        money = {f"{k.removesuffix('_nusd')}_usd": v / 1e9 for k, v in numbers.items() if k.endswith("_nusd")}
        return {by: self.name, **numbers, **money, "cache": self.cache.as_json()}


_NUMBERS = [f.name for f in fields(Row) if f.name not in ("name", "cache")]

_SUMS = """
    sum(purpose = 'request') AS requests,
    sum(purpose = 'request' AND cache LIKE 'hit%') AS cache_hits,
    sum(purpose = 'request' AND outcome IN ('error', 'timeout')) AS errors,
    coalesce(sum(CASE WHEN purpose = 'request' THEN usage_input END), 0) AS input_tokens,
    coalesce(sum(CASE WHEN purpose = 'request' THEN usage_output END), 0) AS output_tokens,
    coalesce(sum(cost_nusd), 0) AS cost_nusd,
    sum(overhead_nusd) AS overhead_nusd,
    coalesce(sum(baseline_nusd), 0) AS baseline_nusd,
    coalesce(sum(baseline_nusd - cost_nusd - overhead_nusd), 0) AS saved_nusd,
    sum(cost_nusd IS NULL) AS unpriced,
    sum(cost_nusd IS NULL OR baseline_nusd IS NULL) AS not_comparable
""" + "".join(f",\n    {expression} AS cache_{name}" for name, expression in SUMS.items())


def spend(db: sqlite3.Connection, by: str, since: float) -> list[Row]:
    """Rows of the report, the dearest first (by time for day and hour). since: seconds since 1970."""
    if by in BY_ENTRY:
        query = f"SELECT {BY_ENTRY[by]} AS name, {_SUMS} FROM entry WHERE at >= ? GROUP BY 1"
        rows = [_row(row) for row in db.execute(query, (since,))]
    else:
        rows = _by_attempt(db, by, since)
    if by in ("day", "hour"):
        return sorted(rows, key=lambda row: row.name)
    return sorted(rows, key=lambda row: (-row.cost_nusd, row.name))


def last_uses(db: sqlite3.Connection) -> dict[str, float]:
    """When each key's last request came, in seconds since 1970."""
    query = "SELECT key, max(at) AS at FROM entry WHERE purpose = 'request' GROUP BY key"
    return {row["key"]: row["at"] for row in db.execute(query)}


def _by_attempt(db: sqlite3.Connection, by: str, since: float) -> list[Row]:
    """By who answered; what a failed attempt cost is moved from the model that answered to the one that failed."""
    query = f"SELECT coalesce({by}, ?) AS name, {_SUMS} FROM entry WHERE at >= ? GROUP BY 1"
    rows = {row["name"]: _row(row) for row in db.execute(query, (NO_MODEL, since))}
    moves = f"""
        SELECT coalesce(entry.{by}, ?) AS owner, attempt.{by} AS name, sum(attempt.cost_nusd) AS cost_nusd,
               sum(attempt.cost_nusd * (entry.baseline_nusd IS NOT NULL)) AS saved_nusd
        FROM attempt JOIN entry ON entry.id = attempt.entry
        WHERE entry.at >= ? AND attempt.cost_nusd > 0 AND entry.cost_nusd IS NOT NULL AND entry.purpose != 'audit'
              AND attempt.{by} IS NOT coalesce(entry.{by}, ?)
        GROUP BY 1, 2
    """
    for move in db.execute(moves, (NO_MODEL, since, NO_MODEL)):
        owner, payer = rows[move["owner"]], rows.setdefault(move["name"], Row(move["name"]))
        owner.cost_nusd -= move["cost_nusd"]
        owner.saved_nusd += move["saved_nusd"]
        payer.cost_nusd += move["cost_nusd"]
        payer.saved_nusd -= move["saved_nusd"]
    return list(rows.values())


def _row(row: sqlite3.Row) -> Row:
    values = dict(row)
    cache = CacheWorth(**{name: values.pop(f"cache_{name}") for name in SUMS})
    return Row(**values, cache=cache)


def total(rows: list[Row]) -> Row:
    """All rows in one."""
    whole = Row("total")
    for row in rows:
        whole.add(row)
    return whole
