"""Plain tables for terminals and pipes; colour on a terminal only."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

COLOURS = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, footer: Sequence[str] | None = None) -> str:
    """Columns as wide as they need; the first `left` of them aligned left, the others right."""
    body = [*rows, *([footer] if footer else [])]
    widths = [max(len(r[i]) for r in [headings, *body]) for i in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        parts = (c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * w for w in widths)
    lines = [line(headings), rule, *(line(r) for r in rows)]
    return "\n".join([*lines, rule, line(footer)] if footer else lines)


def coloured(text: str, colour: str) -> str:
    """The text in colour if standard output is a terminal that wants it (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"
