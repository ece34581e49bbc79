"""What attempts cost that were not those of the model that answered: by model, it stands with the model that was paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.ledger.base import LedgerReader
from gateway.report.dimension import Dimension
from gateway.report.period import Period
from gateway.report.sums import attempt_tables


@dataclass(frozen=True, slots=True)
class Move:
    """From the line of the entry to that of the attempt, in nano-USD.

    cost_nusd: booked as cost; overhead_nusd: as overhead, which what a lost hedge cost is. comparable_nusd: of both, what counts
    in savings. route, model: of the entry; "" for none. block: as asked for.
    """

    owner: str
    payer: str
    route: str
    model: str
    block: int
    cost_nusd: int
    overhead_nusd: int
    comparable_nusd: int
    comparable_cost_nusd: int


_OVERHEAD = "outcome = 'lost_hedge'"


def moves(reader: LedgerReader, dimension: Dimension, period: Period, *, from_rows: bool, block: str = "0") -> Iterator[Move]:
    """For a dimension of attempts. block: SQL over `rollup_attempt` or over `entry`, see gateway.report.cells.

    Nothing moves of an audit, all of which is overhead, and of an entry whose own cost is unknown, which is in no sum.
    """
    column, label = dimension.column, dimension.label()
    if not from_rows:
        during, values = period.within("hour")
        cost, compared = "settled_nusd", "comparable_nusd"
        table = "rollup_attempt"
        owner, payer, route, model = f"entry_{column}", column, "route", "entry_model"
        queries = [(table, f"{during} AND purpose <> 'audit' AND {owner} <> {payer} AND settled_nusd > 0", values)]
    else:
        during, values = period.within("entry.at")
        also, more = period.within("attempt.at")
        cost = "attempt.cost_nusd"
        compared = "CASE WHEN entry.baseline_nusd IS NOT NULL THEN attempt.cost_nusd ELSE 0 END"
        owner, payer = f"coalesce(entry.{column}, '')", f"attempt.{column}"
        route, model = "coalesce(entry.route, '')", "coalesce(entry.model, '')"
        where = (
            f"{during} AND {also} AND entry.purpose <> 'audit' AND {owner} <> {payer} "
            "AND attempt.cost_nusd > 0 AND entry.cost_nusd IS NOT NULL"
        )
        queries = [
            (f"{attempts} AS attempt JOIN {entries} AS entry ON entry.id = attempt.entry", where, [*values, *more])
            for entries, attempts in attempt_tables(reader, period)
        ]
    lost = _OVERHEAD if not from_rows else f"attempt.{_OVERHEAD}"
    for source, where, values in queries:
        query = f"""
            SELECT {owner} AS owner, {payer} AS payer, {route} AS route, {model} AS model, {block} AS block,
                   sum(CASE WHEN {lost} THEN 0 ELSE {cost} END) AS cost_nusd,
                   sum(CASE WHEN {lost} THEN {cost} ELSE 0 END) AS overhead_nusd,
                   sum({compared}) AS comparable_nusd,
                   sum(CASE WHEN {lost} THEN 0 ELSE {compared} END) AS comparable_cost_nusd
            FROM {source} WHERE {where} GROUP BY 1, 2, 3, 4, 5
        """
        yield from (_move(found, label(found["owner"]), label(found["payer"])) for found in reader.rows(query, values))


def _move(found: dict[str, Any], owner: str, payer: str) -> Move:
    return Move(**{**found, "owner": owner, "payer": payer})
