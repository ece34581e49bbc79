"""Days on which something cost much more than it used to. Pure, but for `anomalies`, which reads the days.

A day is compared with the weeks before it, robustly, so that what was out of the ordinary then does not hide what is so now: with
the median of the same weekdays where there are at least three, else of all days; how far days usually stray from that is their
median absolute deviation (Hampel, J. Am. Stat. Assoc. 69 (1974), 383-393).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from gateway.ledger.base import LedgerReader
from gateway.report.dimension import Dimension, lengths_until
from gateway.report.period import DAY_S, HOUR_S, Period, day_of
from gateway.report.sums import entry_sources, rollup_source

WEEKS: Final = 4
HISTORY_DAYS_MIN: Final = 7
WEEKDAYS_MIN: Final = 3
# A normal distribution's standard deviation is 1.4826 median absolute deviations. A few weeks tell little about rare days, and
# money has long tails, so more than the usual three of them is asked for: simulated in tests/report/test_anomalies.py.
DEVIATION: Final = 1.4826
DEVIATIONS_MIN: Final = 5.0
SPREAD_MIN: Final = 0.1  # of what is expected: days that were exactly alike do not make the next one suspect
SHARE_MIN: Final = 0.05  # of what all lines together usually cost in a day: what is less is not worth a look
NUSD_MIN: Final = 10_000_000  # a cent, likewise


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A day, or the part of it that is in the period, in seconds since 1970; what it cost and what was usual, in nano-USD."""

    name: str
    day: int
    nusd: int
    usual_nusd: int

    @property
    def excess_nusd(self) -> int:
        """The money it is about."""
        return self.nusd - self.usual_nusd

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "day": day_of(self.day),
            "usd": self.nusd / 1e9,
            "usual_usd": self.usual_nusd / 1e9,
            "excess_usd": self.excess_nusd / 1e9,
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """What was out of the ordinary, the most money first. days: of the period, how many had enough history to be judged by."""

    found: list[Anomaly]
    days: int

    @property
    def reason(self) -> str | None:
        """Why nothing could be found."""
        return (
            None
            if self.days
            else f"not enough history: a day is compared with at least {HISTORY_DAYS_MIN} days on which something was spent"
        )

    def as_json(self) -> dict[str, Any]:
        return {"found": [one.as_json() for one in self.found], "days": self.days, "reason": self.reason}


Days = Mapping[int, int]
"""From a day, as the number of days since 1970, to what was paid, in nano-USD."""


def unusual(lines: Mapping[str, Days], day: int, first: int) -> list[Anomaly]:
    """The lines that cost much more on this day than in the WEEKS before. first: the first day that is known of at all.

    A day without an entry cost nothing. Nothing is unusual when money was spent on fewer than HISTORY_DAYS_MIN of them. What
    costs something only now and then has to cost more than it ever did.
    """
    if not _is_known(lines, day, first):
        return []
    past = range(max(first, day - 7 * WEEKS), day)
    whole = median(sum(days.get(d, 0) for days in lines.values()) for d in past)
    floor = max(SHARE_MIN * whole, NUSD_MIN)
    found = []
    for name, days in lines.items():
        nusd, history = days.get(day, 0), [days.get(d, 0) for d in past]
        usual, spread = _usual(history, past.start, day)
        if usual <= 0 and nusd <= (1 + SPREAD_MIN) * max(history):
            continue
        if nusd - usual > max(DEVIATIONS_MIN * max(DEVIATION * spread, SPREAD_MIN * usual), floor):
            found.append(Anomaly(name, day * DAY_S, nusd, round(usual)))
    return found


def _is_known(lines: Mapping[str, Days], day: int, first: int) -> bool:
    """Whether there is enough history to judge the day by."""
    past = range(max(first, day - 7 * WEEKS), day)
    return sum(any(days.get(d, 0) > 0 for days in lines.values()) for d in past) >= HISTORY_DAYS_MIN


def _usual(history: Sequence[int], first: int, day: int) -> tuple[float, float]:
    """What such a day costs, and the median absolute deviation from it; both in nano-USD."""
    level = median(history)
    alike: dict[int, list[int]] = defaultdict(list)
    for d, nusd in enumerate(history, start=first):
        alike[d % 7].append(nusd)
    levels = {weekday: median(values) if len(values) >= WEEKDAYS_MIN else level for weekday, values in alike.items()}
    spread = median(abs(nusd - levels[d % 7]) for d, nusd in enumerate(history, start=first))
    return levels.get(day % 7, level), spread


