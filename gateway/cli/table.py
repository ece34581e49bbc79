"""Plain tables for terminals and pipes; colour on a terminal only."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence

COLOURS = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, footer: Sequence[str] | None = None) -> str:
    """Columns as wide as they need; the first `left` of them aligned left, the others right."""
    body = [*rows, *([footer] if footer else [])]
    widths = [max(width_of(r[i]) for r in [headings, *body]) for i in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        parts = (padded(c, w, is_left=i < left) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * w for w in widths)
    lines = [line(headings), rule, *(line(r) for r in rows)]
    return "\n".join([*lines, rule, line(footer)] if footer else lines)


def width_of(text: str) -> int:
    """The columns that it takes on a terminal: two for what East Asian scripts write wide, none for what combines (UAX #11)."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def padded(text: str, width: int, *, is_left: bool = True) -> str:
    """With blanks, so that it takes that many columns; as it is when it takes more."""
    blanks = " " * (width - width_of(text))
    return text + blanks if is_left else blanks + text


def clipped(text: str, width: int) -> str:
    """Its beginning, which with an ellipsis takes no more than so many columns; all of it when that fits."""
    if width_of(text) <= width:
        return text
    taken = 0
    for n, char in enumerate(text):
        taken += _columns(char)
        if taken > width - 1:
            return text[:n] + "…"
    raise AssertionError("what is wider than that has a character beyond it")


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def coloured(text: str, colour: str) -> str:
    """The text in colour if standard output is a terminal that wants it (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"
