"""`turnout ledger export`: the ledger as CSV or Parquet files."""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

from gateway.cli.artifacts import Progress
from gateway.cli.moments import since_of, until_of
from gateway.errors import ConfigError, UsageError
from gateway.ledger.opening import open_reader
from gateway.report.export import export
from gateway.report.period import Period
from gateway.settings import load_settings


def add(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action to `turnout ledger`."""
    command = kinds.add_parser(
        "export",
        help="write it as CSV or Parquet files",
        description="Write entries and attempts, a file a month, feedback and prompt templates, for DuckDB, pandas and the like. "
        "Money is in whole nano-USD. Works beside a running gateway; files that are there are replaced.",
        epilog="example: turnout ledger export --format parquet --output ledger --since 2026-11-01",
    )
    command.add_argument("--format", choices=["csv", "parquet"], default="parquet", help="csv or parquet (default: parquet)")
    command.add_argument("--output", metavar="DIR", type=Path, required=True, help="the folder to write into; made if need be")
    command.add_argument("--since", metavar="WHEN", help="from then on: an age, as 90d, or a date, as 2026-11-01 (default: all)")
    command.add_argument("--until", metavar="WHEN", help="what came before then (default: all)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and say which. Raises ConfigError when they cannot all be written."""
    if args.format == "parquet":
        need_parquet()
    now = time.time()
    period = Period(0.0 if args.since is None else since_of(args.since, now), until_of(args.until, now))
    reader = open_reader(load_settings())
    progress = Progress()
    try:
        files = export(reader, args.output, args.format, period, progress)
    except OSError as exc:
        raise ConfigError(f"the export is not complete: {exc}") from exc
    finally:
        progress.close()
        reader.close()
    for file in files:
        print(f"{file.rows:>12,} rows  {file.path}")
    if not files:
        print("nothing was written: the ledger has no entry and no feedback in this time")
    return 0


def need_parquet() -> None:
    """Raises UsageError when Parquet cannot be written."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow; install it: pip install 'turnout[parquet]', or use --format csv")
