"""A period's traffic in blocks, as the interval of what it saved is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, cast

from gateway.ledger.base import LedgerReader
from gateway.report.dimension import Dimension, lengths_until
from gateway.report.moves import moves
from gateway.report.period import HOUR_S, Period
from gateway.report.said import Answered
from gateway.report.savings import Cells, Kind
from gateway.report.spend import stretches
from gateway.report.sums import entry_sources, rollup_source

HOURS_MIN: Final = 48  # with traffic, for hours to be the blocks
BLOCKS_MAX: Final = 168  # a week's hours; of longer periods several hours are one block
BATCHES: Final = 499  # a prime, so that no habit of the traffic falls in with it

_KIND: Final = """
    CASE WHEN purpose = 'gpu' THEN 'fixed' WHEN purpose <> 'request' THEN 'upkeep'
         WHEN outcome IN ('error', 'timeout', 'refused') THEN 'failed' ELSE 'answer' END
"""
_ROLLED_UP: Final = ("requests", "comparable_baseline_nusd", "comparable_cost_nusd", "overhead_nusd")
_ENTRY: Final = (
    "1",
    "CASE WHEN cost_nusd IS NOT NULL THEN baseline_nusd END",
    "CASE WHEN baseline_nusd IS NOT NULL THEN cost_nusd END",
    "overhead_nusd",
)


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a period is cut. hours: in one block; None for batches of single requests, where the period has too few hours."""

    hours: int | None

    @property
    def unit(self) -> str:
        if self.hours is None:
            return "batches of requests"
        return "hours" if self.hours == 1 else f"blocks of {self.hours} hours"

    def in_rollup(self) -> str:
        """SQL over the roll-ups."""
        return f"hour / {(self.hours or 1) * HOUR_S}"

    def in_entry(self, reader: LedgerReader) -> str:
        """SQL over `entry`."""
        if self.hours is None:
            return f"(entry.id - entry.id / {BATCHES} * {BATCHES})"
        return lengths_until("entry.at", self.hours * HOUR_S, reader.engine)


def blocks_of(reader: LedgerReader, period: Period) -> Blocks:
    """Hours where there are enough with traffic, else batches of single requests. Raises OSError."""
    hours = period.hours
    if hours is None:
        return Blocks(None)
    during, values = hours.within("hour")
    query = f"""
        SELECT count(DISTINCT hour) AS hours, min(hour) AS first, max(hour) AS last
        FROM rollup WHERE {during} AND purpose = 'request'
    """
    (found,) = reader.rows(query, values)
    if found["hours"] < HOURS_MIN:
        return Blocks(None)
    return Blocks(math.ceil(((found["last"] - found["first"]) / HOUR_S + 1) / BLOCKS_MAX))


def cells(reader: LedgerReader, dimension: Dimension, period: Period) -> Cells:
    """Sums of the period's traffic by line, by what answered and by block. Raises OSError."""
    blocks = blocks_of(reader, period)
    found = Cells(blocks.unit)
    for stretch, of_rows in stretches(dimension, period, from_rows=blocks.hours is None):
        _add(reader, dimension, stretch, blocks, found, from_rows=of_rows)
        if dimension.of_attempts:
            _move(reader, dimension, stretch, blocks, found, from_rows=of_rows)
    return found


def _add(reader: LedgerReader, dimension: Dimension, period: Period, blocks: Blocks, found: Cells, *, from_rows: bool) -> None:
    label = dimension.label()
    name = dimension.or_idle(dimension.in_entry(reader.engine) if from_rows else dimension.in_rollup())
    block = blocks.in_entry(reader) if from_rows else blocks.in_rollup()
    count, baseline, cost, overhead = _ENTRY if from_rows else _ROLLED_UP
    for source, values in entry_sources(reader, period) if from_rows else [rollup_source(period)]:
        query = f"""
            SELECT {name} AS name, coalesce(route, '') AS route, coalesce(model, '') AS model, cache, {_KIND} AS kind,
                   {block} AS block, sum(CASE WHEN purpose = 'request' THEN {count} ELSE 0 END) AS requests,
                   coalesce(sum({baseline}), 0) AS baseline, coalesce(sum({cost}), 0) AS cost, sum({overhead}) AS overhead
            FROM {source} GROUP BY 1, 2, 3, 4, 5, 6
        """
        for batch in reader.batches(query, values):
            for row in batch:
                _put(found, label(row.pop("name")), row)


def _put(found: Cells, name: str, row: dict[str, Any]) -> None:
    answered = Answered.of(row.pop("route"), row.pop("model"), row.pop("cache"))
    kind = cast(Kind, row.pop("kind"))
    found.add(name, answered, kind, row.pop("block"), **row)


def _move(reader: LedgerReader, dimension: Dimension, period: Period, blocks: Blocks, found: Cells, *, from_rows: bool) -> None:
    """A move counts as the entry that it is of; what was paid without any model's answer is of a request that failed."""
    block = blocks.in_entry(reader) if from_rows else blocks.in_rollup()
    for move in moves(reader, dimension, period, from_rows=from_rows, block=block):
        kind: Kind = "answer" if move.model else "failed"
        answered = Answered(move.route, move.model)
        for name, sign in ((move.owner, -1), (move.payer, 1)):
            cost, overhead = sign * move.comparable_cost_nusd, sign * move.overhead_nusd
            found.add(name, answered, kind, move.block, cost=cost, overhead=overhead)
