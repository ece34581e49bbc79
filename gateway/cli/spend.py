"""`turnout spend`: what was spent, on what, and what it saved."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.cli.artifacts import Progress
from gateway.cli.export import need_parquet
from gateway.cli.moments import other_period, period_of
from gateway.cli.spend_table import spend_table
from gateway.errors import ConfigError, UsageError
from gateway.ledger.base import LedgerReader
from gateway.ledger.opening import open_reader
from gateway.report.columns import flat
from gateway.report.csv_file import CsvFile
from gateway.report.dimension import NAMES, Dimension, parse
from gateway.report.report import Report, report
from gateway.settings import load_settings

FORMATS: Final = ("table", "json", "csv", "parquet")
REDRAWN_S: Final = 2.0
CLEAR: Final = "\033[H\033[J"


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "What was spent, on what, and what it saved against the policy's baseline, with a 95 % interval; days that cost much "
        "more than usual are named first; and what the cache is worth: its hits, the tokens and money that they saved, its "
        "upkeep (embedding, audits, refreshes), the share of semantic hits that audits found right, and how many were liked "
        "and disliked. Works beside a running gateway."
    )
    command.epilog = "example: turnout spend --by route --since 7d --compare"
    lines = f"a line for each {'|'.join(NAMES)}|tag:NAME (default: route)"
    command.add_argument("--by", type=_dimension, default=parse("route"), metavar="WHAT", help=lines)
    command.add_argument(
        "--since", metavar="WHEN", default="7d", help="from then on: an age, as 90m or 7d, or a date, as 2026-11-01 (default: 7d)"
    )
    command.add_argument("--until", metavar="WHEN", help="what came before then (default: now)")
    command.add_argument(
        "--compare",
        metavar="PERIOD",
        nargs="?",
        const="",
        help="beside the period before it, of the same length; or beside that one: BEGIN..END, as 30d..23d, or BEGIN",
    )
    command.add_argument("--watch", action="store_true", help=f"again every {REDRAWN_S:g} s, until Ctrl-C")
    command.add_argument("--format", type=_format, default="table", help=f"{'|'.join(FORMATS)} (default: table)")
    command.add_argument("--json", action="store_true", help="the same as --format json")
    command.add_argument("--output", metavar="FILE", type=Path, help="write it there (default: standard output)")
    command.set_defaults(run=run)


def _dimension(text: str) -> Dimension:
    try:
        return parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _format(text: str) -> str:
    if text not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} is not known; use one of {', '.join(FORMATS)}")
    return text


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    format_ = "json" if args.json else args.format
    _check(args, format_)
    reader = open_reader(load_settings())
    try:
        if args.watch:
            _watch(lambda: _said(args, reader, format_))
        elif format_ in ("csv", "parquet"):
            _write(_report(args, reader), format_, args.output)
        elif args.output is not None:
            args.output.write_text(_said(args, reader, format_) + "\n", encoding="utf-8")
        else:
            print(_said(args, reader, format_))
    except OSError as exc:
        if isinstance(exc, BrokenPipeError):
            raise
        raise ConfigError(str(exc)) from exc
    finally:
        reader.close()
    return 0


def _check(args: argparse.Namespace, format_: str) -> None:
    """Raises UsageError for options that do not go together."""
    if args.watch and (args.output is not None or format_ in ("csv", "parquet")):
        raise UsageError("--watch prints a table or JSON again and again; it has no --output, csv or parquet")
    if format_ == "parquet":
        need_parquet()
        if args.output is None and sys.stdout.isatty():
            raise UsageError("Parquet is not for a terminal; give --output FILE, or send it into a file or a pipe")
    now = time.time()
    period = period_of(args.since, args.until, now)
    if args.compare is not None:
        other_period(args.compare, period, now)


def _report(args: argparse.Namespace, reader: LedgerReader) -> Report:
    """Of the period as it is now."""
    now = time.time()
    period = period_of(args.since, args.until, now)
    before = None if args.compare is None else other_period(args.compare, period, now)
    if args.watch:
        return report(reader, args.by, period, now, before)
    progress = Progress()
    try:
        return report(reader, args.by, period, now, before, progress)
    finally:
        progress.close()


def _said(args: argparse.Namespace, reader: LedgerReader, format_: str) -> str:
    found = _report(args, reader)
    if format_ == "table":
        return spend_table(found, has_bars=args.output is None and sys.stdout.isatty())
    # A line each time that it is watched, for whoever reads the lines.
    return json.dumps(as_json(found, args.since, args.until), indent=None if args.watch else 2, ensure_ascii=False)


def as_json(found: Report, since: str, until: str | None) -> dict[str, Any]:
    """since, until: as they were given."""
    by = found.dimension.by
    whole = {k: v for k, v in found.whole.as_json(by).items() if k != by}
    said: dict[str, Any] = {
        "by": by,
        "since": since,
        "until": until,
        "rows": [found.row_json(row) for row in found.rows],
        "total": whole | {"savings": found.saved_in_all.as_json()},
        "anomalies": found.unusual.as_json(),
    }
    if by == "model":
        said["gpu"] = [machine.as_json() for machine in found.machines]
    if found.comparison is not None:
        compared = found.comparison
        said["compare"] = {
            "since": compared.period.since,
            "until": compared.period.until,
            "rows": [change.as_json(by) for change in compared.changes],
            "total": {k: v for k, v in compared.whole.as_json(by).items() if k != by},
        }
    return said


def _watch(said: Callable[[], str]) -> None:
    """Print it every REDRAWN_S: on a terminal in the same place, else one below the other."""
    try:
        while True:
            text = said()
            print(CLEAR + text if sys.stdout.isatty() else text, flush=True)
            time.sleep(REDRAWN_S)
    except KeyboardInterrupt:  # which is how it ends
        print()


def _write(found: Report, format_: str, output: Path | None) -> None:
    """The lines as CSV or Parquet."""
    columns, rows = flat(found)
    if format_ == "csv":
        with CsvFile(output or sys.stdout, columns, is_for_people=True) as table:
            table.write(rows)
        return
    from gateway.report.parquet import ParquetFile

    with ParquetFile(output or sys.stdout.buffer, columns) as parquet:
        parquet.write(rows)
