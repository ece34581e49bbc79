"""The tables of the shared ledger: made, parted by the month, and brought up to date. In the first schema of the search path.

`entry` and `attempt` are parted by `at`; their parts are tables of their own, `entry_202611`, made with the month's first entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.ledger.base import Part
from gateway.ledger.months import begin_of, end_of
from gateway.ledger.tables import (
    ATTEMPT,
    ENTRY,
    FEEDBACK,
    OF_ENTRY,
    SUMS,
    TEMPLATE,
    Column,
    Kind,
)
from gateway.postgres_link import Cursor, is_there

VERSION: Final = 1
TYPES: Final[dict[Kind, str]] = {
    "text": "text",
    "json": "text",  # as in the embedded ledger; `tags::jsonb` makes jsonb of it
    "integer": "bigint",
    "flag": "smallint",
    "real": "double precision",
}
_LOCK: Final = 0x7475726E  # of the advisory lock that whoever changes tables holds: "turn"
_PART: Final = re.compile(r"entry_(\d{6})")


def version_of(cursor: Cursor) -> int:
    """The layout of the ledger in the database; 0 if there is none."""
    if not is_there(cursor, "ledger_layout"):
        return 0
    row = cursor.execute("SELECT version FROM ledger_layout").fetchone()
    return 0 if row is None else int(row["version"])


def bring_up_to_date(cursor: Cursor) -> None:
    """Make the tables, in the transaction that is under way. Several processes may come here at once."""
    _lock(cursor)
    if version_of(cursor) == 0:  # whoever got the lock second finds the work done
        for statement in _statements():
            cursor.execute(statement)
        cursor.execute("INSERT INTO ledger_layout (version) VALUES (%s)", (VERSION,))


def add_parts(cursor: Cursor, months: Iterable[int]) -> None:
    """Make the tables of those months that have none, in the transaction that is under way."""
    _lock(cursor)
    for month in months:
        for table in ("attempt", "entry"):
            name = f"{table}_{month}"
            if not is_there(cursor, name):
                # Made apart and then attached, which neither waits for those who read nor holds them up.
                cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)")
                bounds = f"FROM ({begin_of(month)!r}) TO ({end_of(month)!r})"
                cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


def drop_parts(cursor: Cursor, parts: Sequence[Part]) -> None:
    """Remove their tables, in the transaction that is under way."""
    for part in parts:
        cursor.execute(f"DROP TABLE {part.attempt}")
        cursor.execute(f"DROP TABLE {part.entry}")


def parts_of(cursor: Cursor) -> list[Part]:
    """The parts there are, the oldest first."""
    cursor.execute(
        "SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'entry'::regclass ORDER BY relname"
    )
    found = [match for row in cursor.fetchall() if (match := _PART.fullmatch(row["name"]))]
    return [Part(m[0], f"attempt_{m[1]}", begin_of(int(m[1])), end_of(int(m[1]))) for m in found]


def _statements() -> list[str]:
    attempts = (*OF_ENTRY, *ATTEMPT.columns)
    return [
        "CREATE TABLE ledger_layout (version integer NOT NULL)",
        "CREATE SEQUENCE entry_id",
        f"CREATE TABLE entry (id bigint NOT NULL, {_defined(ENTRY.columns)}) PARTITION BY RANGE (at)",
        "CREATE UNIQUE INDEX entry_uid ON entry (uid, at)",  # an index that parts must have holds what they are parted by
        "CREATE INDEX entry_at ON entry (at)",
        "CREATE INDEX entry_request_id ON entry (request_id)",
        "CREATE INDEX entry_of_id ON entry (id)",
        f"CREATE TABLE attempt ({_defined(attempts)}, PRIMARY KEY (entry, n, at)) PARTITION BY RANGE (at)",
        f"CREATE TABLE feedback (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {_defined(FEEDBACK.columns)})",
        "CREATE INDEX feedback_request_id ON feedback (request_id)",
        "CREATE UNIQUE INDEX feedback_uid ON feedback (uid)",
        f"CREATE TABLE template (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {_defined(TEMPLATE.columns)})",
        "CREATE INDEX template_id ON template (id)",
        "CREATE UNIQUE INDEX template_uid ON template (uid)",
        *(
            # Room in each page: its rows are changed with every batch of their time.
            f"CREATE TABLE {table.name} ({_defined(table.columns)}, PRIMARY KEY ({', '.join(table.key)})) WITH (fillfactor = 50)"
            for table in SUMS
        ),
    ]


def _lock(cursor: Cursor) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def _defined(columns: Sequence[Column]) -> str:
    return ", ".join(f"{c.name} {TYPES[c.kind]}{' NOT NULL' if c.is_required else ''}" for c in columns)
