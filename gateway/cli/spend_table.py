"""A spend report as text: what is unusual first, the lines, what they saved, the cache, the machines, and what is left out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from gateway.cli.bars import bar
from gateway.cli.table import clipped, coloured, padded, table
from gateway.report.anomalies import Anomaly, Watched
from gateway.report.compare import Change, Comparison
from gateway.report.dimension import Dimension
from gateway.report.machines import Machine
from gateway.report.period import day_of
from gateway.report.report import Report
from gateway.report.row import Row
from gateway.report.savings import SAID_MIN, Savings

HEADINGS: Final = (
    *("requests", "cached", "errors", "tokens in", "tokens out"),
    *("cost USD", "overhead USD", "baseline USD", "saved USD"),
)
COMPARED: Final = ("requests before", "now", "paid USD before", "now", "change USD", "change", "note")
CACHE_HEADINGS: Final = (
    *("exact", "semantic", "tokens saved", "saved USD", "upkeep USD"),
    *("audited", "precision", "95 % interval", "feedback"),
)
GPU_HEADINGS: Final = (
    *("hours", "bill USD", "busy", "USD/M in", "USD/M out"),
    *("baseline USD", "requests/day", "break-even/day"),
)
ANOMALIES_MAX: Final = 5
NAME_COLUMNS: Final = 60
TEXT_COLUMNS: Final = 100
BAR_CHARS: Final = 12


def spend_table(report: Report, *, has_bars: bool) -> str:
    """has_bars: for a terminal, where lines are drawn beside numbers."""
    if not report.rows and report.comparison is None:
        return "nothing was asked and nothing spent in this time; an earlier --since looks further back"
    parts = [_unusual(report.unusual), _lines(report, has_bars=has_bars), _texts(report), _notes(report)]
    if report.whole.cache.is_used:
        used = [row for row in report.rows if row.cache.is_used]
        cells, whole = [_cache_cells(row) for row in used], _cache_cells(report.whole)
        parts.append("cache\n" + table((report.dimension.by, *CACHE_HEADINGS), cells, footer=whole))
    if report.machines:
        parts.append("self-hosted\n" + table(("model", *GPU_HEADINGS), [_gpu_cells(machine) for machine in report.machines]))
    return "\n\n".join(part for part in parts if part)


def _lines(report: Report, *, has_bars: bool) -> str:
    by = report.dimension.by
    if report.comparison is not None:
        return _compared(report, report.comparison)
    most = max((row.paid_nusd for row in report.rows), default=0)
    headings = [by, *(["share"] if report.texts is not None else []), *HEADINGS]
    rows = [_cells(report, row) for row in report.rows]
    text = table(headings, rows, footer=_cells(report, report.whole))
    if not has_bars:
        return text
    lines, (head, rule, *body) = [], text.splitlines()
    for row, line in zip(report.rows, body, strict=False):
        drawn = bar(row.paid_nusd, most, BAR_CHARS, sys.stdout.encoding)
        lines.append(f"{padded(line, len(rule))}  {coloured(drawn, 'green')}".rstrip())
    return "\n".join([head, rule, *lines, *body[len(report.rows) :]])


def _cells(report: Report, row: Row) -> list[str]:
    counts = (row.requests, row.cache_hits, row.errors, row.input_tokens, row.output_tokens)
    money = (row.cost_nusd, row.overhead_nusd, row.baseline_nusd, row.saved_nusd)
    share = [f"{report.share(row):.1%}"] if report.texts is not None else []
    return [_name(row.name), *share, *(f"{n:,}" for n in counts), *(_usd(nusd) for nusd in money)]


def _texts(report: Report) -> str:
    """The words of the templates that have a line, or their beginning."""
    lines = []
    for name, text in (report.texts or {}).items():
        lines.append(f"{_name(name)}  {clipped(_plain(' '.join(text.split())), TEXT_COLUMNS)}")
    return "\n".join(lines)


def _compared(report: Report, comparison: Comparison) -> str:
    rows = [_change_cells(change) for change in comparison.changes]
    headings = (report.dimension.by, *COMPARED)
    said = f"before: {_span(comparison.period.since, comparison.period.until, report.dimension)}"
    return f"{table(headings, rows, footer=_change_cells(comparison.whole))}\n{said}"


def _change_cells(change: Change) -> list[str]:
    before, now = change.before, change.now
    share = "" if change.share is None else f"{change.share:+.1%}"
    counts = (f"{before.requests:,}", f"{now.requests:,}")
    money = (_usd(before.paid_nusd), _usd(now.paid_nusd), f"{_usd(change.nusd)}")
    return [_name(now.name), *counts, *money, share, change.mark or ""]


def _span(since: float, until: float | None, dimension: Dimension) -> str:
    return f"{day_of(since)} to {'now' if until is None else day_of(until)} (UTC)"


def _unusual(watched: Watched) -> str:
    """A line for each name, with the day that cost the most more."""
    by_name: dict[str, list[Anomaly]] = {}
    for one in watched.found:
        by_name.setdefault(one.name, []).append(one)
    lines = []
    for name, found in list(by_name.items())[:ANOMALIES_MAX]:
        worst, more = found[0], sum(one.excess_nusd for one in found)
        days = "" if len(found) == 1 else f"; {_usd(more)} more on {len(found)} days"
        usual = f"{_usd(worst.nusd)} USD on {day_of(worst.day)}, usually {_usd(worst.usual_nusd)}"
        lines.append(f"! {_name(name)}: {usual}: {_usd(worst.excess_nusd)} more{days}")
    if len(by_name) > ANOMALIES_MAX:
        lines.append(f"! and {len(by_name) - ANOMALIES_MAX} others, with less")
    return "\n".join(coloured(line, "yellow") for line in lines)


def _notes(report: Report) -> str:
    """What the lines saved, and what is not in them."""
    whole, lines = report.whole, [_saved(report.saved_in_all)]
    if report.saved_in_all.unproven_nusd > 0:
        another = "another " if report.saved_in_all.saved_nusd is not None else ""
        lines.append(
            f"unproven: {another}{_usd(report.saved_in_all.unproven_nusd)} USD, if cheaper models' answers were as good; "
            f"feedback on {SAID_MIN} of a route and model would tell"
        )
    if whole.unpriced:
        lines.append(f"+ the unknown cost of {_requests(whole.unpriced)} to models with `price: unknown`")
    if whole.not_comparable:
        lines.append(f"saved leaves out {_requests(whole.not_comparable)} whose cost or baseline is unknown")
    if report.unusual.reason is not None:
        lines.append(f"unusual days: {report.unusual.reason}")
    return "\n".join(lines)


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _saved(saved: Savings) -> str:
    if saved.saved_nusd is None or saved.low_nusd is None or saved.high_nusd is None:
        return f"saved, net of all overhead: {saved.reason}"
    interval = f"{_usd(saved.low_nusd)} to {_usd(saved.high_nusd)}"
    return f"saved, net of all overhead: {_usd(saved.saved_nusd)} USD (95 % interval: {interval})"


def _cache_cells(row: Row) -> list[str]:
    worth = row.cache
    precision, interval = worth.precision, worth.interval
    return [
        _name(row.name),
        *(f"{n:,}" for n in (worth.exact_hits, worth.semantic_hits, worth.tokens_saved)),
        *(_usd(nusd) for nusd in (worth.saved_nusd, worth.overhead_nusd + worth.refresh_nusd)),
        f"{worth.audited:,}",
        "" if precision is None else f"{precision:.1%}",
        "" if interval is None else f"{interval[0]:.1%}-{interval[1]:.1%}",
        f"+{worth.good} -{worth.bad}" if worth.good or worth.bad else "",
    ]


def _gpu_cells(machine: Machine) -> list[str]:
    paid: Sequence[float | None] = machine.usd_per_million
    return [
        _name(machine.model),
        f"{machine.hours:,}",
        _usd(machine.bill_nusd),
        f"{machine.busy_share:.1%}",
        *("" if usd is None else f"{usd:,.4f}" for usd in paid),
        _usd(machine.baseline_nusd) if machine.compared else "",
        f"{machine.requests_per_day:,.0f}",
        "" if machine.break_even is None else f"{machine.break_even:,.0f}",
    ]


def _name(text: str) -> str:
    """A line's name: callers choose tags, keys' and models' names may be long as well."""
    return clipped(_plain(text), NAME_COLUMNS)


def _plain(text: str) -> str:
    """Without what a terminal would obey: tags and the words of templates come from callers."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _usd(nusd: int) -> str:
    return f"{round(nusd / 1e9, 6) + 0.0:,.6f}"  # + 0.0: no "-0.000000"
