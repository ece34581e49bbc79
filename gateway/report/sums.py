"""The sums of a report's lines as SQL, over the roll-ups and, with the same results, over entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.ledger.base import LedgerReader
from gateway.report.cache_worth import CacheWorth
from gateway.report.dimension import Dimension
from gateway.report.period import Period
from gateway.report.row import NUMBERS, Row

_HIT: Final = "cache IN ('hit-exact', 'hit-semantic')"
INDEXED_MAX: Final = 0.25  # of a table's time
_MONEY: Final = ("cost_nusd", "overhead_nusd", "baseline_nusd")


@dataclass(frozen=True, slots=True)
class _Measures:
    """What is summed up of the rows of a table, as SQL. count: how many entries they are; verdicts: by what the audit said."""

    count: str
    tokens: tuple[str, str]
    saved: str
    unpriced: str
    not_comparable: str
    verdicts: tuple[str, str, str]

    def asked(self) -> dict[str, str]:
        """What is summed up of callers' requests."""
        tokens_in, tokens_out = self.tokens
        return self._money() | {
            "requests": self.count,
            "cache_hits": _where(_HIT, self.count),
            "errors": _where("outcome IN ('error', 'timeout')", self.count),
            "input_tokens": f"sum({tokens_in})",
            "output_tokens": f"sum({tokens_out})",
            "cache_semantic_hits": _where("cache = 'hit-semantic'", self.count),
            "cache_tokens_saved": _where(_HIT, f"sum({tokens_in} + {tokens_out})"),
            "cache_saved_nusd": _where(_HIT, "sum(baseline_nusd)"),
            "cache_overhead_nusd": _where("cache <> 'bypass'", "sum(overhead_nusd)"),
        }

    def own(self) -> dict[str, str]:
        """What is summed up of what the gateway asked on its own account, and of machines' hours."""
        verdicts = zip(("right", "wrong", "unsure"), self.verdicts, strict=True)
        return self._money() | {
            "cache_overhead_nusd": _where("purpose = 'audit' OR cache <> 'bypass'", "sum(overhead_nusd)"),
            "cache_refreshes": _where("purpose = 'refresh'", self.count),
            "cache_refresh_nusd": _where("purpose = 'refresh'", "sum(cost_nusd)"),
            "cache_audited": _where("purpose = 'audit'", self.count),
            **{f"cache_{name}": _where("purpose = 'audit'", f"sum({verdict})") for name, verdict in verdicts},
        }

    def _money(self) -> dict[str, str]:
        found = {name: f"sum({name})" for name in _MONEY}
        return found | {"saved_nusd": self.saved, "unpriced": self.unpriced, "not_comparable": self.not_comparable}


def _where(condition: str, sum_: str) -> str:
    # A million entries take 0.9 of the time that they take with sum(CASE WHEN …).
    return f"{sum_} FILTER (WHERE {condition})"


_ROLLUP: Final = _Measures(
    "sum(requests)",
    ("input_tokens", "output_tokens"),
    "sum(saved_nusd)",
    "sum(unpriced)",
    "sum(not_comparable)",
    ("judged_right", "judged_wrong", "judged_unsure"),
)
_SAVED: Final = "baseline_nusd - cost_nusd - overhead_nusd"
_ENTRY: Final = _Measures(
    "count(*)",
    ("usage_input", "usage_output"),
    f"sum({_SAVED})",
    "count(*) - count(cost_nusd)",
    f"count(*) - count({_SAVED})",
    (
        "CASE verdict WHEN 'right' THEN 1 ELSE 0 END",
        "CASE verdict WHEN 'wrong' THEN 1 ELSE 0 END",
        "CASE verdict WHEN 'unsure' THEN 1 ELSE 0 END",
    ),
)


def sums(reader: LedgerReader, dimension: Dimension, period: Period, *, from_rows: bool) -> Iterator[Row]:
    """The sums of the period's lines, in several parts of it: rows of one name are to be added up.

    from_rows: of the entries, of any period; else of the roll-ups, of whole hours.
    """
    label = dimension.label()
    measures = _ENTRY if from_rows else _ROLLUP
    for name, source, values in _of_entries(reader, dimension, period) if from_rows else _of_rollups(dimension, period):
        asked = _query(name, measures.asked(), f"{source} AND purpose = 'request'")
        own = _query(dimension.or_idle(name), measures.own(), f"{source} AND purpose <> 'request'")
        for query in (asked, own):
            for found in reader.rows(query, values):
                yield _row({name: value or 0 for name, value in found.items() if name != "name"}, label(found["name"]))


def _query(name: str, columns: dict[str, str], source: str) -> str:
    listed = ", ".join(f"{sum_} AS {column}" for column, sum_ in columns.items())
    return f"SELECT {name} AS name, {listed} FROM {source} GROUP BY 1"


def _of_entries(reader: LedgerReader, dimension: Dimension, period: Period) -> list[tuple[str, str, list[float]]]:
    """The line's name as SQL, and each of the sources that have it."""
    name = dimension.in_entry(reader.engine)
    return [(name, source, values) for source, values in entry_sources(reader, period)]


def _of_rollups(dimension: Dimension, period: Period) -> list[tuple[str, str, list[float]]]:
    """The same for whole hours. Whole days of them are read from the sums by the day, which are some ten times fewer."""
    days = period.days if dimension.by != "hour" else None
    found = [(dimension.in_rollup(), *rollup_source(edge)) for edge in period.edges(days)]
    if days is not None:
        during, values = days.within("day")
        found.append((dimension.in_rollup("day"), f"rollup_day WHERE {during}", values))
    return found


def entry_tables(reader: LedgerReader, period: Period) -> list[str]:
    """The tables that hold the period's entries. Each is summed up by itself: a view over all of them takes twice as long."""
    return [part.entry for part in reader.parts() if _has(period, part.begin, part.end)]


def entry_sources(reader: LedgerReader, period: Period) -> list[tuple[str, list[float]]]:
    """What to select the period's entries from, each as SQL up to and with the condition, and its values.

    Only where a small part of a table is asked for does the condition let the index of times be used: it costs a look-up for each
    row, and SQLite would take it whatever the period.
    """
    found: list[tuple[str, list[float]]] = []
    for part in reader.parts():
        if not _has(period, part.begin, part.end):
            continue
        begin, end = max(part.begin, period.since), part.end if period.until is None else min(part.end, period.until)
        during, values = period.within("at" if end - begin < INDEXED_MAX * (part.end - part.begin) else "+at")
        if (begin, end) == (part.begin, part.end):
            during, values = "1 = 1", []
        found.append((f"{part.entry} AS entry WHERE {during}", values))
    return found


def rollup_source(period: Period) -> tuple[str, list[float]]:
    """The same for the roll-ups of whole hours."""
    during, values = period.within("hour")
    return f"rollup WHERE {during}", values


def attempt_tables(reader: LedgerReader, period: Period) -> list[tuple[str, str]]:
    """The tables that hold the period's entries, each with that of their attempts."""
    return [(part.entry, part.attempt) for part in reader.parts() if _has(period, part.begin, part.end)]


def _has(period: Period, begin: float, end: float) -> bool:
    return end > period.since and (period.until is None or begin < period.until)


def _row(found: dict[str, Any], name: str) -> Row:
    worth = {
        key.removeprefix("cache_"): value for key, value in found.items() if key.startswith("cache_") and key != "cache_hits"
    }
    worth["exact_hits"] = found.get("cache_hits", 0) - worth.get("semantic_hits", 0)
    return Row(name, **{key: found[key] for key in NUMBERS if key in found}, cache=CacheWorth(**worth))
