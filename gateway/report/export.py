"""The ledger as files that other tools read: a folder a table, and of entries and attempts a folder a month, as Hive has them.

    entry/month=2026-11/part-0.parquet    attempt/month=2026-11/part-0.parquet
    feedback/part-0.parquet               template/part-0.parquet

Each file is written beside its place and moved there whole, so that none is ever half.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from gateway.ledger.base import Batches, LedgerReader, Part
from gateway.ledger.months import after, begin_of, end_of, month_of
from gateway.ledger.tables import ATTEMPT, ENTRY, FEEDBACK, TEMPLATE, Column, Table, exported
from gateway.report.csv_file import CsvFile
from gateway.report.period import Period

Format = Literal["csv", "parquet"]
BATCH: Final = 10_000  # rows in memory at a time, and in a row group

Progress = Callable[[float, str], None]
"""Told after each batch: the share of the months that is done, and what is being written."""


class TableFile(AbstractContextManager["TableFile"], Protocol):
    """A file that is being written."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None: ...


Opener = Callable[[Path, Sequence[Column]], TableFile]


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and how many rows it has."""

    path: Path
    rows: int


def export(
    reader: LedgerReader,
    folder: Path,
    format_: Format,
    period: Period,
    progress: Progress = lambda done, what: None,
    batch: int = BATCH,
) -> list[Exported]:
    """Write the entries and feedback of the period, the attempts of those entries, and all templates.

    All tables are read as they are at one moment; what comes in meanwhile is in none. batch: how many rows are in memory at a
    time. Files that are there are replaced; a month without entries has none. Raises OSError, and ImportError when Parquet is
    asked for without pyarrow.
    """
    opened = _opener(format_)
    with reader.snapshot():
        return _export(reader, folder, format_, opened, period, progress, batch)


def _export(
    reader: LedgerReader, folder: Path, format_: Format, opened: Opener, period: Period, progress: Progress, batch: int
) -> list[Exported]:
    files: list[Exported] = []
    months = _months(reader, period)
    for done, (month, parts) in enumerate(months.items()):
        for n, (part, stretch) in enumerate(parts):
            during, values = stretch.within("at")
            for table, source in ((ENTRY, part.entry), (ATTEMPT, part.attempt)):
                path = folder / table.name / f"month={month // 100}-{month % 100:02}" / f"part-{n}.{format_}"
                with closing(_batches(reader, table, f"{source} AS {table.name}", during, values, batch)) as batches:
                    files += _write(path, table, batches, opened, partial(progress, done / len(months)))
    during, values = period.within("at")
    for table, where, given in ((FEEDBACK, during, values), (TEMPLATE, "at >= ?", [0.0])):
        with closing(_batches(reader, table, table.name, where, given, batch)) as batches:
            files += _write(folder / table.name / f"part-0.{format_}", table, batches, opened, partial(progress, 1.0))
    return files


def _months(reader: LedgerReader, period: Period) -> dict[int, list[tuple[Part, Period]]]:
    """The months that have entries in the period, each with the tables that these are in; old ones may hold several months."""
    found: dict[int, list[tuple[Part, Period]]] = {}
    during, values = period.within("at")
    for part in reader.parts():
        (ends,) = reader.rows(f"SELECT min(at) AS first, max(at) AS last FROM {part.entry} WHERE {during}", values)
        if ends["first"] is None:
            continue
        month, last = month_of(ends["first"]), month_of(ends["last"])
        while month <= last:
            until = end_of(month) if period.until is None else min(end_of(month), period.until)
            found.setdefault(month, []).append((part, Period(max(begin_of(month), period.since), until)))
            month = after(month)
    return dict(sorted(found.items()))


def _batches(reader: LedgerReader, table: Table, source: str, where: str, values: Sequence[object], size: int) -> Batches:
    names = ", ".join(column.name for column in exported(table))
    return reader.batches(f"SELECT {names} FROM {source} WHERE {where}", values, size)


def _write(
    path: Path,
    table: Table,
    batches: Batches,
    opened: Opener,
    progress: Callable[[str], None],
) -> list[Exported]:
    """The table's file, if there is a row."""
    first = next(batches, None)
    if not first:
        path.unlink(missing_ok=True)  # of an earlier export
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    half, count = path.with_name(f".{path.name}.half"), 0
    try:
        with opened(half, exported(table)) as file:
            for batch in itertools.chain([first], batches):
                file.write(batch)
                count += len(batch)
                progress(f"{path.parent.name} {table.name}: {count:,} rows")
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return [Exported(path, count)]


def _opener(format_: Format) -> Opener:
    if format_ == "csv":
        return CsvFile
    from gateway.report.parquet import ParquetFile

    return ParquetFile
