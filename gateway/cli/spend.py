"""`turnout spend`: what was spent, on what, and what it saved."""

from __future__ import annotations

import argparse
import json
import time

from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError
from gateway.ledger.spend import DIMENSIONS, Row, spend, total
from gateway.ledger.sqlite import connect
from gateway.policy.grammar import seconds
from gateway.settings import load_settings

HEADINGS = ("requests", "cached", "errors", "tokens in", "tokens out", "cost USD", "baseline USD", "saved USD")
CACHE_HEADINGS = (
    *("exact", "semantic", "tokens saved", "saved USD", "upkeep USD"),
    *("audited", "precision", "95 % interval", "feedback"),
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "spend",
        help="what was spent, saved and on what",
        description=(
            "What was spent, on what, and what it saved against the policy's baseline; and what the cache is worth: its hits, "
            "the tokens and money that they saved, its upkeep (embedding, audits, refreshes), the share of semantic hits that "
            "audits found right, and how many were liked and disliked. Works beside a running gateway."
        ),
        epilog="example: turnout spend --by route --since 7d --json",
    )
    command.add_argument(
        "--by", type=_dimension, default="route", help=f"a line for each {'|'.join(DIMENSIONS)} (default: route)"
    )
    command.add_argument("--since", metavar="AGE", default="7d", help="how far back, as 90m, 24h or 7d (default: 7d)")
    command.add_argument("--format", type=_format, default="table", help="table|json (default: table)")
    command.add_argument("--json", action="store_true", help="the same as --format json")
    command.set_defaults(run=run)


def _dimension(text: str) -> str:
    if text == "prompt" or text.startswith("tag:"):
        raise argparse.ArgumentTypeError(f"{text!r} is not supported yet; use one of {', '.join(DIMENSIONS)}")
    if text not in DIMENSIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not known; use one of {', '.join(DIMENSIONS)}")
    return text


def _format(text: str) -> str:
    if text in ("csv", "parquet"):
        raise argparse.ArgumentTypeError(f"{text!r} is not supported yet; use table or json")
    if text not in ("table", "json"):
        raise argparse.ArgumentTypeError(f"{text!r} is not known; use table or json")
    return text


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    try:
        age_s = seconds(args.since)
    except ValueError as exc:
        raise UsageError(f"--since: {exc}") from exc
    path = load_settings().ledger
    if not path.exists():
        raise ConfigError(f"there is no ledger at '{path}'; start the gateway, or set TURNOUT_DATA_DIR to the one it uses")
    db = connect(path, read_only=True)
    try:
        rows = spend(db, args.by, time.time() - age_s)
    finally:
        db.close()
    whole = total(rows)
    if args.json or args.format == "json":
        report = {
            "by": args.by,
            "since": args.since,
            "rows": [row.as_json(args.by) for row in rows],
            "total": {k: v for k, v in whole.as_json(args.by).items() if k != args.by},
        }
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return 0
    print(table((args.by, *HEADINGS), [_cells(row) for row in rows], footer=_cells(whole)))
    if whole.cache.is_used:
        used = [row for row in rows if row.cache.is_used]
        print("\ncache")
        print(table((args.by, *CACHE_HEADINGS), [_cache_cells(row) for row in used], footer=_cache_cells(whole)))
    if whole.unpriced:
        print(f"+ the unknown cost of {whole.unpriced} requests to models with `price: unknown`")
    if whole.not_comparable:
        print(f"saved leaves out {whole.not_comparable} requests whose cost or baseline is unknown")
    return 0


def _cells(row: Row) -> list[str]:
    counts = (row.requests, row.cache_hits, row.errors, row.input_tokens, row.output_tokens)
    money = (row.cost_nusd, row.baseline_nusd, row.saved_nusd)
    return [
        row.name,
        *(f"{n:,}" for n in counts),
        *(_usd(nusd) for nusd in money),
    ]


def _cache_cells(row: Row) -> list[str]:
    worth = row.cache
    precision, interval = worth.precision, worth.interval
    return [
        row.name,
        *(f"{n:,}" for n in (worth.exact_hits, worth.semantic_hits, worth.tokens_saved)),
        *(_usd(nusd) for nusd in (worth.saved_nusd, worth.overhead_nusd + worth.refresh_nusd)),
        f"{worth.audited:,}",
        "" if precision is None else f"{precision:.1%}",
        "" if interval is None else f"{interval[0]:.1%}-{interval[1]:.1%}",
        f"+{worth.good} -{worth.bad}" if worth.good or worth.bad else "",
    ]


def _usd(nusd: int) -> str:
    return f"{round(nusd / 1e9, 6) + 0.0:,.6f}"  # + 0.0: no "-0.000000"
