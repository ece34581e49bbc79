"""The embedded ledger: one SQLite file in WAL mode, which several processes may write and read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.attempt import Attempt
from gateway.errors import ConfigError
from gateway.ledger.base import Entry, Feedback, Record
from gateway.usage import Usage

VERSION = 4
BUSY_TIMEOUT_MS = 5_000

_SCHEMA = """
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, dialect TEXT NOT NULL,
    requested_model TEXT NOT NULL, stream INTEGER NOT NULL, key TEXT NOT NULL, policy_hash TEXT NOT NULL,
    draw REAL NOT NULL, team TEXT, tags TEXT NOT NULL, session TEXT, route TEXT, decided_by TEXT,
    scores TEXT NOT NULL, cache TEXT NOT NULL, cache_entry TEXT, model TEXT, provider TEXT,
    usage_input INTEGER, usage_output INTEGER, usage_cached_input INTEGER, usage_cache_write INTEGER,
    usage_reasoning INTEGER, usage_estimated INTEGER,
    cost_nusd INTEGER, overhead_nusd INTEGER NOT NULL, baseline_nusd INTEGER,
    ttft_ms REAL, duration_ms REAL NOT NULL, overhead_ms REAL NOT NULL, outcome TEXT NOT NULL,
    status INTEGER NOT NULL, error TEXT, purpose TEXT NOT NULL DEFAULT 'request', of TEXT, verdict TEXT,
    uid TEXT
) STRICT;
CREATE UNIQUE INDEX entry_uid ON entry (uid);
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_request_id ON entry (request_id);
CREATE TABLE attempt (
    entry INTEGER NOT NULL REFERENCES entry (id), n INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    outcome TEXT NOT NULL, status INTEGER, ttft_ms REAL, duration_ms REAL NOT NULL, busy_s REAL NOT NULL,
    usage_input INTEGER, usage_output INTEGER, usage_cached_input INTEGER, usage_cache_write INTEGER,
    usage_reasoning INTEGER, usage_estimated INTEGER, cost_nusd INTEGER, error TEXT, fault TEXT, accept TEXT,
    seam TEXT, seam_chars INTEGER, is_hedge INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (entry, n)
) STRICT, WITHOUT ROWID;
"""
_FEEDBACK = """
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, value REAL NOT NULL, comment TEXT, tags TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_request_id ON feedback (request_id);
"""
_FEEDBACK_OF_4 = """
ALTER TABLE feedback ADD COLUMN uid TEXT;
ALTER TABLE feedback ADD COLUMN entry TEXT;
CREATE UNIQUE INDEX feedback_uid ON feedback (uid);
"""

# From the layout that is the index to the next one.
_CHANGES = {
    1: "ALTER TABLE attempt ADD COLUMN accept TEXT",
    2: """
ALTER TABLE entry ADD COLUMN purpose TEXT NOT NULL DEFAULT 'request';
ALTER TABLE entry ADD COLUMN of TEXT;
ALTER TABLE entry ADD COLUMN verdict TEXT;
"""
    + _FEEDBACK,
    3: """