def anomalies(
    reader: LedgerReader, dimension: Dimension, period: Period, now: float, named: Callable[[str], str] = str
) -> Watched:
    """What was out of the ordinary in the whole hours of the period. named: from a line's name to the report's. Raises OSError.

    Of the first and the last day only those hours are looked at that are in the period, and the same hours of the days before.
    Times are no lines to compare: for them it is all money together.
    """
    hours = Period(period.since, period.end(now)).hours
    if hours is None or hours.until is None:
        return Watched([], 0)
    begin, end = int(hours.since), int(hours.until)
    first_day, last_day = begin // DAY_S, (end - 1) // DAY_S
    history = Period(float((first_day - 7 * WEEKS) * DAY_S), float(end))
    cuts = {day: (max(begin - day * DAY_S, 0), min(end - day * DAY_S, DAY_S)) for day in (first_day, last_day)}
    known = _known_from(reader, dimension)
    if known is None:
        return Watched([], 0)
    first = math.ceil(known / DAY_S)  # the first whole day
    whole: dict[str, dict[int, int]] = defaultdict(dict)
    head: dict[str, dict[int, int]] = defaultdict(dict)
    tail: dict[str, dict[int, int]] = defaultdict(dict)
    for row in _days(reader, dimension, history, cuts[first_day], cuts[last_day]):
        name, day = named(row["name"]), row["day"]
        for of, nusd in ((whole, row["whole"]), (head, row["head"]), (tail, row["tail"])):
            of[name][day] = of[name].get(day, 0) + nusd
    found = []
    judged = [day for day in range(max(first_day, first), last_day + 1) if _is_known(whole, day, first)]
    for day in judged:
        lines = head if day == first_day else tail if day == last_day else whole
        found += unusual(lines, day, first)
    return Watched(sorted(found, key=lambda one: (-one.excess_nusd, one.name, one.day)), len(judged))


def _known_from(reader: LedgerReader, dimension: Dimension) -> float | None:
    """The hour of the first entry whose line is known, in seconds since 1970: dropped months have left sums alone."""
    if dimension.is_rolled_up:
        (row,) = reader.rows("SELECT min(hour) AS begin FROM rollup")
        return None if row["begin"] is None else float(row["begin"])
    found = [reader.rows(f"SELECT min(at) AS begin FROM {part.entry}")[0]["begin"] for part in reader.parts()]
    begins = [begin // HOUR_S * HOUR_S for begin in found if begin is not None]
    return min(begins, default=None)


def _days(
    reader: LedgerReader, dimension: Dimension, period: Period, head: tuple[int, int], tail: tuple[int, int]
) -> list[dict[str, Any]]:
    """What was paid by line and day: all day, and in the hours of the day, in seconds, that the first and the last day have."""
    of_rows = not dimension.is_rolled_up
    label = dimension.label() if dimension.length_s is None else lambda _: "all"
    name = dimension.in_entry(reader.engine) if of_rows else dimension.in_rollup()
    name = "0" if dimension.length_s else dimension.or_idle(name)
    hour = f"({lengths_until('at', HOUR_S, reader.engine)} * {HOUR_S})" if of_rows else "hour"
    within = [f"{hour} - {hour} / {DAY_S} * {DAY_S} BETWEEN {a} AND {b - 1}" for a, b in (head, tail)]
    paid = "coalesce(cost_nusd, 0) + overhead_nusd"
    found = []
    for source, values in entry_sources(reader, period) if of_rows else [rollup_source(period)]:
        query = f"""
            SELECT {name} AS name, {hour} / {DAY_S} AS day, sum({paid}) AS whole,
                   sum(CASE WHEN {within[0]} THEN {paid} ELSE 0 END) AS head,
                   sum(CASE WHEN {within[1]} THEN {paid} ELSE 0 END) AS tail
            FROM {source} GROUP BY 1, 2
        """
        found += [{**row, "name": label(row["name"])} for row in reader.rows(query, values)]
    return found
