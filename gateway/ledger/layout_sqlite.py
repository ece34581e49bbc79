"""The tables of the embedded ledger: made, parted by the month, and brought up to date from what earlier versions wrote.

Entries and attempts of each month have tables of their own, `entry_202611`; the views `entry` and `attempt` put them together
for whoever reads the file, and are made anew with each month. What layouts before the fifth kept in one table became one part,
`entry_until_202611`, as it was, without a row copied.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from gateway.ledger.base import Part
from gateway.ledger.months import LAST, begin_of, end_of, month_of
from gateway.ledger.rollups import ATTEMPTS_SUMMED, ENTRIES_SUMMED, HOURS_SUMMED
from gateway.ledger.tables import (
    ATTEMPT,
    ENTRY,
    FEEDBACK,
    OF_ENTRY,
    SUMS,
    TEMPLATE,
    Column,
    Table,
    exported,
)

VERSION: Final = 5
MIGRATE_MS: Final = 600_000  # how long one process waits for another that brings a large ledger up to date

_TYPES: Final = {"text": "TEXT", "json": "TEXT", "integer": "INTEGER", "flag": "INTEGER", "real": "REAL"}
_PART: Final = re.compile(r"entry_(until_)?(\d{6})")

# What was meant by rows that were written before there was the column.
_BEFORE: Final = {"purpose": "'request'", "is_hedge": "0", "prefill_s": "0.0"}

# How the sums come of the rows; each reads only what stands before it.
_SUMMED: Final = {"rollup": ENTRIES_SUMMED, "rollup_day": HOURS_SUMMED, "rollup_attempt": ATTEMPTS_SUMMED}

# Layouts before the fifth: from the one that is the index to the next one.
_CHANGES: Final = {
    1: ["ALTER TABLE attempt ADD COLUMN accept TEXT"],
    2: [
        "ALTER TABLE entry ADD COLUMN purpose TEXT NOT NULL DEFAULT 'request'",
        "ALTER TABLE entry ADD COLUMN of TEXT",
        "ALTER TABLE entry ADD COLUMN verdict TEXT",
        "CREATE TABLE feedback (id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, value REAL NOT NULL, "
        "comment TEXT, tags TEXT NOT NULL) STRICT",
        "CREATE INDEX feedback_request_id ON feedback (request_id)",
    ],
    3: [
        "ALTER TABLE attempt ADD COLUMN seam TEXT",
        "ALTER TABLE attempt ADD COLUMN seam_chars INTEGER",
        "ALTER TABLE attempt ADD COLUMN is_hedge INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE entry ADD COLUMN uid TEXT",
        "CREATE UNIQUE INDEX entry_uid ON entry (uid)",
        "ALTER TABLE feedback ADD COLUMN uid TEXT",
        "ALTER TABLE feedback ADD COLUMN entry TEXT",
        "CREATE UNIQUE INDEX feedback_uid ON feedback (uid)",
    ],
}


@contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All of it or nothing. The connection is in autocommit mode. kind: IMMEDIATE to write, DEFERRED to read one state."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it by itself when the disk is full
            db.execute("ROLLBACK")
        raise


def version_of(db: sqlite3.Connection) -> int:
    """The layout of the file; 0 for one that nothing was written to."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def bring_up_to_date(db: sqlite3.Connection, busy_ms: int) -> None:
    """Make the tables, or make them those of this version. Several processes may come here at once.

    busy_ms: the connection's own bound for waiting, which it has again afterwards.
    """
    db.execute(f"PRAGMA busy_timeout = {MIGRATE_MS}")
    with transaction(db):
        version = version_of(db)  # whoever got the lock second finds the work done
        if version == 0:
            _make(db)
        elif version < VERSION:
            _migrate(db, version)
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute(f"PRAGMA busy_timeout = {busy_ms}")