ALTER TABLE attempt ADD COLUMN seam TEXT;
ALTER TABLE attempt ADD COLUMN seam_chars INTEGER;
ALTER TABLE attempt ADD COLUMN is_hedge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN uid TEXT;
CREATE UNIQUE INDEX entry_uid ON entry (uid);
"""
    + _FEEDBACK_OF_4,
}

# What layouts before the third, and the third, lack, for those who only read: shadows the file's own tables in this
# connection alone.
_FROM_BEFORE_3 = """
CREATE TEMP VIEW entry AS SELECT *, 'request' AS purpose, NULL AS of, NULL AS verdict, NULL AS uid FROM main.entry;
CREATE TEMP TABLE feedback (id INTEGER, request_id TEXT, at REAL, value REAL, comment TEXT, tags TEXT, uid TEXT, entry TEXT);
"""
_FROM_3 = """
CREATE TEMP VIEW entry AS SELECT *, NULL AS uid FROM main.entry;
CREATE TEMP VIEW feedback AS SELECT *, NULL AS uid, NULL AS entry FROM main.feedback;
"""

_USAGE = ("usage_input", "usage_output", "usage_cached_input", "usage_cache_write", "usage_reasoning", "usage_estimated")
_PLAIN = (
    "request_id at dialect requested_model stream key policy_hash draw team session route decided_by cache cache_entry "
    "model provider cost_nusd overhead_nusd baseline_nusd ttft_ms duration_ms overhead_ms outcome status error purpose of "
    "verdict uid"
).split()
_JSON = ("tags", "scores")
_ATTEMPT = "provider model outcome status ttft_ms duration_ms busy_s cost_nusd error fault seam seam_chars is_hedge".split()
_SAID = ("request_id", "at", "value", "comment", "entry", "uid")


class SqliteLedger:
    """A LedgerStore in one file. Opening makes the file and brings its tables up to date. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # one connection, used by the writer's thread and by whoever looks an entry up
        self._db = connect(path)

    def append(self, records: Sequence[Record]) -> None:
        with self._lock:
            try:
                with self._db:
                    for record in records:
                        if isinstance(record, Entry):
                            self._append(record)
                        else:
                            values = [getattr(record, name) for name in _SAID]
                            self._db.execute(_INSERT_FEEDBACK, [*values, msgspec.json.encode(record.tags).decode()])
            except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError) as exc:
                raise ValueError(f"not a value that the ledger '{self._path}' can keep: {exc}") from exc
            except sqlite3.Error as exc:
                raise OSError(f"cannot write the ledger '{self._path}': {exc}") from exc

    def _append(self, entry: Entry) -> None:
        values = [getattr(entry, name) for name in _PLAIN]
        values += [msgspec.json.encode(getattr(entry, name)).decode() for name in _JSON]
        inserted = self._db.execute(_INSERT_ENTRY, [*values, *_usage_values(entry.usage)])
        if inserted.rowcount == 0:
            return  # it is there already, with its attempts
        id_ = inserted.lastrowid
        rows = (
            [id_, n, *(getattr(a, name) for name in _ATTEMPT), *_usage_values(a.usage), _accept_text(a)]
            for n, a in enumerate(entry.attempts, start=1)
        )
        self._db.executemany(_INSERT_ATTEMPT, rows)

    def find(self, request_id: str, key: str | None = None) -> Entry | None:
        try:
            with self._lock:
                query = "SELECT * FROM entry WHERE request_id = ? AND key = coalesce(?, key) ORDER BY id DESC LIMIT 1"
                row = self._db.execute(query, (request_id, key)).fetchone()
                if row is None:
                    return None
                attempts = self._db.execute("SELECT * FROM attempt WHERE entry = ? ORDER BY n", (row["id"],)).fetchall()
                query = "SELECT * FROM feedback WHERE request_id = ? AND (entry IS NULL OR entry = ?) ORDER BY id"
                feedback = self._db.execute(query, (request_id, row["uid"])).fetchall()
        except sqlite3.Error as exc:
            raise OSError(f"cannot read the ledger '{self._path}': {exc}") from exc
        plain = {name: row[name] for name in _PLAIN} | {name: msgspec.json.decode(row[name]) for name in _JSON}
        plain["stream"] = bool(plain["stream"])
        return Entry(
            **plain,
            usage=_usage(row),
            attempts=[_attempt(a) for a in attempts],
            feedback=[_feedback(row) for row in feedback],
        )

    def close(self) -> None:
        with self._lock:
            self._db.close()


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the ledger file; when not read_only, make it and its tables if need be. Raises ConfigError."""
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = "ro" if read_only else "rwc"
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False)
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(_unusable(path, exc)) from exc
    db.row_factory = sqlite3.Row
    try:
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not read_only:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        _migrate(db, path, read_only=read_only)
    except sqlite3.Error as exc:
        db.close()
        raise ConfigError(_unusable(path, exc)) from exc
    except ConfigError:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        message = f"the ledger '{path}' was written by a newer Turnout (layout {version}, this one knows {VERSION}); upgrade"
        raise ConfigError(message)
    if version == VERSION:
        return
    if read_only and version > 0:
        db.executescript(_FROM_3 if version == 3 else _FROM_BEFORE_3)
        return
    if read_only:
        said = f"the ledger '{path}' is empty: no gateway has written to it"
        raise ConfigError(f"{said}; start the gateway, or set TURNOUT_DATA_DIR to the folder of the one that runs")
    # Two processes may come here at once: whoever gets the lock second finds the work done.
    db.isolation_level = None
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for statements in [_SCHEMA, _FEEDBACK, _FEEDBACK_OF_4] if version == 0 else [_CHANGES[v] for v in range(version, VERSION)]:
        for statement in statements.split(";\n"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")
    db.isolation_level = "DEFERRED"


def _unusable(path: Path, exc: Exception) -> str:
    reason = getattr(exc, "strerror", None) or str(exc)
    return f"cannot open the ledger '{path}': {reason}; make its folder writable or set TURNOUT_DATA_DIR to one that is"


def _usage_values(usage: Usage | None) -> list[int | None]:
    if usage is None:
        return [None] * len(_USAGE)
    return [usage.input, usage.output, usage.cached_input, usage.cache_write, usage.reasoning, int(usage.estimated)]


def _usage(row: sqlite3.Row) -> Usage | None:
    if row["usage_input"] is None:
        return None
    input_, output, cached, written, reasoning, estimated = (row[name] for name in _USAGE)
    return Usage(input_, output, cached, written, reasoning, bool(estimated))


def _accept_text(attempt: Attempt) -> str | None:
    return None if attempt.accept is None else msgspec.json.encode(attempt.accept).decode()


def _attempt(row: sqlite3.Row) -> Attempt:
    accept = None if row["accept"] is None else msgspec.json.decode(row["accept"])
    plain = {name: row[name] for name in _ATTEMPT}
    plain["is_hedge"] = bool(plain["is_hedge"])
    return Attempt(**plain, usage=_usage(row), accept=accept)


def _feedback(row: sqlite3.Row) -> Feedback:
    return Feedback(**{name: row[name] for name in _SAID}, tags=msgspec.json.decode(row["tags"]))


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


# Not OR IGNORE, which would pass over values that cannot be kept as well.
_ONCE = " ON CONFLICT (uid) DO NOTHING"
_INSERT_ENTRY = _insert("entry", [*_PLAIN, *_JSON, *_USAGE]) + _ONCE
_INSERT_ATTEMPT = _insert("attempt", ["entry", "n", *_ATTEMPT, *_USAGE, "accept"])
_INSERT_FEEDBACK = _insert("feedback", [*_SAID, "tags"]) + _ONCE
