"""What a settlement of a machine's hour is told: who used the model, as the hourly sums have it. In the SQL of both stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.ledger.base import GpuUse

# Both with the hour and the model for values.
ATTEMPTS_USED = """
SELECT route, key, team, sum(busy_s) AS busy_s, sum(prefill_s) AS prefill_s, sum(input_tokens) AS input,
    sum(output_tokens) AS output, sum(cost_nusd) AS cost_nusd
FROM rollup_attempt WHERE hour = ? AND model = ? AND purpose <> 'gpu' GROUP BY route, key, team
"""
GPU_ENTRIES = """
SELECT route, key, team, 0.0 AS busy_s, 0.0 AS prefill_s, 0 AS input, 0 AS output, sum(cost_nusd) AS cost_nusd
FROM rollup WHERE hour = ? AND model = ? AND purpose = 'gpu' GROUP BY route, key, team
"""


def used(attempts: Iterable[Mapping[str, Any]], entries: Iterable[Mapping[str, Any]]) -> list[GpuUse]:
    """One for each group of callers, ordered. attempts, entries: rows of the two queries."""
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for row in (*attempts, *entries):
        sums = groups.setdefault((row["route"], row["key"], row["team"]), [0.0, 0.0, 0, 0, 0])
        for place, name in enumerate(("busy_s", "prefill_s", "input", "output", "cost_nusd")):
            sums[place] += row[name]
    return [
        GpuUse(route or None, key, team or None, float(busy_s), float(prefill_s), int(input_), int(output), int(cost))
        for (route, key, team), (busy_s, prefill_s, input_, output, cost) in sorted(groups.items())
    ]
