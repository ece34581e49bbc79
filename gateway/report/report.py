"""All that `turnout spend` tells of a period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.ledger.base import LedgerReader
from gateway.report.anomalies import Watched, anomalies
from gateway.report.cells import cells
from gateway.report.compare import Comparison, compare, shifted
from gateway.report.dimension import Dimension
from gateway.report.machines import Machine, machines
from gateway.report.period import Period
from gateway.report.prompts import Prompts
from gateway.report.row import Row, total
from gateway.report.said import opinions
from gateway.report.savings import Savings, judged_by, savings
from gateway.report.spend import in_order, spend


@dataclass(frozen=True)
class Report:
    """rows: the dearest first, by time for days and hours. saved: by the row's name. texts: of templates, by the row's name.

    machines: of a report by model.
    """

    dimension: Dimension
    period: Period
    rows: Sequence[Row]
    whole: Row
    saved: Mapping[str, Savings]
    saved_in_all: Savings
    unusual: Watched
    machines: Sequence[Machine] = ()
    texts: Mapping[str, str] | None = None
    comparison: Comparison | None = None

    def share(self, row: Row) -> float:
        """The row's share of all money that was paid."""
        return row.paid_nusd / self.whole.paid_nusd if self.whole.paid_nusd else 0.0

    def row_json(self, row: Row) -> dict[str, Any]:
        """A row with all that is known of it."""
        text = {} if self.texts is None else {"text": self.texts.get(row.name)}
        found = self.saved.get(row.name)
        saved = None if found is None else found.as_json()
        return {**row.as_json(self.dimension.by), **text, "share": self.share(row), "savings": saved}


Progress = Callable[[float, str], None]


def report(
    reader: LedgerReader,
    dimension: Dimension,
    period: Period,
    now: float,
    before: Period | None = None,
    progress: Progress = lambda done, what: None,
) -> Report:
    """Read the ledger. now: seconds since 1970. before: a period to compare it with. progress: told what is read next, and the
    share that is done. Raises OSError.
    """
    progress(0.0, "feedback")
    said = opinions(reader, dimension, period)
    progress(0.1, "what was spent")
    rows = spend(reader, dimension, period, said=said)
    progress(0.4, "what was saved")
    blocks = cells(reader, dimension, period)
    earlier = None if before is None else spend(reader, dimension, before)
    named: Callable[[str], str] = str
    texts = None
    if dimension.by == "prompt":
        prompts = Prompts(reader)
        rows, named = in_order(dimension, prompts.fold(rows)), prompts.name
        blocks.names = [named(name) for name in blocks.names]
        earlier = None if earlier is None else prompts.renamed(earlier)
        texts = {row.name: text for row in rows if (text := prompts.text(row.name))}
    progress(0.8, "unusual days")
    unusual = anomalies(reader, dimension, period, now, named)
    judged = judged_by(said, _audits(reader, period))
    saved, saved_in_all = savings(blocks, judged, are_times=dimension.length_s is not None)
    return Report(
        dimension,
        period,
        rows,
        total(rows),
        saved,
        saved_in_all,
        unusual,
        machines(reader, period, now) if dimension.by == "model" else (),
        texts,
        None if before is None or earlier is None else _compared(dimension, period, before, earlier, rows),
    )


def _compared(dimension: Dimension, period: Period, before: Period, earlier: Sequence[Row], rows: Sequence[Row]) -> Comparison:
    return compare(before, shifted(earlier, dimension, period.since - before.since), rows)


def _audits(reader: LedgerReader, period: Period) -> list[tuple[str, int, int]]:
    """The verdicts on semantic hits by route, right and wrong, in the hours that the period touches."""
    whole = Period(period.since - period.since % 3600, period.until)
    during, values = whole.within("hour")
    query = f"""
        SELECT route, sum(judged_right) AS good, sum(judged_wrong) AS bad FROM rollup
        WHERE purpose = 'audit' AND {during} GROUP BY 1
    """
    return [(row["route"], row["good"], row["bad"]) for row in reader.rows(query, values)]
