"""The shared ledger: a PostgreSQL that any number of gateways write to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gateway.errors import ConfigError
from gateway.ledger.base import Entry, Feedback, GpuUse, Part, Record, Template
from gateway.ledger.batch import Batch
from gateway.ledger.columns import Values, by_column, columns_of
from gateway.ledger.layout_postgres import TYPES, VERSION, add_parts, bring_up_to_date, drop_parts, parts_of, version_of
from gateway.ledger.months import begin_of, month_of
from gateway.ledger.rollups import on_conflict
from gateway.ledger.settling import ATTEMPTS_USED, GPU_ENTRIES, used
from gateway.ledger.tables import (
    ATTEMPT,
    ENTRY,
    FEEDBACK,
    OF_ENTRY,
    TEMPLATE,
    Column,
    entry_of,
)
from gateway.postgres_link import TRANSACTION_S, Cursor, NoPartition, PostgresLink, unnested, with_marks

MIGRATE_S = 600.0


class PostgresLedger:
    """A LedgerStore in a database. Opening makes its tables. Raises ConfigError when that cannot be done.

    Raises ValueError for a URL that is none.
    """

    def __init__(self, url: str, bound_s: float = TRANSACTION_S) -> None:
        """bound_s: the longest that a transaction may take; one that takes longer is tried again."""
        self._link, self._bound_s = PostgresLink(url), bound_s
        self._lock = threading.Lock()  # one connection, used by the writer's thread and by whoever looks an entry up
        self._months: set[int] = set()  # that have tables
        try:
            with self._link.transaction(bound_s=MIGRATE_S) as cursor:
                if version_of(cursor) < VERSION:
                    bring_up_to_date(cursor)
                version = version_of(cursor)
        except (OSError, ValueError) as exc:
            self._link.close()
            raise ConfigError(f"cannot open the ledger: {exc}; {_REMEDY}") from exc
        if version > VERSION:
            self._link.close()
            said = f"was written by a newer Turnout (layout {version}, this one knows {VERSION}); upgrade"
            raise ConfigError(f"the ledger at {self._link.address} {said}")

    def append(self, records: Sequence[Record]) -> None:
        entries = [record for record in records if isinstance(record, Entry)]
        said = columns_of(FEEDBACK, [record for record in records if isinstance(record, Feedback)])
        templates = columns_of(TEMPLATE, [record for record in records if isinstance(record, Template)])
        ordered = _ordered(entries)
        months = {month_of(entry.at) for entry in entries}

        def write(cursor: Cursor) -> None:
            self._append(cursor, *ordered)
            _insert(cursor, "feedback", FEEDBACK.columns, said, _ONCE)
            _insert(cursor, "template", TEMPLATE.columns, templates, _ONCE)

        self._write(months, write)

    def find(self, request_id: str, key: str | None = None) -> Entry | None:
        with self._lock, self._errors("read"), self._link.transaction(is_read_only=True, bound_s=self._bound_s) as cursor:
            mine = "" if key is None else " AND key = %s"
            query = f"SELECT * FROM entry WHERE request_id = %s{mine} ORDER BY at DESC, id DESC LIMIT 1"
            row = cursor.execute(query, [_kept(value) for value in (request_id, key) if value is not None]).fetchone()
            if row is None:
                return None
            query = "SELECT * FROM attempt WHERE entry = %s AND at = %s ORDER BY n"
            attempts = cursor.execute(query, (row["id"], row["at"])).fetchall()
            query = "SELECT * FROM feedback WHERE request_id = %s AND (entry IS NULL OR entry = %s) ORDER BY id"
            return entry_of(row, attempts, cursor.execute(query, (row["request_id"], row["uid"])).fetchall())

    def settle_hour(self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]) -> Sequence[Entry]:
        appended: list[Entry] = []

        def settle(cursor: Cursor) -> None:
            # Attempts of the hour may still be appended by others; the next settlement sees to those.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('turnout gpu ' || %s, 0))", (_kept(model),))
            attempts = cursor.execute(with_marks(ATTEMPTS_USED), (hour, _kept(model))).fetchall()
            entries = cursor.execute(with_marks(GPU_ENTRIES), (hour, _kept(model))).fetchall()
            appended[:] = share(used(attempts, entries))
            self._append(cursor, *_ordered(appended))

        self._write({month_of(hour)}, settle)
        return appended

    def prune(self, before: float) -> Sequence[Part]:
        with self._lock, self._errors("write"), self._link.transaction(bound_s=self._bound_s) as cursor:
            ended = [part for part in parts_of(cursor) if part.end <= before]
            drop_parts(cursor, ended)
            cursor.execute("DELETE FROM feedback WHERE at < %s", (begin_of(month_of(before)),))
            self._months.clear()
            return ended

    def close(self) -> None:
        with self._lock:
            self._link.close()

    def _write(self, months: set[int], write: Callable[[Cursor], None]) -> None:
        """One transaction, in which the months have tables."""
        with self._lock, self._errors("write"):
            try:
                self._write_once(months, write)
            except NoPartition:  # another process has dropped a month that was known here
                self._months.clear()
                self._write_once(months, write)

    def _write_once(self, months: set[int], write: Callable[[Cursor], None]) -> None:
        with self._link.transaction(bound_s=self._bound_s) as cursor:
            if new := months - self._months:
                add_parts(cursor, sorted(new))
            write(cursor)
        self._months |= months

    def _append(self, cursor: Cursor, batch: Batch, order: Sequence[int]) -> None:
        if not batch.entries:
            return
        cursor.execute("SELECT nextval('entry_id') AS id FROM generate_series(1, %s)", (len(batch.entries),))
        given = sorted(row["id"] for row in cursor.fetchall())
        ids = [given[place] for place in order]  # they tell which came first
        _insert(cursor, "entry", (_ID, *ENTRY.columns), [ids, *batch.columns], _ONCE_IN_PARTS)
        there = {row["id"] for row in cursor.fetchall()}
        new = batch.only([place for place, id_ in enumerate(ids) if id_ in there])
        _insert(cursor, "attempt", (*OF_ENTRY, *ATTEMPT.columns), new.attempts([id_ for id_ in ids if id_ in there]), "")
        for table, rows in new.sums():
            if rows:
                _insert(cursor, table.name, table.columns, by_column(rows), on_conflict(table))

    @contextmanager
    def _errors(self, act: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise OSError(f"cannot {act} the ledger at {exc}") from exc
        except ValueError as exc:
            raise ValueError(f"not a value that the ledger at {self._link.address} can keep: {exc}") from exc


def _ordered(entries: Sequence[Entry]) -> tuple[Batch, Sequence[int]]:
    """The entries in one order, so that two processes that write the same ones wait for each other, and never in a circle.

    With it for each of them the place that it had.
    """
    order = sorted(range(len(entries)), key=lambda place: entries[place].uid or "")
    return Batch([entries[place] for place in order]), order


def _insert(cursor: Cursor, table: str, columns: Sequence[Column], values: Sequence[Values], then: str) -> None:
    if values[0]:
        names = ", ".join(column.name for column in columns)
        source = unnested([TYPES[column.kind] for column in columns])
        kept = [
            [_kept(value) for value in said] if column.kind == "text" else list(said)
            for column, said in zip(columns, values, strict=True)
        ]
        cursor.execute(f"INSERT INTO {table} ({names}) {source} {then}", kept)


def _kept(value: Any) -> Any:
    """PostgreSQL keeps no NUL in a text. What a provider says of an error may hold one, and the entry must not be lost for it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


_ID = Column("id", "integer", True)
_ONCE = "ON CONFLICT (uid) DO NOTHING"
_ONCE_IN_PARTS = "ON CONFLICT (uid, at) DO NOTHING RETURNING id"
_REMEDY = (
    "check TURNOUT_LEDGER_URL, that the database is there, and that its role may create tables in a schema of the ledger's own"
)
