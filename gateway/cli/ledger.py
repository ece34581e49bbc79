"""`turnout ledger`: what is in the ledger, months past keeping dropped, and the ledger as files."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.cli import export
from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError
from gateway.ledger.base import LedgerReader, Part
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.spool import abandoned, claimed
from gateway.policy.grammar import seconds
from gateway.settings import RETENTION_MIN_S, Settings, load_settings

HEADINGS = ("part", "entries", "attempts", "from", "to", "MB")


@dataclass(frozen=True)
class _Line:
    """One part. oldest, newest: seconds since 1970 of entries; None without any. bytes: with the indexes."""

    part: str
    entries: int
    attempts: int
    oldest: float | None
    newest: float | None
    bytes: int


def define(ledger: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    ledger.description = "The ledger itself: in the data directory ($TURNOUT_DATA_DIR), or where $TURNOUT_LEDGER_URL says."
    ledger.epilog = "example: turnout ledger info"
    kinds = ledger.add_subparsers(dest="kind", metavar="ACTION", required=True)
    info = kinds.add_parser(
        "info",
        help="where it is and how large",
        description="Where the ledger is, its parts, a month each, with their rows and sizes, and what was left in the spool.",
        epilog="example: turnout ledger info --json",
    )
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=show)
    export.add(kinds)
    prune = kinds.add_parser(
        "prune",
        help="drop months past keeping",
        description="Drop the months that ended so long ago: their entries, attempts and feedback. Sums by the hour stay, so "
        "`turnout spend` still knows what was spent. A gateway does it daily with $TURNOUT_LEDGER_RETENTION.",
        epilog="example: turnout ledger prune --older-than 400d --yes",
    )
    prune.add_argument("--older-than", metavar="AGE", required=True, help="as 400d: of months that ended so long ago")
    prune.add_argument("--yes", action="store_true", help="do it; without this they are only named")
    prune.set_defaults(run=drop)


def show(args: argparse.Namespace) -> int:
    """Print what is in the ledger."""
    settings = load_settings()
    reader = open_reader(settings)
    try:
        lines, others = _lines(reader), _others(reader)
        where = reader.where
    except OSError as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        reader.close()
    waiting = _waiting(settings)
    if args.json:
        parts = [asdict(line) | {"oldest": _iso(line.oldest), "newest": _iso(line.newest)} for line in lines]
        print(json.dumps({"ledger": where, "parts": parts, **others, "spool_bytes": waiting}, indent=2, ensure_ascii=False))
        return 0
    print(where)
    print(table(HEADINGS, [_cells(line) for line in lines]))
    print(f"feedback: {others['feedback']:,}, prompt templates: {others['templates']:,}, hours with sums: {others['hours']:,}")
    if waiting:
        print(f"{waiting} bytes that a killed process left in '{settings.spool}' may not be here yet; the gateway brings them in")
    return 0


def drop(args: argparse.Namespace) -> int:
    """Drop what is past keeping."""
    try:
        age_s = seconds(args.older_than)
    except ValueError as exc:
        raise UsageError(f"--older-than: {exc}") from exc
    if age_s < RETENTION_MIN_S:
        raise UsageError(f"--older-than is {args.older_than!r}; give at least 1d, such as 400d")
    settings, before = load_settings(), time.time() - age_s
    reader = open_reader(settings)  # first: opening to write would make a ledger where there is none
    try:
        parts = [part for part in reader.parts() if part.end <= before]
    except OSError as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        reader.close()
    if not parts:
        print(f"no month ended {args.older_than} ago or before")
        return 0
    if not args.yes:
        print(f"would drop {_names(parts)}; give --yes to do it")
        return 0
    store = open_store(settings)
    try:
        dropped = store.prune(before)
    except OSError as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        store.close()
    print(f"dropped {_names(dropped)}")
    return 0


def _lines(reader: LedgerReader) -> list[_Line]:
    sizes, lines = reader.sizes(), []
    for part in reader.parts():
        (row,) = reader.rows(f"SELECT count(*) AS count, min(at) AS oldest, max(at) AS newest FROM {part.entry}")
        (calls,) = reader.rows(f"SELECT count(*) AS count FROM {part.attempt}")
        size = sizes.get(part.entry, 0) + sizes.get(part.attempt, 0)
        lines.append(_Line(part.entry, row["count"], calls["count"], row["oldest"], row["newest"], size))
    return lines


def _others(reader: LedgerReader) -> dict[str, Any]:
    counts = {"feedback": "count(*) AS n FROM feedback", "templates": "count(DISTINCT id) AS n FROM template"}
    counts["hours"] = "count(DISTINCT hour) AS n FROM rollup"
    return {name: reader.rows(f"SELECT {count}")[0]["n"] for name, count in counts.items()}


def _waiting(settings: Settings) -> int:
    """Bytes that processes which have ended left in the spool. Those that live are about to write theirs, or have."""
    left = 0
    for path in abandoned(settings.spool):
        try:
            with claimed(path) as is_left:
                left += path.stat().st_size if is_left else 0
        except OSError as exc:
            raise ConfigError(f"cannot read the spool's '{path}': {exc.strerror}; make it readable") from exc
    return left


def _cells(line: _Line) -> list[str]:
    times = [_iso(line.oldest) or "", _iso(line.newest) or ""]
    return [line.part, f"{line.entries:,}", f"{line.attempts:,}", *times, f"{line.bytes / 1e6:,.1f}"]


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(parts: Sequence[Part]) -> str:
    return ", ".join(part.entry for part in parts) or "nothing: another process was faster"
