"""What people thought of answers: the latest feedback on each entry of a period, counted by line and by what answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.ledger.base import LedgerReader
from gateway.report.dimension import Dimension
from gateway.report.period import HOUR_S, Period
from gateway.report.sums import entry_tables

IDS_MAX: Final = 500  # looked up at a time


@dataclass(frozen=True, slots=True, order=True)
class Answered:
    """What answered on a route: a model, the cache (`hit-exact`, `hit-semantic`), or, where both are "", a FAQ, or nobody."""

    route: str
    model: str = ""
    hit: str = ""

    @classmethod
    def of(cls, route: str | None, model: str | None, cache: str) -> Answered:
        """Of what an entry, or the roll-up of some, says."""
        if cache in ("hit-exact", "hit-semantic"):
            return cls(route or "", hit=cache)
        return cls(route or "", model or "")


@dataclass(slots=True)
class Opinions:
    """good, bad: answers whose latest feedback is above 0, and below."""

    good: int = 0
    bad: int = 0


def opinions(reader: LedgerReader, dimension: Dimension, period: Period) -> dict[tuple[str, Answered], Opinions]:
    """By the line's name and by what answered.

    It begins with the feedback, of which there is little, and looks up the entries that it is on: going through the entries and
    looking for feedback on each of them takes minutes. What names no entry is on the latest one of its request.
    """
    counted: dict[tuple[str, Answered], Opinions] = defaultdict(Opinions)
    for (name, answered), value in _latest(reader, dimension, period).values():
        found = counted[name, answered]
        found.good += value > 0
        found.bad += value < 0
    return dict(counted)


def _latest(reader: LedgerReader, dimension: Dimension, period: Period) -> dict[int, tuple[tuple[str, Answered], float]]:
    """The latest feedback on each entry, by the entry's id."""
    label, latest = dimension.label(), {}
    # Clocks of several gateways may differ: feedback that seems a little older than its entry is on it all the same.
    said = "SELECT request_id, entry, value FROM feedback WHERE at >= ? ORDER BY id"
    for batch in reader.batches(said, [period.since - HOUR_S]):
        entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in _entries(reader, dimension, period, sorted({said["request_id"] for said in batch})):
            entries[row["request_id"]].append(row)
        for said_ in batch:
            on = [row for row in entries[said_["request_id"]] if said_["entry"] in (None, row["uid"])]
            if not on:
                continue
            row = max(on, key=lambda row: (row["at"], row["id"]))
            if row["purpose"] == "request" and _has(period, row["at"]):
                answered = Answered.of(row["route"], row["model"], row["cache"])
                latest[row["id"]] = ((label(row["name"]), answered), said_["value"])
    return latest


def _entries(reader: LedgerReader, dimension: Dimension, period: Period, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    name = dimension.in_entry(reader.engine)
    for table in entry_tables(reader, Period(period.since)):
        for first in range(0, len(ids), IDS_MAX):
            some = ids[first : first + IDS_MAX]
            places = ", ".join("?" * len(some))
            yield from reader.rows(
                f"SELECT {name} AS name, id, request_id, uid, at, purpose, route, model, cache FROM {table} "
                f"WHERE request_id IN ({places})",
                some,
            )


def _has(period: Period, at: float) -> bool:
    return period.since <= at and (period.until is None or at < period.until)
