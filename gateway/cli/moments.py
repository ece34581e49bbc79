"""Times as people give them on the command line: an age, as 7d, or a date, as 2026-11-01."""

from __future__ import annotations

from gateway.errors import UsageError
from gateway.report.period import Period, moment


def since_of(text: str, now: float, option: str = "--since") -> float:
    """Seconds since 1970. Raises UsageError."""
    try:
        return moment(text, now)
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from exc


def until_of(text: str | None, now: float) -> float | None:
    """The same; None for no end. Raises UsageError."""
    return None if text is None else since_of(text, now, "--until")


def period_of(since: str, until: str | None, now: float) -> Period:
    """Raises UsageError."""
    period = Period(since_of(since, now), until_of(until, now))
    if period.until is not None and period.until <= period.since:
        raise UsageError(f"--until {until} is not after --since {since}")
    return period


def other_period(text: str, period: Period, now: float) -> Period:
    """What to compare a period with: "" for the one before it, `30d..23d` for that one, `30d` for one of the same length that
    began then. Raises UsageError.
    """
    if not text:
        return period.before(now)
    since, dots, until = text.partition("..")
    first = since_of(since, now, "--compare")
    if not dots:
        return Period(first, first + period.end(now) - period.since)
    other = Period(first, since_of(until, now, "--compare"))
    if other.until is None or other.until <= other.since:
        raise UsageError(f"--compare {text}: it ends before it begins; give BEGIN..END, as 30d..23d")
    return other
