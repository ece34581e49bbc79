"""What a report has a line for each of, and where the ledger says which line something belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from gateway.report.period import DAY_S, HOUR_S, day_of, hour_of

NO_MODEL: Final = "(no model)"  # what answers from the cache and from FAQs are booked under
NO_PROMPT: Final = "(no prompt)"
NONE: Final = "(none)"
IDLE: Final = "(idle)"  # as the key of what nobody used of a self-hosted model's hours; see gateway.gpu.hour
TAG: Final = "tag:"

NAMES: Final = ("route", "model", "provider", "key", "team", "prompt", "day", "hour")
_COLUMNS = {"route": "route", "model": "model", "provider": "provider", "key": "key", "team": "team", "prompt": "prompt_id"}
_UNSAID = {"model": NO_MODEL, "provider": NO_MODEL, "prompt": NO_PROMPT}

_TAG: Final = re.compile(r"tag:[A-Za-z0-9_.-]{1,64}")  # as the names of tags are

Value = str | int | None
Engine = Literal["sqlite", "postgres"]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of NAMES, or a tag as `tag:app`. Make it with `parse`.

    column: of the tables, None for what has none of its own: time, and tags, which the roll-ups lack.
    """

    by: str
    column: str | None

    @property
    def tag(self) -> str | None:
        return self.by.removeprefix(TAG) if self.by.startswith(TAG) else None

    @property
    def length_s(self) -> int | None:
        """Of a line's time, for days and hours."""
        return {"day": DAY_S, "hour": HOUR_S}.get(self.by)

    @property
    def of_attempts(self) -> bool:
        """Whether the attempts of one request may belong to several lines."""
        return self.by in ("model", "provider")

    @property
    def is_rolled_up(self) -> bool:
        return self.tag is None

    def in_rollup(self, time: str = "hour") -> str:
        """SQL over `rollup`, or `rollup_attempt` for the caller's entry; over `rollup_day` when time is `day`."""
        if self.length_s is not None:
            return f"{time} / {self.length_s} * {self.length_s}"
        if self.column is None:
            raise ValueError(f"the roll-ups do not have {self.by}")
        return self.column

    def in_entry(self, engine: Engine) -> str:
        """SQL over `entry`, of the same values."""
        if self.length_s is not None:
            return f"{lengths_until('at', self.length_s, engine)} * {self.length_s}"
        if self.tag is not None:  # a name that `parse` has let through needs no escaping
            said = f"CAST(tags AS json) ->> '{self.tag}'" if engine == "postgres" else f"json_extract(tags, '$.\"{self.tag}\"')"
            return f"coalesce({said}, '')"
        return f"coalesce({self.column}, '')"

    def or_idle(self, name: str) -> str:
        """SQL: the line's name, but for idle hours, which are nobody's, a line of their own."""
        is_apart = self.length_s is None and self.by not in ("key", "model", "provider")
        return f"CASE WHEN key = '{IDLE}' THEN '{IDLE}' ELSE {name} END" if is_apart else name

    def label(self) -> Callable[[Value], str]:
        """What a line is called, from the value that either gives."""
        if self.by == "day":
            return lambda value: day_of(float(value or 0))
        if self.by == "hour":
            return lambda value: hour_of(float(value or 0))
        unsaid = _UNSAID.get(self.by, NONE)
        return lambda value: str(value) if value else unsaid


def lengths_until(column: str, length_s: int, engine: Engine) -> str:
    """SQL: how many whole lengths of time, in seconds, there are from 1970 to the column's moment.

    In whole numbers, as the roll-ups count their hours: a division of the moment itself may be rounded up into the next one.
    """
    whole = f"CAST(floor({column}) AS BIGINT)" if engine == "postgres" else f"CAST({column} AS INTEGER)"
    return f"{whole} / {length_s}"


def parse(text: str) -> Dimension:
    """Raises ValueError."""
    if _TAG.fullmatch(text):
        return Dimension(text, None)
    if text not in NAMES:
        raise ValueError(f"{text!r} is not known; use one of {', '.join(NAMES)}, tag:NAME")
    return Dimension(text, _COLUMNS.get(text))
