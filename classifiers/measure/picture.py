"""Two diagrams as one SVG: mean quality over the share of strong calls, and how true the probabilities are. Pure text."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from classifiers.measure.routing_metrics import Curve

SIZE: Final = 320  # of a diagram's square, pixels
LEFT, TOP, GAP, RIGHT, BOTTOM = 70, 48, 110, 200, 60
COLOURS: Final = ("#0b6e4f", "#b5651d", "#6a4c93", "#8d99ae", "#c1121f", "#1d3557")
POINTS_MAX: Final = 400


def draw(curves: Mapping[str, Curve], bins: Sequence[tuple[float, float, int]], title: str) -> str:
    """The picture of an evaluation.

    curves: by name, ours first. bins: (mean probability said, share that came true, rows).
    """
    values = [float(v) for found in curves.values() for v in found.quality]
    low, high = min(values), max(values)
    margin = (high - low or 1.0) * 0.05
    low, high = low - margin, high + margin
    width, height = LEFT + 2 * SIZE + GAP + RIGHT, TOP + SIZE + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
        *_frame(LEFT, "share of calls to the strong model", "mean quality", (0.0, 1.0), (low, high)),
    ]
    for i, (name, found) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        step = max(len(found.share) // POINTS_MAX, 1)
        kept = sorted({*range(0, len(found.share), step), len(found.share) - 1})
        points = " ".join(f"{_x(LEFT, found.share[k]):.1f},{_y((found.quality[k] - low) / (high - low)):.1f}" for k in kept)
        weight = 2.5 if i == 0 else 1.3
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{weight}"/>')
        y = TOP + 14 + 20 * i
        x = LEFT + 2 * SIZE + GAP + 20
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{colour}" stroke-width="{weight}"/>')
        parts.append(f'<text x="{x + 28}" y="{y}">{escape(name)}</text>')
    left = LEFT + SIZE + GAP
    parts += _frame(left, "probability said: strong is better", "share that came true", (0.0, 1.0), (0.0, 1.0))
    parts.append(f'<line x1="{left}" y1="{_y(0)}" x2="{left + SIZE}" y2="{_y(1)}" stroke="#999" stroke-dasharray="4 4"/>')
    most = max((rows for *_, rows in bins), default=1)
    for said, came_true, rows in bins:
        radius = 2.5 + 7 * (rows / most) ** 0.5
        parts.append(
            f'<circle cx="{_x(left, said):.1f}" cy="{_y(came_true):.1f}" r="{radius:.1f}" fill="{COLOURS[0]}" fill-opacity="0.6">'
            f"<title>{rows} rows: said {said:.2f}, came true {came_true:.2f}</title></circle>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(left: float, share: float) -> float:
    return left + SIZE * share


def _y(share: float) -> float:
    return TOP + SIZE * (1 - share)


def _frame(left: int, across: str, up: str, xs: tuple[float, float], ys: tuple[float, float]) -> list[str]:
    parts = [f'<rect x="{left}" y="{TOP}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#bbb"/>']
    for tick in range(6):
        share = tick / 5
        x, y = _x(left, share), _y(share)
        parts.append(f'<text x="{x}" y="{TOP + SIZE + 18}" text-anchor="middle">{xs[0] + share * (xs[1] - xs[0]):.1f}</text>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{ys[0] + share * (ys[1] - ys[0]):.2f}</text>')
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + SIZE}" y2="{y}" stroke="#eee"/>')
    middle = TOP + SIZE / 2
    parts.append(f'<text x="{left + SIZE / 2}" y="{TOP + SIZE + 42}" text-anchor="middle">{escape(across)}</text>')
    turned = f'transform="rotate(-90 {left - 50} {middle})"'
    parts.append(f'<text x="{left - 50}" y="{middle}" text-anchor="middle" {turned}>{escape(up)}</text>')
    return parts
