"""Bars beside numbers."""

from __future__ import annotations

from typing import Final

EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def bar(value: float, most: float, chars: int, encoding: str | None = "utf-8") -> str:
    """A bar as long as the value's share of the most, in eighths of a character; in `#` where the encoding has no blocks."""
    share = min(max(value / most, 0.0), 1.0) if most > 0 else 0.0
    try:
        EIGHTHS.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * round(share * chars)
    eighths = round(share * chars * 8)
    return (EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8]).strip()
