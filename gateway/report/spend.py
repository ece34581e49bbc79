"""What was spent, and on what: the lines of the report."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.ledger.base import LedgerReader
from gateway.report.dimension import Dimension
from gateway.report.moves import moves
from gateway.report.period import Period
from gateway.report.row import Row
from gateway.report.said import Answered, Opinions, opinions
from gateway.report.sums import sums

Said = dict[tuple[str, Answered], Opinions]


def spend(
    reader: LedgerReader, dimension: Dimension, period: Period, *, from_rows: bool = False, said: Said | None = None
) -> list[Row]:
    """The lines, the dearest first; by time for days and hours.

    Whole hours are read from the roll-ups, the rest from the entries, and tags always; from_rows: all of it, for the same result.
    said: the period's `opinions`, when they are at hand. Raises OSError.
    """
    rows: dict[str, Row] = {}
    for stretch, of_rows in stretches(dimension, period, from_rows=from_rows):
        for row in sums(reader, dimension, stretch, from_rows=of_rows):
            _line(rows, row.name).add(row)
        if dimension.of_attempts:
            for move in moves(reader, dimension, stretch, from_rows=of_rows):
                owner, payer = _line(rows, move.owner), _line(rows, move.payer)
                for row, sign in ((owner, -1), (payer, 1)):
                    row.cost_nusd += sign * move.cost_nusd
                    row.overhead_nusd += sign * move.overhead_nusd
                    row.saved_nusd -= sign * move.comparable_nusd
    for (name, answered), found in (opinions(reader, dimension, period) if said is None else said).items():
        if answered.hit == "hit-semantic":
            worth = _line(rows, name).cache
            worth.good += found.good
            worth.bad += found.bad
    return in_order(dimension, (row for row in rows.values() if not row.is_empty))


def stretches(dimension: Dimension, period: Period, *, from_rows: bool) -> list[tuple[Period, bool]]:
    """The parts of a period, each with whether it must be read from the entries."""
    hours = period.hours
    if from_rows or not dimension.is_rolled_up or hours is None:
        return [(period, True)]
    return [*((edge, True) for edge in period.edges(hours)), (hours, False)]


def in_order(dimension: Dimension, rows: Iterable[Row]) -> list[Row]:
    """The dearest first; by time for days and hours."""
    if dimension.length_s is not None:
        return sorted(rows, key=lambda row: row.name)
    return sorted(rows, key=lambda row: (-row.paid_nusd, row.name))


def _line(rows: dict[str, Row], name: str) -> Row:
    return rows.setdefault(name, Row(name))
