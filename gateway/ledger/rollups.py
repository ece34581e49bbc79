"""Sums of entries by the hour and by the day, and of their attempts by the hour, as the stores add to them with each batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.ledger.columns import Values
from gateway.ledger.tables import ROLLUP, ROLLUP_ATTEMPT, ROLLUP_DAY, Table

HOUR_S = 3600
DAY_S = 86_400

Columns = Mapping[str, Values]
Rows = list[list[Any]]
Sums = dict[tuple[Any, ...], list[Any]]


def hour_of(at: float) -> int:
    """When the hour of a time begins; both in seconds since 1970."""
    return int(at) // HOUR_S * HOUR_S


def rolled_up(entry: Columns, attempt: Columns, owners: Sequence[int]) -> list[tuple[Table, Rows]]:
    """The tables of sums, each with the rows to be added to it.

    One for each group, in the order of the groups: so two processes that add to the same ones wait for each other, and never
    in a circle. entry, attempt: the values of their columns by name. owners: for each attempt the place of its entry.
    Raises ValueError for what cannot be added up.
    """
    try:
        hours = [int(at) // HOUR_S * HOUR_S for at in entry["at"]]
        requests = _summed(hours, [entry[name] for name in ROLLUP.key[1:]], [entry[name] for name in _MEASURED], _measures)
        days = _days(requests)
        asked = {name: list(map(entry[of].__getitem__, owners)) for name, of in _OF_OWNER.items()} | dict(attempt)
        calls = _summed(
            list(map(hours.__getitem__, owners)),
            [asked[name] for name in ROLLUP_ATTEMPT.key[1:]],
            [asked[name] for name in _MEASURED_OF_ATTEMPTS],
            _measures_of_attempts,
        )
        return [(table, _rows(sums)) for table, sums in ((ROLLUP, requests), (ROLLUP_DAY, days), (ROLLUP_ATTEMPT, calls))]
    except TypeError as exc:
        raise ValueError(f"not a value that a ledger can add up: {exc}") from exc


def on_conflict(table: Table) -> str:
    """What makes an INSERT of such rows add to those that are there, in the SQL of both stores."""
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in table.names[len(table.key) :])
    return f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sums}"


def _summed(hours: Values, key: Sequence[Values], measured: Sequence[Values], measures: Callable[..., list[Any]]) -> Sums:
    """For each hour and key the measures of all of its records. key, measured: columns. measures: given those of one key."""
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for group, row in zip(zip(hours, *key, strict=True), zip(*measured, strict=True), strict=True):
        known = groups.get(group)
        if known is None:
            groups[group] = [row]
        else:
            known.append(row)
    named: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for group, rows in groups.items():
        named.setdefault(tuple("" if value is None else value for value in group), []).extend(rows)
    return {group: measures(*zip(*rows, strict=True)) for group, rows in named.items()}


def _days(hours: Sums) -> Sums:
    days: Sums = {}
    for (hour, *group), measures in hours.items():
        day = (hour // DAY_S * DAY_S, *group)
        known = days.get(day)
        days[day] = measures if known is None else [a + b for a, b in zip(known, measures, strict=True)]
    return days


def _rows(sums: Sums) -> Rows:
    return [[*group, *sums[group]] for group in sorted(sums)]


_MEASURED: Final = (
    *("cost_nusd", "overhead_nusd", "baseline_nusd", "duration_ms", "verdict"),
    *("usage_input", "usage_output", "usage_cached_input", "usage_reasoning", "usage_estimated"),
)


def _measures(
    cost: Values, overhead: Values, baseline: Values, duration_ms: Values, verdict: Values, *usage: Values
) -> list[Any]:
    """Of the columns _MEASURED of some entries; in the order of ROLLUP, after the key."""
    compared = [
        money for money in zip(cost, baseline, overhead, strict=True) if money[0] is not None and money[1] is not None
    ]  # fmt: skip
    comparable_cost, comparable_baseline, comparable_overhead = map(sum, zip(*compared, strict=True)) if compared else (0, 0, 0)
    return [
        len(cost),
        *map(_sum, usage),
        _sum(cost),
        sum(overhead),
        _sum(baseline),
        comparable_baseline - comparable_cost - comparable_overhead,  # as Entry.saved_nusd
        comparable_cost,
        comparable_baseline,
        cost.count(None),
        len(cost) - len(compared),
        sum(duration_ms),
        *(verdict.count(said) for said in ("right", "wrong", "unsure")),
    ]


# What the sums over attempts take of the attempt's entry, and how it is called there.
_OF_OWNER: Final = {
    "purpose": "purpose",
    "route": "route",
    "key": "key",
    "team": "team",
    "entry_model": "model",
    "entry_provider": "provider",
    "entry_nusd": "cost_nusd",
    "entry_baseline_nusd": "baseline_nusd",
}
_MEASURED_OF_ATTEMPTS: Final = (
    *("usage_input", "usage_output", "cost_nusd", "entry_nusd", "entry_baseline_nusd", "busy_s", "prefill_s"),
)


def _measures_of_attempts(
    input_: Values, output: Values, cost: Values, entry: Values, baseline: Values, busy_s: Values, prefill_s: Values
) -> list[Any]:
    """Of the columns _MEASURED_OF_ATTEMPTS of some attempts; in the order of ROLLUP_ATTEMPT, after the key."""
    settled = [(nusd or 0, base) for nusd, whole, base in zip(cost, entry, baseline, strict=True) if whole is not None]
    return [
        len(cost),
        _sum(input_),
        _sum(output),
        _sum(cost),
        sum(nusd for nusd, _ in settled),
        sum(nusd for nusd, base in settled if base is not None),
        cost.count(None),
        sum(busy_s),
        sum(prefill_s),
    ]


def _sum(values: Values) -> Any:
    """Of those that are known."""
    return sum(filter(None, values))


_HOUR = "CAST({}at AS INTEGER) / 3600 * 3600"  # in whole numbers: a division of seconds may be rounded up into the next hour
_SAVED = "{0}baseline_nusd - {0}cost_nusd - {0}overhead_nusd"

ENTRIES_SUMMED = f"""
SELECT {_HOUR.format("")} AS hour, purpose, coalesce(route, '') AS route, coalesce(model, '') AS model,
    coalesce(provider, '') AS provider, key, coalesce(team, '') AS team, coalesce(prompt_id, '') AS prompt_id, cache, outcome,
    count(*) AS requests,
    coalesce(sum(usage_input), 0) AS input_tokens,
    coalesce(sum(usage_output), 0) AS output_tokens,
    coalesce(sum(usage_cached_input), 0) AS cached_input_tokens,
    coalesce(sum(usage_reasoning), 0) AS reasoning_tokens,
    coalesce(sum(usage_estimated), 0) AS estimated,
    coalesce(sum(cost_nusd), 0) AS cost_nusd,
    sum(overhead_nusd) AS overhead_nusd,
    coalesce(sum(baseline_nusd), 0) AS baseline_nusd,
    coalesce(sum({_SAVED.format("")}), 0) AS saved_nusd,
    coalesce(sum(CASE WHEN baseline_nusd IS NOT NULL THEN cost_nusd END), 0) AS comparable_cost_nusd,
    coalesce(sum(CASE WHEN cost_nusd IS NOT NULL THEN baseline_nusd END), 0) AS comparable_baseline_nusd,
    sum(CASE WHEN cost_nusd IS NULL THEN 1 ELSE 0 END) AS unpriced,
    sum(CASE WHEN cost_nusd IS NULL OR baseline_nusd IS NULL THEN 1 ELSE 0 END) AS not_comparable,
    sum(duration_ms) AS duration_ms,
    sum(CASE WHEN verdict = 'right' THEN 1 ELSE 0 END) AS judged_right,
    sum(CASE WHEN verdict = 'wrong' THEN 1 ELSE 0 END) AS judged_wrong,
    sum(CASE WHEN verdict = 'unsure' THEN 1 ELSE 0 END) AS judged_unsure
