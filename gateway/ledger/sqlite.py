"""The embedded ledger: one SQLite file in WAL mode, which several processes may write and read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError
from gateway.ledger.base import Entry, Feedback, GpuUse, Part, Record, Template
from gateway.ledger.batch import Batch
from gateway.ledger.bulk_sqlite import Inserts
from gateway.ledger.columns import Values, by_column, columns_of
from gateway.ledger.layout_sqlite import (
    VERSION,
    add_part,
    bring_up_to_date,
    drop_parts,
    parts_of,
    show_as_of_now,
    transaction,
    version_of,
)
from gateway.ledger.months import begin_of, month_of
from gateway.ledger.rollups import on_conflict
from gateway.ledger.settling import ATTEMPTS_USED, GPU_ENTRIES, used
from gateway.ledger.tables import ATTEMPT, ENTRY, FEEDBACK, OF_ENTRY, TEMPLATE, entry_of

BUSY_TIMEOUT_MS = 5_000
STATEMENTS_MAX = 32  # that are kept prepared; one of many rows takes 0.1 MB
FIRST_ID = 10**10  # times the month: where the ids of a month's entries begin, so that those of all months differ


class SqliteLedger:
    """A LedgerStore in one file. Opening makes the file and brings its tables up to date. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # one connection, used by the writer's thread and by whoever looks an entry up
        self._db = connect(path)
        self._schema: int | None = None  # of which the parts are known
        self._parts: list[Part] = []
        self._inserts: dict[str, Inserts] = {}  # by table: some for each month that was written to

    def append(self, records: Sequence[Record]) -> None:
        batches = _by_month([record for record in records if isinstance(record, Entry)])
        feedback = columns_of(FEEDBACK, [record for record in records if isinstance(record, Feedback)])
        templates = columns_of(TEMPLATE, [record for record in records if isinstance(record, Template)])
        with self._lock, self._errors("write"), transaction(self._db):
            self._append(batches)
            for table, columns in ((FEEDBACK, feedback), (TEMPLATE, templates)):
                self._insert(table.name, table.names, columns, _ONCE)

    def find(self, request_id: str, key: str | None = None) -> Entry | None:
        with self._lock, self._errors("read"), transaction(self._db, "DEFERRED"):
            for part in reversed(self._known_parts()):
                where = "request_id = ? AND key = coalesce(?, key) ORDER BY at DESC, id DESC LIMIT 1"
                row = self._db.execute(f"SELECT * FROM {part.entry} WHERE {where}", (request_id, key)).fetchone()
                if row is not None:
                    attempts = self._db.execute(f"SELECT * FROM {part.attempt} WHERE entry = ? ORDER BY n", (row["id"],))
                    query = "SELECT * FROM feedback WHERE request_id = ? AND (entry IS NULL OR entry = ?) ORDER BY id"
                    return entry_of(row, attempts, self._db.execute(query, (request_id, row["uid"])))
        return None

    def settle_hour(self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]) -> Sequence[Entry]:
        with self._lock, self._errors("write"), transaction(self._db):
            attempts = self._db.execute(ATTEMPTS_USED, (hour, model)).fetchall()
            entries = share(used(attempts, self._db.execute(GPU_ENTRIES, (hour, model)).fetchall()))
            self._append(_by_month(entries))
            return entries

    def prune(self, before: float) -> Sequence[Part]:
        with self._lock, self._errors("write"), transaction(self._db):
            parts = self._known_parts()
            ended = [part for part in parts if part.end <= before]
            kept_from = min([begin_of(month_of(before)), *(part.begin for part in parts if part.end > before)])
            if ended:
                drop_parts(self._db, ended)
            self._db.execute("DELETE FROM feedback WHERE at < ?", (kept_from,))
            return ended

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _append(self, batches: Mapping[int, Batch]) -> None:
        for month, batch in batches.items():
            for table, rows in self._append_to(self._part_of(month), month, batch).sums():
                self._insert(table.name, table.names, by_column(rows), on_conflict(table))

    def _append_to(self, part: Part, month: int, batch: Batch) -> Batch:
        """The entries that were not there yet; the others are left as they are, with their attempts."""
        (last,) = self._db.execute(f"SELECT max(id) FROM {part.entry}").fetchone()
        first = (month * FIRST_ID if last is None else last) + 1
        ids: Sequence[int] = range(first, first + len(batch.entries))
        if self._insert(part.entry, ("id", *ENTRY.names), [ids, *batch.columns], _ONCE) < len(ids):
            ids = [row[0] for row in self._db.execute(f"SELECT id FROM {part.entry} WHERE id >= ? ORDER BY id", (first,))]
            batch = batch.only([id_ - first for id_ in ids])
        self._insert(part.attempt, _OF_ATTEMPT, batch.attempts(ids))
        return batch

    def _insert(self, table: str, names: Sequence[str], columns: Sequence[Values], then: str = "") -> int:
        inserts = self._inserts.get(table)
        if inserts is None:
            inserts = self._inserts[table] = Inserts(table, names, then)
        return inserts.run(self._db, columns)

    def _part_of(self, month: int) -> Part:
        at = begin_of(month)
        for part in self._known_parts():
            if part.begin <= at < part.end:
                return part
        return add_part(self._db, month)

    def _known_parts(self) -> list[Part]:
        """Those that there are, in the transaction that is under way: another process may have added or dropped some."""
        (schema,) = self._db.execute("PRAGMA schema_version").fetchone()
        if schema != self._schema:
            self._parts, self._schema = parts_of(self._db), schema
        return self._parts

    @contextmanager
    def _errors(self, act: str) -> Iterator[None]:
        try:
            yield
        except _NEVER as exc:
            raise ValueError(f"not a value that the ledger '{self._path}' can keep: {exc}") from exc
        except sqlite3.Error as exc:
            raise OSError(f"cannot {act} the ledger '{self._path}': {exc}") from exc


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the ledger file; when not read_only, make it and its tables if need be. Raises ConfigError.

    The connection is in autocommit mode, and its rows can be asked by name.
    """
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        url = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        db = sqlite3.connect(url, uri=True, check_same_thread=False, isolation_level=None, cached_statements=STATEMENTS_MAX)
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(_unusable(path, exc)) from exc
    db.row_factory = sqlite3.Row
    try:
        _prepare(db, path, read_only=read_only)
    except sqlite3.Error as exc:
        db.close()
        raise ConfigError(_unusable(path, exc)) from exc
    except ConfigError:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
    version = version_of(db)
    if version > VERSION:
        message = f"the ledger '{path}' was written by a newer Turnout (layout {version}, this one knows {VERSION}); upgrade"
        raise ConfigError(message)
    if not read_only:
        if version < VERSION:
            bring_up_to_date(db, BUSY_TIMEOUT_MS)
    elif version == 0:
        said = f"the ledger '{path}' is empty: no gateway has written to it"
        raise ConfigError(f"{said}; start the gateway, or set TURNOUT_DATA_DIR to the folder of the one that runs")
    elif version < VERSION:
        show_as_of_now(db)


def _unusable(path: Path, exc: Exception) -> str:
    reason = getattr(exc, "strerror", None) or str(exc)
    return f"cannot open the ledger '{path}': {reason}; make its folder writable or set TURNOUT_DATA_DIR to one that is"


def _by_month(entries: Sequence[Entry]) -> dict[int, Batch]:
    """The entries of each month, the earliest first. Raises ValueError for what can never be kept."""
    if not entries:
        return {}
    batch = Batch(entries)
    try:
        first, last = (month_of(limit(entry.at for entry in entries)) for limit in (min, max))
    except TypeError as exc:
        raise ValueError(f"not times that a ledger can keep: {exc}") from exc
    if first == last:
        return {first: batch}
    months = [month_of(entry.at) for entry in entries]
    return {month: batch.only([n for n, one in enumerate(months) if one == month]) for month in sorted(set(months))}


# Not OR IGNORE, which would pass over values that cannot be kept as well.
_ONCE = " ON CONFLICT (uid) DO NOTHING"
_OF_ATTEMPT = [*(column.name for column in OF_ENTRY), *ATTEMPT.names]
_NEVER = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError, OverflowError)
