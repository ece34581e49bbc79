"""One thing that the doctor or the first screen found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """level: `missing` leaves something unused, `broken` stops something. remedy: what to do, "" if nothing."""

    level: Level
    thing: str
    what: str
    remedy: str = ""

    @property
    def mark(self) -> str:
        return {"ok": "ok     ", "missing": "missing", "broken": "broken "}[self.level]

    @property
    def colour(self) -> str:
        return {"ok": "green", "missing": "yellow", "broken": "red"}[self.level]
