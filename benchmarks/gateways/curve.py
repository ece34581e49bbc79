"""The overhead curve as a picture: added latency by requests at a time, on logarithmic scales. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, log10

from benchmarks.gateways.results import DIRECT, Results, Row, medians
from benchmarks.gateways.workloads import CURVE

WIDTH, HEIGHT = 880, 430
TOP, BOTTOM, LEFT, PANEL, BETWEEN = 56, 40, 58, 320, 60
LOWEST_MS = 0.1  # what is less is drawn here: two latencies that differ by so little differ by chance
LABEL = 13  # px between two names
# For light and for dark: readable on #fff and on #0d1117, and told apart by people who confuse red with green.
COLOURS = {
    "nginx": ("#7a7a7a", "#9a9a9a"),
    "bare": ("#3d3d3d", "#d0d0d0"),
    "pass-through": ("#0b62c4", "#4ea1ff"),
    "rules": ("#00838f", "#2fc6d2"),
    "default": ("#5e35b1", "#ab8bf5"),
    "semantic": ("#ad1a72", "#f272bd"),
    "semantic-redis": ("#8a6d00", "#d9b632"),
    "portkey": ("#c75300", "#ff9447"),
    "litellm": ("#c01f1f", "#ff6b61"),
}
OTHER = ("#55606a", "#a8b3bd")


def picture(results: Results) -> str:
    """SVG, for light and dark by what the reader's system prefers. A point that was not measured is left out."""
    rows = {name: row for name, row in medians(results).items() if name != DIRECT}
    values = [value for row in rows.values() for c in CURVE for share in ("p50", "p99") if (value := _value(row, c, share))]
    decades = max(1, ceil(log10(max(values, default=1.0) / LOWEST_MS)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" '
        'role="img" aria-labelledby="title">',
        '<title id="title">Added latency by requests at a time</title>',
        f"<style>{_style(rows)}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        _text(LEFT, 22, "What a gateway adds to an answer, by how many requests are under way at a time", size=14),
    ]
    for number, (share, title) in enumerate((("p50", "median"), ("p99", "99th percentile"))):
        left = LEFT + number * (PANEL + BETWEEN)
        parts += [_text(left, 44, f"{title}, ms"), *_axes(left, decades)]
        parts += [_line(name, row, share, left, decades) for name, row in rows.items()]
    parts += _labels(rows, LEFT + 2 * PANEL + BETWEEN + 8, decades)
    return "\n".join([*parts, "</svg>\n"])


def _style(names: Mapping[str, Row]) -> str:
    """Colours as classes: a picture cannot know the page that it is shown on, but what the reader's system prefers."""

    def rules(side: int, paper: str, ink: str, grid: str) -> str:
        colours = {_class(name): COLOURS.get(name, OTHER)[side] for name in names}
        return f".paper{{fill:{paper}}}text{{fill:{ink}}}.grid{{stroke:{grid}}}" + "".join(
            f".{each}{{stroke:{colour}}}text.{each},circle.{each}{{fill:{colour};stroke:none}}"
            for each, colour in colours.items()
        )

    light, dark = rules(0, "#ffffff", "#24292f", "#d8dee4"), rules(1, "#0d1117", "#e6edf3", "#30363d")
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _class(name: str) -> str:
    return f"c-{name}"


def _value(row: Row, concurrency: int, share: str) -> float | None:
    return row[f"c{concurrency}_added_{share}"]


def _x(left: float, concurrency: int) -> float:
    return round(left + PANEL * CURVE.index(concurrency) / (len(CURVE) - 1), 1)


def _y(value_ms: float, decades: int) -> float:
    share = log10(max(value_ms, LOWEST_MS) / LOWEST_MS) / decades
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)


def _axes(left: float, decades: int) -> list[str]:
    parts = []
    for power in range(decades + 1):
        value = LOWEST_MS * 10**power
        y = _y(value, decades)
        parts.append(f'<path class="grid" d="M{left} {y}h{PANEL}"/>')
        parts.append(_text(left - 10, y + 4, f"≤ {value:g}" if not power else f"{value:,g}", anchor="end"))
    below = HEIGHT - BOTTOM + 18
    return [*parts, *(_text(_x(left, concurrency), below, str(concurrency), anchor="middle") for concurrency in CURVE)]


def _line(name: str, row: Row, share: str, left: float, decades: int) -> str:
    points = [
        (_x(left, concurrency), _y(value, decades))
        for concurrency in CURVE
        if (value := _value(row, concurrency, share)) is not None
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle class="{_class(name)}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in points)
    return f'<polyline class="{_class(name)}" fill="none" stroke-width="2" points="{line}"/>{dots}'


def _labels(rows: Mapping[str, Row], left: float, decades: int) -> list[str]:
    """Each line's name where it ends, moved as far as it takes for no two to touch."""
    ends = {}
    for name, row in rows.items():
        last = [value for concurrency in CURVE if (value := _value(row, concurrency, "p99")) is not None]
        if last:
            ends[name] = _y(last[-1], decades)
    names = sorted(ends, key=lambda name: ends[name])
    places = spread([ends[name] for name in names], LABEL, HEIGHT - BOTTOM)
    return [_text(left, y + 4, name, css=_class(name)) for name, y in zip(names, places, strict=True)]


def spread(places: Sequence[float], apart: float, lowest: float) -> list[float]:
    """Ascending places moved so that they are so far apart, none below `lowest` (the greatest y) as long as there is room."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + apart) if moved else place)
    limit = lowest
    for number in reversed(range(len(moved))):
        moved[number] = min(moved[number], limit)
        limit = moved[number] - apart
    return [round(place, 1) for place in moved]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, css: str = "") -> str:
    named = f' class="{css}"' if css else ""
    return f'<text{named} x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
