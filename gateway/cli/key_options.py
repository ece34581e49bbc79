"""What the options of `turnout keys` say, and how a key is shown: words to values and back."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.edge.request_headers import TAG, TAGS_MAX
from gateway.errors import UsageError
from gateway.keys.model import VirtualKey, iso
from gateway.policy.grammar import NAME_PATTERN, rate, seconds
from gateway.policy.limits import Rate, Unit

NAME_CHARS_MAX: Final = 100
OVERLAP_S_MAX: Final = 366 * 86_400
LAST: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_UNITS: Final = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def read_name(text: str) -> str:
    """A name for people: printable, not empty. Raises ArgumentTypeError, as all that argparse calls."""
    name = text.strip()
    if not name or not name.isprintable() or len(name) > NAME_CHARS_MAX:
        raise argparse.ArgumentTypeError(f"{text[:120]!r} is no name; give 1 to {NAME_CHARS_MAX} printable characters")
    return name


def read_team(text: str) -> str:
    """A team's name, as `limits:` of a policy may name it."""
    if not re.fullmatch(NAME_PATTERN, text) or len(text) > NAME_CHARS_MAX:
        told = "letters, digits and . _ : / -, beginning with a letter or a digit"
        raise argparse.ArgumentTypeError(f"{text[:120]!r} is no team's name; give {told}, at most {NAME_CHARS_MAX}")
    return text


def read_glob(text: str) -> str:
    """A glob of names."""
    if not text or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError(f"{text[:120]!r} is no glob of names; give one such as 'gpt-*'")
    return text


def read_tag(text: str) -> tuple[str, str]:
    """A tag, as `x-turnout-tags` has it."""
    found = TAG.fullmatch(text)
    if found is None or not text.isprintable():
        raise argparse.ArgumentTypeError(f"cannot read {text[:120]!r}; write NAME=VALUE, without commas")
    return found[1], found[2]


def read_rate(text: str) -> Rate:
    """So many in a time."""
    try:
        return Rate(*rate(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def read_duration(text: str) -> float:
    """Seconds, from 0 to a year."""
    try:
        duration_s = seconds(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    if duration_s > OVERLAP_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is more than a year")
    return duration_s


def read_expiry(text: str) -> float:
    """When a key ends, in seconds since 1970: after a time, or at a date or a time of ISO 8601, in UTC if it says no zone."""
    now = time.time()
    try:
        at = now + seconds(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as exc:
            message = f"{text[:120]!r} is no time; write one such as 90d, 2027-01-31 or 2027-01-31T18:00Z"
            raise argparse.ArgumentTypeError(message) from exc
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if at > LAST:
        raise argparse.ArgumentTypeError(f"{text!r} is later than a date can be; leave it out for a key that never expires")
    if at <= now:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the future")
    return at


def tags_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The tags as one map. Raises UsageError."""
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise UsageError("--tag: a name is there twice; give each one value")
    if len(tags) > TAGS_MAX:
        raise UsageError(f"--tag: {len(tags)} tags; at most {TAGS_MAX}")
    return tags


def limits_of(requests: Sequence[Rate], tokens: Sequence[Rate]) -> tuple[tuple[Unit, Rate], ...]:
    """The key's own limits. Raises UsageError."""
    limits: list[tuple[Unit, Rate]] = [*(("requests", one) for one in requests), *(("tokens", one) for one in tokens)]
    if len({(unit, one.window_s) for unit, one in limits}) < len(limits):
        raise UsageError("--requests, --tokens: two limits for the same length of time; give one")
    return tuple(limits)


def rate_text(one: Rate) -> str:
    """As it is written: `600/min`."""
    unit, length_s = next((unit, length_s) for unit, length_s in _UNITS if one.window_s % length_s == 0)
    count = one.window_s // length_s
    return f"{one.amount}/{'' if count == 1 else count}{unit}"


def key_json(key: VirtualKey, now: float) -> dict[str, Any]:
    """A key as JSON; `models`, `routes`: null for all."""
    rates = {unit: [rate_text(one) for which, one in key.limits if which == unit] for unit in ("requests", "tokens")}
    return {
        "id": key.id,
        "name": key.name,
        "team": key.team,
        "state": key.state(now),
        "tags": dict(key.tags),
        "models": None if key.permit.models is None else list(key.permit.models),
        "routes": None if key.permit.routes is None else list(key.permit.routes),
        "limits": rates,
        "created_at": iso(key.created_at),
        "expires_at": None if key.expires_at is None else iso(key.expires_at),
        "revoked_at": None if key.revoked_at is None else iso(key.revoked_at),
    }


def key_cells(key: VirtualKey, now: float) -> list[str]:
    """A key as the cells of a table: id, name, team, state, models, routes, limits, tags, expires."""
    limits = [f"{rate_text(one)} {unit}" for unit, one in key.limits]
    return [
        key.id,
        key.name or "",
        key.team or "",
        key.state(now),
        "all" if key.permit.models is None else ", ".join(key.permit.models),
        "all" if key.permit.routes is None else ", ".join(key.permit.routes),
        ", ".join(limits),
        ", ".join(f"{name}={value}" for name, value in key.tags.items()),
        "never" if key.expires_at is None else iso(key.expires_at),
    ]
