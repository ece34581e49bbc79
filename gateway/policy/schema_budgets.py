"""The grammar of `budgets:` and `alerts:`: how much money in which time, and what happens when it is spent."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.policy.budgets import Calendar, Period
from gateway.policy.grammar import NAME_PATTERN, Name, Strict

MONEY: Final = re.compile(r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)/(day|week|month|([1-9][0-9]{0,2})(h|d))$")
_CALENDAR_S: Final[dict[Calendar, int]] = {"day": 86_400, "week": 7 * 86_400, "month": 31 * 86_400}
_UNIT_S: Final = {"h": 3600, "d": 86_400}


def money(value: object) -> tuple[int, Period]:
    """`"50/day"`, `"0.5/24h"` as nano-USD and the time in which they may be spent. Raises ValueError."""
    found = MONEY.match(value) if isinstance(value, str) else None
    if not found or not Decimal(found[1]):
        told = '"50/day", "200/week", "1000/month" or, for a time that rolls, "50/24h" or "1000/30d"'
        raise ValueError(f"an amount of US dollars in a time is expected, such as {told}, not {value!r}")
    nusd = int(Decimal(found[1]) * 10**9)
    for calendar, length_s in _CALENDAR_S.items():
        if found[2] == calendar:
            return nusd, Period(length_s, calendar)
    return nusd, Period(int(found[3]) * _UNIT_S[found[4]])


def _money(value: object) -> tuple[int, Period]:
    try:
        return money(value)
    except ValueError as exc:
        raise PydanticCustomError("duration", "{message}", {"message": str(exc)}) from exc


Money = Annotated[
    tuple[int, Period], BeforeValidator(_money), WithJsonSchema({"type": "string", "pattern": MONEY.pattern}, mode="validation")
]
"""Nano-USD and the time in which they may be spent."""

PER_PATTERN: Final = rf"^(key|team|route|gateway|tag:{NAME_PATTERN[1:-1]})$"


class ThenRoute(Strict):
    """Send what comes then by this route."""

    route: Name


def _shape(value: object) -> str:
    return "keys" if isinstance(value, (dict, BaseModel)) else "word"


class BudgetSpec(Strict):
    """How much money a key, a team, a tag's value, a route or the whole gateway may spend in a time, and what happens then.

    `usd`: a day, week or month of the calendar (UTC), or a time that rolls, as `50/24h`. `at`: from which share of it.
    `then`: `alert`, `refuse`, or `{route: NAME}`. `free: allow`: models whose machine is paid anyway are still asked.
    `of`: whom it holds for, each for itself; else for each that no other budget names.
    """

    per: Annotated[str, Field(pattern=PER_PATTERN)]
    usd: Money
    at: Annotated[float, Field(gt=0, le=1)] = 1.0
    then: Annotated[
        Annotated[Literal["alert", "refuse"], Tag("word")] | Annotated[ThenRoute, Tag("keys")], Discriminator(_shape)
    ] = "refuse"
    free: Literal["allow", "refuse"] = "refuse"
    of: Annotated[
        list[Name] | None, Field(min_length=1, description="ids of keys, names of teams or routes, values of a tag")
    ] = None
    on_error: Literal["open", "closed"] = "open"


class AlertsSpec(Strict):
    """Where alerts are sent: a webhook that takes what Slack's take."""

    webhook: Annotated[str, Field(min_length=1, description="an address, or a variable that holds it: ${SLACK_WEBHOOK}")]
    headers: dict[str, str] = {}
