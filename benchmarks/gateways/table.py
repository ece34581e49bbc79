"""The tables of a run, in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.gateways.results import (
    COMPARED,
    CURVE_FIGURES,
    DIRECT,
    FIGURES,
    REQUESTS,
    SIZE,
    STREAMS,
    Figure,
    Results,
    Row,
    medians,
    ratios,
)

RATIOS_OF = ("pass-through", "default")
NONE = "–"


def tables(results: Results) -> str:
    """All of them, each under its heading."""
    table = medians(results)
    parts = ["### Requests", _table(table, REQUESTS), "### Streams", _table(table, STREAMS)]
    parts += ["### Memory and start", _table(table, SIZE), "### Added latency by concurrency", curve(table)]
    for name in RATIOS_OF:
        others = {other: row for other, row in table.items() if not results.contenders[other].is_ours or other == name}
        if name in table and len(others) > 2:
            parts += [f"### `{name}` beside the others", compared(others, name)]
    return "\n\n".join(parts)


def curve(table: Mapping[str, Row]) -> str:
    """p50 · p99 by concurrency."""
    concurrencies = list(dict.fromkeys(key.partition("_")[0] for key in CURVE_FIGURES))
    rows = []
    for name, row in table.items():
        if name != DIRECT:
            pairs = [[shown(f"{c}_added_{share}", row[f"{c}_added_{share}"]) for share in ("p50", "p99")] for c in concurrencies]
            rows.append([name, *(" · ".join(pair) for pair in pairs)])
    return _markdown(["+p50 · +p99, ms", *(f"{c.removeprefix('c')} at a time" for c in concurrencies)], rows)


def compared(table: Mapping[str, Row], name: str) -> str:
    """How many times better `name` is than each other, save the provider itself."""
    rows = [[other, *(_times(row[key]) for key in COMPARED)] for other, row in ratios(table, name).items()]
    return _markdown([f"{name} is better than", *(FIGURES[key].heading for key in COMPARED)], rows)


def _table(table: Mapping[str, Row], figures: Mapping[str, Figure]) -> str:
    rows = []
    for name, row in table.items():
        # Of the provider itself only what it can do is of interest: nothing is added to it, and its CPU is the load's too.
        keys = [key if name != DIRECT or figures[key].is_more_better or key == "errors" else None for key in figures]
        rows.append([name, *(NONE if key is None else shown(key, row[key]) for key in keys)])
    return _markdown(["", *(figure.heading for figure in figures.values())], rows)


def shown(key: str, value: float | None) -> str:
    return NONE if value is None else f"{value:,.{FIGURES[key].digits}f}".replace("-", "−")


def _times(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}×" if value >= 20 else f"{value:.2f}×" if value < 2 else f"{value:.1f}×"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
