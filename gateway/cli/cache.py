"""`turnout cache`: what the cache holds, and out with it; and the commands that measure and fit its verifier."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import datetime
from typing import Any

from gateway.cli import cache_score, cache_train
from gateway.cli.admin_client import AdminClient
from gateway.cli.cache_store import evict_directly, inspect_directly
from gateway.cli.table import table
from gateway.edge.cache_entries import LIMIT, LIMIT_MAX, SELECTORS, read_limit, read_selection
from gateway.errors import UsageError
from gateway.settings import load_settings

HEADINGS = ("id", "tenant", "route", "question", "age", "expires in", "bytes")
QUESTION_CHARS_MAX = 30
TENANT_CHARS_MAX = 16
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def define(group: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    group.description = "What the cache holds, and how well its verifier tells questions apart."
    group.epilog = "example: turnout cache evict --route easy --older-than 7d"
    subcommands = group.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    inspect = subcommands.add_parser(
        "inspect",
        help="show kept answers, the newest first",
        description="Show kept answers, the newest first. Asks a gateway, or Redis itself where TURNOUT_REDIS_URL is set.",
        epilog="example: turnout cache inspect --route easy --limit 20",
    )
    _add_selectors(inspect)
    inspect.add_argument("--limit", metavar="N", type=_limit, default=LIMIT, help=f"at most so many, up to {LIMIT_MAX}")
    inspect.set_defaults(run=run_inspect)
    evict = subcommands.add_parser(
        "evict",
        help="forget kept answers",
        description="Forget the kept answers that match all that is given, on every replica that shares them.",
        epilog="example: turnout cache evict --id req_0123456789abcdef",
    )
    _add_selectors(evict)
    evict.add_argument("--all", action="store_true", help="every one")
    evict.set_defaults(run=run_evict)
    cache_score.add(subcommands)
    cache_train.add(subcommands)


def _add_selectors(command: argparse.ArgumentParser) -> None:
    command.add_argument("--id", metavar="ID", help="the request that the answer was first given to")
    command.add_argument("--tenant", metavar="OWNER", help="whose they are, as key:NAME, team:NAME or all")
    command.add_argument("--route", metavar="NAME", help="the route that they were given on")
    command.add_argument("--older-than", metavar="AGE", help="kept longer ago than this, as 90m, 24h or 7d")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--url", metavar="URL", help="the gateway to ask (default: $TURNOUT_HOST and $TURNOUT_PORT)")


def _limit(text: str) -> int:
    try:
        return read_limit(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def run_inspect(args: argparse.Namespace) -> int:
    """Print what is kept."""
    given = _selectors(args)
    settings = load_settings()
    if args.url is None and settings.redis_url is not None:
        entries = asyncio.run(inspect_directly(settings.redis_url, read_selection(given), args.limit))
    else:
        entries = AdminClient(args.url or settings.url, settings.admin_key).entries({**given, "limit": str(args.limit)})
    if args.json:
        print(json.dumps({"entries": entries}, indent=2, ensure_ascii=False))
        return 0
    print(table(HEADINGS, [_cells(entry) for entry in entries], left=4))
    if len(entries) == args.limit:
        print(f"there may be more than these {args.limit}; give --limit, up to {LIMIT_MAX}, or select")
    return 0


def run_evict(args: argparse.Namespace) -> int:
    """Forget what matches, and say how many there were."""
    given = _selectors(args)
    if args.all == bool(given):
        raise UsageError("say which answers to evict: --id, --tenant, --route, --older-than; or --all")
    settings = load_settings()
    if args.url is None and settings.redis_url is not None:
        count = asyncio.run(evict_directly(settings.redis_url, read_selection(given)))
    else:
        count = AdminClient(args.url or settings.url, settings.admin_key).evict(given or {"all": "true"})
    print(json.dumps({"evicted": count}) if args.json else f"evicted {count} {'answer' if count == 1 else 'answers'}")
    return 0


def _selectors(args: argparse.Namespace) -> dict[str, str]:
    given = {name: getattr(args, name) for name in SELECTORS if getattr(args, name) is not None}
    try:
        read_selection(given)
    except ValueError as exc:
        raise UsageError(f"--{str(exc).replace('older_than', 'older-than', 1)}") from exc
    return given


def _cells(entry: dict[str, Any]) -> list[str]:
    now = time.time()
    return [
        entry["id"],
        _cut(entry["tenant"], TENANT_CHARS_MAX),
        entry["route"],
        _cut(entry["question"] or "", QUESTION_CHARS_MAX),
        _span(now - _seconds(entry["stored_at"])),
        _span(_seconds(entry["expires_at"]) - now),
        f"{entry['size_bytes']:,}",
    ]


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _span(seconds: float) -> str:
    """A span of time in its largest unit: 90 s is 1m."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return "0s"


def _cut(text: str, chars: int) -> str:
    """One line of at most `chars` characters that a terminal shows as they are."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= chars else line[: chars - 1] + "…"
