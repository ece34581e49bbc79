"""What the ledger says was spent: where budgets begin when a process starts, or when their store has lost what it knew."""

from __future__ import annotations

from typing import Final

from gateway.budgets.base import KEY_ALONE, Family
from gateway.budgets.frame import HOUR_S, bucket_s, frame
from gateway.ledger.base import IDLE, LedgerReader

GATEWAY: Final = "gateway"  # the one holder of its kind
GPU_SETTLED_S: Final = 7200
"""Entries that settle the hour of a machine are in the ledger before they are charged here, so the latest are left to that."""

# Of the hourly sums and of entries: '' or NULL where there is no team, and no route.
_HOLDER: Final = {
    "key": "key",
    "team": f"CASE WHEN coalesce(team, '') = '' THEN '{KEY_ALONE}' || key ELSE team END",
    "route": "route",
    "gateway": f"'{GATEWAY}'",
}
_WHOSE: Final = {"key": f"key <> '{IDLE}'", "team": f"key <> '{IDLE}'", "route": "coalesce(route, '') <> ''", "gateway": "1 = 1"}
_TAG: Final = {"sqlite": "json_extract(tags, ?)", "postgres": "CAST(tags AS jsonb) ->> ?"}


def is_in_hours(family: Family) -> bool:
    """Whether the hourly sums are enough to go by; else entries are read, which takes longer."""
    return family.per != "tag" and bucket_s(family.period) % HOUR_S == 0


def read_spent(reader: LedgerReader, family: Family, at: float, gpu_until: float | None = None) -> dict[str, dict[int, int]]:
    """By holder, what was spent in each bucket that counts at a moment, in nano-USD, what deciding cost included.

    What has no known cost is not in it. gpu_until: begin of the hours of machines that are left out, GPU_SETTLED_S ago unless
    given. Raises OSError. May block.
    """
    spent: dict[str, dict[int, int]] = {}
    for row in reader.rows(*_query(reader.engine, family, at, at - GPU_SETTLED_S if gpu_until is None else gpu_until)):
        if row["nusd"]:
            spent.setdefault(str(row["holder"]), {})[int(row["bucket"])] = int(row["nusd"])
    return spent


def _query(engine: str, family: Family, at: float, gpu_until: float) -> tuple[str, list[object]]:
    length_s, begins_at = bucket_s(family.period), frame(family.period, at).begins_at
    money = "sum(coalesce(cost_nusd, 0)) + sum(overhead_nusd) AS nusd"
    gpu = "(purpose <> 'gpu' OR {} < ?)"
    since: list[object] = [begins_at, gpu_until]
    if is_in_hours(family):
        holder, where = _HOLDER[family.per], f"hour >= ? AND {gpu.format('hour')} AND {_WHOSE[family.per]}"
        query = f"SELECT {holder} AS holder, hour / {length_s} AS bucket, {money} FROM rollup WHERE {where} GROUP BY 1, 2"
        return query, [begins_at, int(gpu_until)]
    # CAST rounds in PostgreSQL, and cuts off in SQLite.
    bucket = f"CAST(at / {length_s} AS INTEGER)" if engine == "sqlite" else f"CAST(floor(at / {length_s}) AS bigint)"
    where = f"at >= ? AND {gpu.format('at')}"
    if family.per != "tag":
        query = f"SELECT {_HOLDER[family.per]} AS holder, {bucket} AS bucket, {money} FROM entry WHERE {where}"
        return f"{query} AND {_WHOSE[family.per]} GROUP BY 1, 2", since
    name = f'$."{family.tag}"' if engine == "sqlite" else family.tag
    inner = f"SELECT {_TAG[engine]} AS holder, {bucket} AS bucket, cost_nusd, overhead_nusd FROM entry WHERE {where}"
    return f"SELECT holder, bucket, {money} FROM ({inner}) AS tagged WHERE holder IS NOT NULL GROUP BY 1, 2", [name, *since]
