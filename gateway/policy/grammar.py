"""The words that the grammar of a policy file is made of: strict mappings, durations, names, shares."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
RATE: Final = re.compile(r"^([1-9][0-9]{0,14})/([1-9][0-9]{0,2})?(s|min|h|day)$")
_RATE_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"


def seconds(value: object) -> float:
    """`"200ms"`, `"2s"`, `"5m"`, `"24h"`, `"7d"` as seconds. Raises ValueError."""
    found = _DURATION.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'a duration with its unit is expected, such as "200ms", "2s", "5m", "24h" or "7d", not {value!r}')
    return float(found[1]) * _SECONDS[found[2]]


def rate(value: object) -> tuple[int, int]:
    """`"600/min"`, `"50/10s"` as an amount and the seconds in which it is allowed. Raises ValueError."""
    found = RATE.match(value) if isinstance(value, str) else None
    if not found:
        told = '"600/min", "10/s", "5000/h", "1000000/day" or "50/10s"'
        raise ValueError(f"a number in a time is expected, such as {told}, not {value!r}")
    return int(found[1]), int(found[2] or 1) * _RATE_SECONDS[found[3]]


def day(value: object) -> float:
    """`"2026-01-31"` as the seconds since 1970 at which that day begins, UTC. Raises ValueError."""
    try:
        found = date.fromisoformat(value) if isinstance(value, str) and _DAY.match(value) else None
    except ValueError:  # a thirteenth month
        found = None
    if found is None:
        raise ValueError(f"a day is expected, such as 2026-01-31, not {value!r}")
    return datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()


def _day(value: object) -> float:
    try:
        return day(value)
    except ValueError as exc:
        raise PydanticCustomError("day", "{message}", {"message": str(exc)}) from exc


def _duration(value: object) -> float:
    try:
        return seconds(value)
    except ValueError as exc:
        raise PydanticCustomError("duration", "{message}", {"message": str(exc)}) from exc


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern}, mode="validation"),
]
Day = Annotated[
    float,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY.pattern}, mode="validation"),
]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
Timeout = Annotated[Duration, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Unknown keys are errors; values are what they are, not what they could be read as."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


_FLOOR = re.compile(r"^\s*>=\s*(-?[0-9]*\.?[0-9]+)\s*$")


def _floor(value: object) -> float:
    found = _FLOOR.match(value) if isinstance(value, str) else None
    if found:
        return float(found[1])
    message = f'a lower bound such as ">=0.8" is expected, not {value!r}'
    raise PydanticCustomError("floor", "{message}", {"message": message})


Floor = Annotated[
    float, BeforeValidator(_floor), WithJsonSchema({"type": "string", "pattern": _FLOOR.pattern}, mode="validation")
]
"""A number that something must reach, written as a comparison like everywhere else in a policy: `">=0.8"`."""
