"""Sums of entries by the hour and by the day, and of their attempts by the hour, as the stores add to them with each batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.tables import ROLLUP, ROLLUP_ATTEMPT, ROLLUP_DAY, Table

HOUR_S = 3600
DAY_S = 86_400

Sums = dict[tuple[Any, ...], list[Any]]


def hour_of(at: float) -> int:
    """When the hour of a time begins; both in seconds since 1970."""
    return int(at) // HOUR_S * HOUR_S


def rolled_up(entries: Iterable[Entry]) -> list[tuple[Table, list[list[Any]]]]:
    """The tables of sums, each with the rows to be added to it.

    One for each group, in the order of the groups: so two processes that add to the same ones wait for each other, and never
    in a circle. Raises ValueError for what cannot be added up.
    """
    requests: Sums = {}
    days: Sums = {}
    calls: Sums = {}
    try:
        for entry in entries:
            _add(requests, _group(entry), _measures(entry))
            for attempt in entry.attempts:
                _add(calls, _group_of_attempt(entry, attempt), _measures_of_attempt(entry, attempt))
        for (hour, *group), measures in requests.items():
            _add(days, (hour // DAY_S * DAY_S, *group), measures)
        return [(ROLLUP, _rows(requests)), (ROLLUP_DAY, _rows(days)), (ROLLUP_ATTEMPT, _rows(calls))]
    except TypeError as exc:
        raise ValueError(f"not a value that a ledger can add up: {exc}") from exc


def on_conflict(table: Table) -> str:
    """What makes an INSERT of such rows add to those that are there, in the SQL of both stores."""
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in table.names[len(table.key) :])
    return f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sums}"


def _add(sums: Sums, group: tuple[Any, ...], measures: list[Any]) -> None:
    known = sums.get(group)
    sums[group] = measures if known is None else [a + b for a, b in zip(known, measures, strict=True)]


def _rows(sums: Sums) -> list[list[Any]]:
    return [[*group, *sums[group]] for group in sorted(sums)]


def _group(entry: Entry) -> tuple[Any, ...]:
    """In the order of ROLLUP's key."""
    return (
        hour_of(entry.at),
        entry.purpose,
        entry.route or "",
        entry.model or "",
        entry.provider or "",
        entry.key,
        entry.team or "",
        entry.prompt_id or "",
        entry.cache,
        entry.outcome,
    )


def _measures(entry: Entry) -> list[Any]:
    """In the order of ROLLUP, after the key."""
    usage, cost, baseline, saved = entry.usage, entry.cost_nusd, entry.baseline_nusd, entry.saved_nusd
    return [
        1,
        usage.input if usage else 0,
        usage.output if usage else 0,
        usage.cached_input if usage else 0,
        usage.reasoning if usage else 0,
        int(usage is not None and usage.estimated),
        cost or 0,
        entry.overhead_nusd,
        baseline or 0,
        saved or 0,
        0 if saved is None else cost,
        0 if saved is None else baseline,
        int(cost is None),
        int(saved is None),
        entry.duration_ms,
        int(entry.verdict == "right"),
        int(entry.verdict == "wrong"),
        int(entry.verdict == "unsure"),
    ]


def _group_of_attempt(entry: Entry, attempt: Attempt) -> tuple[Any, ...]:
    """In the order of ROLLUP_ATTEMPT's key."""
    return (
        hour_of(entry.at),
        entry.purpose,
        entry.route or "",
        entry.key,
        entry.team or "",
        entry.model or "",
        entry.provider or "",
        attempt.model,
        attempt.provider,
        attempt.outcome,
        int(attempt.is_hedge),
    )


def _measures_of_attempt(entry: Entry, attempt: Attempt) -> list[Any]:
    """In the order of ROLLUP_ATTEMPT, after the key."""
    usage, cost = attempt.usage, attempt.cost_nusd or 0
    return [
        1,
        usage.input if usage else 0,
        usage.output if usage else 0,
        cost,
        0 if entry.cost_nusd is None else cost,
        0 if entry.saved_nusd is None else cost,
        int(attempt.cost_nusd is None),
        attempt.busy_s,
        attempt.prefill_s,
    ]


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
