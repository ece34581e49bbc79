"""The lines of a report as a flat table, for CSV and Parquet: the same columns whatever was spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.ledger.tables import Column, Kind
from gateway.report.compare import Change
from gateway.report.report import Report
from gateway.report.row import Row
from gateway.report.savings import Savings

_TEXTS: Final = ("text", "mark", "savings_method", "savings_reason")
_UNKNOWN: Final = Savings(None, None, None, 0, 0, None, "").as_json()


def flat(report: Report) -> tuple[list[Column], list[dict[str, Any]]]:
    """The columns, and a row for each line; of two periods also for those that are gone. What is unknown is None."""
    by = report.dimension.by
    empty = Row("")
    names = dict(_flat(report.row_json(empty) | {"savings": _UNKNOWN}))
    rows = [dict(_flat(report.row_json(row))) for row in report.rows]
    if report.comparison is not None:
        names |= dict(_flat(Change(empty, empty).as_json(by)))
        known = {row[by]: row for row in rows}
        changes = report.comparison.changes
        rows = [
            (known.get(change.now.name) or dict(_flat(report.row_json(change.now)))) | dict(_flat(change.as_json(by)))
            for change in changes
        ]
    return [Column(name, _kind(name, by)) for name in names], [{name: row.get(name) for name in names} for row in rows]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values under joined names; the ends of an interval apart."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif name.endswith("_interval"):
            low, high = value or (None, None)
            yield f"{prefix}{name.removesuffix('_interval')}_low", low
            yield f"{prefix}{name.removesuffix('_interval')}_high", high
        else:
            yield prefix + name, value


def _kind(name: str, by: str) -> Kind:
    if name == by or name in _TEXTS:
        return "text"
    return "real" if name.endswith(("_usd", "_percent", "share", "_precision", "_low", "_high")) else "integer"