FROM entry GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
"""`rollup` from the rows themselves, in SQLite's SQL: for ledgers that were begun without it."""

_KEPT = ROLLUP_DAY.key[1:]
_ADDED = ROLLUP_DAY.names[len(ROLLUP_DAY.key) :]
HOURS_SUMMED = (
    f"SELECT hour / {DAY_S} * {DAY_S} AS day, {', '.join(_KEPT)}, {', '.join(f'sum({name}) AS {name}' for name in _ADDED)} "
    f"FROM rollup GROUP BY {', '.join(str(n + 1) for n in range(len(ROLLUP_DAY.key)))}"
)
"""`rollup_day` from `rollup`."""

ATTEMPTS_SUMMED = f"""
SELECT {_HOUR.format("e.")} AS hour, e.purpose AS purpose, coalesce(e.route, '') AS route, e.key AS key,
    coalesce(e.team, '') AS team, coalesce(e.model, '') AS entry_model, coalesce(e.provider, '') AS entry_provider,
    a.model AS model, a.provider AS provider, a.outcome AS outcome, a.is_hedge AS is_hedge,
    count(*) AS calls,
    coalesce(sum(a.usage_input), 0) AS input_tokens,
    coalesce(sum(a.usage_output), 0) AS output_tokens,
    coalesce(sum(a.cost_nusd), 0) AS cost_nusd,
    coalesce(sum(CASE WHEN e.cost_nusd IS NOT NULL THEN a.cost_nusd END), 0) AS settled_nusd,
    coalesce(sum(CASE WHEN {_SAVED.format("e.")} IS NOT NULL THEN a.cost_nusd END), 0) AS comparable_nusd,
    sum(CASE WHEN a.cost_nusd IS NULL THEN 1 ELSE 0 END) AS unpriced,
    sum(a.busy_s) AS busy_s,
    sum(a.prefill_s) AS prefill_s
FROM attempt AS a JOIN entry AS e ON e.id = a.entry GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""
"""`rollup_attempt` likewise."""