def parts_of(db: sqlite3.Connection) -> list[Part]:
    """The parts there are, the oldest first."""
    names = [row[0] for row in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name LIKE 'entry%'")]
    found = [_part(name, match) for name in names if (match := _PART.fullmatch(name))]
    if "entry" in names:  # of an earlier layout, which is only read
        found.append(Part("entry", "attempt", 0.0, end_of(LAST * 100 + 12)))
    return sorted(found, key=lambda part: part.end)


def _part(name: str, match: re.Match[str]) -> Part:
    month = int(match[2])
    return Part(name, name.replace("entry", "attempt"), 0.0 if match[1] else begin_of(month), end_of(month))


def add_part(db: sqlite3.Connection, month: int) -> Part:
    """Make the tables of a month, in the transaction that is under way."""
    entry, attempt = f"entry_{month}", f"attempt_{month}"
    db.execute(f"CREATE TABLE {entry} (id INTEGER PRIMARY KEY, {_defined(ENTRY.columns)}) STRICT")
    db.execute(f"CREATE UNIQUE INDEX {entry}_uid ON {entry} (uid)")
    db.execute(f"CREATE INDEX {entry}_at ON {entry} (at)")
    db.execute(f"CREATE INDEX {entry}_request_id ON {entry} (request_id)")
    columns = _defined((*OF_ENTRY, *ATTEMPT.columns))
    db.execute(f"CREATE TABLE {attempt} ({columns}, PRIMARY KEY (entry, n)) STRICT, WITHOUT ROWID")
    _make_views(db)
    return Part(entry, attempt, begin_of(month), end_of(month))


def drop_parts(db: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """Remove their tables, in the transaction that is under way."""
    for view in ("entry", "attempt"):  # first: SQLite looks through all views when a table goes
        db.execute(f"DROP VIEW IF EXISTS {view}")
    for part in parts:
        db.execute(f"DROP TABLE {part.attempt}")
        db.execute(f"DROP TABLE {part.entry}")
    _make_views(db)


def show_as_of_now(db: sqlite3.Connection) -> None:
    """Let this connection alone, which only reads, see a file of an earlier layout as one of this: by temporary views."""
    for table in (ENTRY, ATTEMPT, FEEDBACK, TEMPLATE):
        db.execute(f"CREATE TEMP VIEW {table.name} AS {_arm(db, table, table.name, 'main.')}")
    for name, query in _SUMMED.items():
        db.execute(f"CREATE TEMP VIEW {name} AS {query}")


def _make(db: sqlite3.Connection) -> None:
    db.execute(f"CREATE TABLE feedback (id INTEGER PRIMARY KEY, {_defined(FEEDBACK.columns)}) STRICT")
    db.execute("CREATE INDEX feedback_request_id ON feedback (request_id)")
    db.execute("CREATE UNIQUE INDEX feedback_uid ON feedback (uid)")
    _make_what_5_has(db)
    _make_views(db)


def _make_what_5_has(db: sqlite3.Connection) -> None:
    db.execute(f"CREATE TABLE template (n INTEGER PRIMARY KEY, {_defined(TEMPLATE.columns)}) STRICT")
    db.execute("CREATE INDEX template_id ON template (id)")
    db.execute("CREATE UNIQUE INDEX template_uid ON template (uid)")
    for table in SUMS:
        key = ", ".join(table.key)
        db.execute(f"CREATE TABLE {table.name} ({_defined(table.columns)}, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID")


def _migrate(db: sqlite3.Connection, version: int) -> None:
    for earlier in range(version, VERSION - 1):
        for statement in _CHANGES[earlier]:
            db.execute(statement)
    _make_what_5_has(db)
    (last,) = db.execute("SELECT max(at) FROM entry").fetchone()
    if last is None:
        db.execute("DROP TABLE attempt")
        db.execute("DROP TABLE entry")
        _make_views(db)
        return
    month = month_of(min(max(last, 0.0), begin_of(LAST * 100 + 12)))
    for table, columns in ((ENTRY, ENTRY.columns), (ATTEMPT, (*OF_ENTRY, *ATTEMPT.columns))):
        name = f"{table.name}_until_{month}"
        db.execute(f"ALTER TABLE {table.name} RENAME TO {name}")
        there = _names_of(db, name)
        for column in columns:
            if column.name not in there:
                before = f" DEFAULT {_BEFORE[column.name]}" if column.name in _BEFORE else ""
                db.execute(f"ALTER TABLE {name} ADD COLUMN {column.name} {_TYPES[column.kind]}{before}")
    entry, attempt = f"entry_until_{month}", f"attempt_until_{month}"
    # Which had the time in the entry alone, and reports and the export ask the tables of a part by it.
    db.execute(f"UPDATE {attempt} SET at = (SELECT e.at FROM {entry} AS e WHERE e.id = {attempt}.entry)")
    _make_views(db)
    for name, query in _SUMMED.items():
        db.execute(f"INSERT INTO {name} {query}")


def _make_views(db: sqlite3.Connection) -> None:
    parts = parts_of(db)
    for table in (ENTRY, ATTEMPT):
        arms = [_arm(db, table, getattr(part, table.name)) for part in parts] or [_nothing(table)]
        db.execute(f"DROP VIEW IF EXISTS {table.name}")
        db.execute(f"CREATE VIEW {table.name} AS {' UNION ALL '.join(arms)}")


def _arm(db: sqlite3.Connection, table: Table, name: str, schema: str = "") -> str:
    """The rows of one table, with the columns that a reader expects. schema: said by a view of the same name alone.

    One that is kept must not say it, or the file could not be attached under another name.
    """
    there = _names_of(db, name)
    if not there:
        return _nothing(table)
    said = [column.name if column.name in there else f"{_BEFORE.get(column.name, 'NULL')} AS {column.name}"
            for column in exported(table)]  # fmt: skip
    if table is ATTEMPT and re.fullmatch(r"attempt(_until_\d+)?", name):
        # Layouts before the fifth had the time in the entry alone.
        own = "at" if "at" in there else "NULL"
        entry = schema + name.replace("attempt", "entry")
        said[2] = f"coalesce({own}, (SELECT e.at FROM {entry} AS e WHERE e.id = {name}.entry)) AS at"
    return f"SELECT {', '.join(said)} FROM {schema}{name}"


def _nothing(table: Table) -> str:
    return f"SELECT {', '.join(f'NULL AS {column.name}' for column in exported(table))} WHERE 0"


def _names_of(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA main.table_info({table})")}


def _defined(columns: Sequence[Column]) -> str:
    return ", ".join(f"{c.name} {_TYPES[c.kind]}{' NOT NULL' if c.is_required else ''}" for c in columns)
