"""A run as a picture: who answered and who failed over time, the time to the first token, and when which target was ill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import log

from benchmarks.chaos.figures import answered_by, quantile
from benchmarks.chaos.load import Record
from benchmarks.chaos.run import Run

WIDTH, LEFT, RIGHT = 860, 60, 16
BARS, LINES, GAP, STRIP = 110, 90, 26, 13  # heights
TARGETS = ("#4477aa", "#66ccee", "#228833", "#ccbb44")  # P. Tol's "bright" palette, made for the colour-blind
FAILED, FALSE, HUNG = "#ee6677", "#882255", "#000000"
ILL = {"down": "#bbbbbb", "errors": "#dddddd", "slow": "#dddddd"}
TTFT_MS = (10.0, 10_000.0)
BUCKETS = 60


def picture(title: str, runs: Sequence[Run]) -> str:
    """SVG with a panel for each run, one below the other."""
    height = 34 + len(runs) * _panel_height(runs[0])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(LEFT, 20, title, size=14),
    ]
    for number, run in enumerate(runs):
        parts += _panel(run, 34 + number * _panel_height(run))
    return "\n".join([*parts, "</svg>\n"])


def _panel_height(run: Run) -> int:
    return 18 + STRIP * len(run.targets) + BARS + LINES + 2 * GAP + 22


def _panel(run: Run, top: int) -> list[str]:
    seconds = run.load.seconds

    def x(time_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(time_s, seconds) / seconds, 1)

    strips = top + 18
    bars = strips + STRIP * len(run.targets) + 4
    lines = bars + BARS + GAP
    return [
        _text(LEFT, top + 12, run.contender, size=12),
        *_legend(run, top + 12),
        *_strips(run, strips, lines + LINES, x),
        *_bars(run, bars, x),
        *_lines(run, lines, x),
        *(_text(x(seconds * at / 6), lines + LINES + 14, f"{seconds * at / 6:.0f} s", anchor="middle") for at in range(7)),
    ]


def _legend(run: Run, y: float) -> list[str]:
    named = [(colour, f"answered by {target.name}") for target, colour in zip(run.targets, TARGETS, strict=False)]
    named += [(FAILED, "failed"), (FALSE, "falsely complete"), (HUNG, "hung")]
    parts, at = [], WIDTH - RIGHT - 92.0 * len(named)
    for colour, name in named:
        parts += [f'<rect x="{at}" y="{y - 8}" width="8" height="8" fill="{colour}"/>', _text(at + 11, y, name, size=9)]
        at += 92
    return parts


def _strips(run: Run, top: float, bottom: float, x: Callable[[float], float]) -> list[str]:
    """A row a target: grey while it is ill. What the first one suffers is shaded over the whole panel."""
    parts = []
    for row, target in enumerate(run.targets):
        y = top + row * STRIP
        parts.append(_text(LEFT - 6, y + 10, target.name, anchor="end"))
        for start, until, phase in target.spans():
            if phase.kind == "healthy" or start >= run.load.seconds:
                continue
            width = round(x(until) - x(start), 1)
            place, colour = f'x="{x(start)}" y="{y}" width="{width}"', ILL[phase.kind]
            parts.append(f'<rect {place} height="{STRIP - 2}" fill="{colour}"/>')
            what = f"{phase.error_share:.0%} errors" if phase.kind == "errors" else phase.kind
            parts.append(_text(x(start) + 4, y + 9, what, size=9))
            if row == 0:
                parts.append(f'<rect {place} height="{bottom - y:g}" fill="{colour}" opacity=".25"/>')
    return parts


def _bars(run: Run, top: float, x: Callable[[float], float]) -> list[str]:
    """Questions by when they were due, stacked by what became of them."""
    who = answered_by(run)
    colour_of = {target.name: colour for target, colour in zip(run.targets, TARGETS, strict=False)}
    stacks = _buckets(run)
    highest = max((len(stack) for stack in stacks), default=0) or 1
    paths: dict[str, list[str]] = {}
    width = round(x(run.load.seconds / BUCKETS) - x(0) - 1, 1)
    for number, stack in enumerate(stacks):
        colours = [_colour(record, who, colour_of) for record in stack]
        y = top + BARS
        for colour in (*TARGETS, FAILED, FALSE, HUNG):
            height = round(BARS * colours.count(colour) / highest, 1)
            if height:
                y = round(y - height, 1)
                at = x(number * run.load.seconds / BUCKETS)
                paths.setdefault(colour, []).append(f"M{at} {y}h{width}v{height}h-{width}z")
    rate = highest * BUCKETS / run.load.seconds
    return [
        *(f'<path fill="{colour}" d="{"".join(path)}"/>' for colour, path in paths.items()),
        _text(LEFT - 6, top + 9, f"{rate:.0f}/s", anchor="end"),
        _text(LEFT - 6, top + BARS, "0", anchor="end"),
    ]


def _lines(run: Run, top: float, x: Callable[[float], float]) -> list[str]:
    """Median and p99 of the time to the first token, on a logarithmic scale."""
    low, high = TTFT_MS

    def y(ms: float) -> float:
        return round(top + LINES * (1 - _log_share(min(max(ms, low), high), low, high)), 1)

    parts = []
    for ms, label in ((10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10_000, "10 s")):
        parts.append(f'<path d="M{LEFT} {y(ms)}H{WIDTH - RIGHT}" stroke="#eee"/>')
        parts.append(_text(LEFT - 6, y(ms) + 4, label, anchor="end"))
    for share, colour, name in ((0.5, "#4477aa", "p50"), (0.99, "#ee6677", "p99")):
        points = []
        for number, stack in enumerate(_buckets(run)):
            found = quantile([record.ttft_s for record in stack if record.ttft_s is not None], share)
            if found is not None:
                points.append(f"{x((number + 0.5) * run.load.seconds / BUCKETS)},{y(found * 1000)}")
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(WIDTH - RIGHT - (70 if share < 0.9 else 30), top - 4, name, colour=colour))
    parts.append(_text(LEFT, top - 4, "time to the first token", size=9))
    return parts


def _log_share(value: float, low: float, high: float) -> float:
    return log(value / low) / log(high / low)


def _buckets(run: Run) -> list[list[Record]]:
    stacks: list[list[Record]] = [[] for _ in range(BUCKETS)]
    for record in run.records:
        stacks[min(int(record.due_s / run.load.seconds * BUCKETS), BUCKETS - 1)].append(record)
    return stacks


def _colour(record: Record, who: dict[str, str], colour_of: dict[str, str]) -> str:
    if record.verdict == "whole":
        return colour_of.get(who.get(record.case, ""), TARGETS[-1])
    return {"failed": FAILED, "falsely complete": FALSE, "hung": HUNG}[record.verdict]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, colour: str = "#333") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
