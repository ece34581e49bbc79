"""Virtual keys in one SQLite file of the data directory, which its owner alone may read. It is made with the first key.

An empty file beside it, `keys.made`, says that there were keys: without it a gateway that starts where the keys were lost would
take them for never made, and serve everybody on this machine.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Hashable, Iterator
from pathlib import Path

from gateway.keys.model import Held, VirtualKey
from gateway.keys.rows import COLUMNS, key_of, row_of
from gateway.keys.store import KeysUnavailable, NoSuchKey

VERSION = 1
BUSY_TIMEOUT_MS = 5_000
MODE = 0o600  # of the file and of the mark; SQLite gives it to the two beside it as well
MAKE_NEW = "make new keys with `turnout keys create`"

_SCHEMA = """
CREATE TABLE key (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, team TEXT, tags TEXT NOT NULL, models TEXT, routes TEXT,
    limits TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL, revoked_at REAL
) STRICT;
CREATE TABLE secret (
    digest BLOB NOT NULL PRIMARY KEY, key TEXT NOT NULL REFERENCES key (id), until REAL
) STRICT, WITHOUT ROWID;
"""


class SqliteKeys:
    """A KeyStore in one file. Reading never makes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = path.with_suffix(".made")
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file the connection is to: device and inode
        self._turn = 0  # data_version tells the changes of others, to one connection: this counts ours, and connections

    def version(self) -> Hashable:
        with self._errors():
            db = self._reader()
            return None if db is None else (self._turn, db.execute("PRAGMA data_version").fetchone()[0])

    def held(self) -> list[Held]:
        with self._errors():
            db = self._reader()
            if db is None or db.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process is making it
                return []
            query = "SELECT key.*, digest, until FROM key JOIN secret ON secret.key = key.id ORDER BY n, until IS NULL, until"
            return [Held(row["digest"], key_of(row), row["until"]) for row in db.execute(query)]

    def held_unless_lost(self) -> list[Held]:
        with self._errors():
            were_made = self._mark.exists()  # asked first: a key that is made in between is then found
        held = self.held()
        if were_made and not held:
            what = "holds no key" if self._path.exists() else "is gone"
            message = f"virtual keys were made here, as '{self._mark}' says, but '{self._path}' {what}"
            remedy = f"bring it back with its keys, {MAKE_NEW}, or delete '{self._mark}' to begin without keys"
            raise KeysUnavailable(f"{message}; {remedy}")
        return held

    def add(self, key: VirtualKey, digest: bytes) -> None:
        with self._writing() as db:
            db.execute(f"INSERT INTO key ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", row_of(key))
            db.execute("INSERT INTO secret (digest, key) VALUES (?, ?)", (digest, key.id))
            os.close(os.open(self._mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))

    def rotate(self, id_: str, digest: bytes, until: float) -> VirtualKey:
        with self._writing() as db:
            key = _find(db, id_)
            db.execute("UPDATE secret SET until = min(coalesce(until, ?), ?) WHERE key = ?", (until, until, id_))
            db.execute("INSERT INTO secret (digest, key) VALUES (?, ?)", (digest, id_))
            return key

    def revoke(self, id_: str, at: float) -> VirtualKey:
        with self._writing() as db:
            db.execute("UPDATE key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, id_))
            return _find(db, id_)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _reader(self) -> sqlite3.Connection | None:
        """A connection to the file that is there now, None if there is none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self.close()
            return None
        if self._db is None or (found.st_dev, found.st_ino) != self._file:
            self.close()
            self._db, self._file, self._turn = self._connect(), (found.st_dev, found.st_ino), self._turn + 1
        return self._db

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, in a file that is made if need be."""
        with self._errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
            db = self._reader()
            assert db is not None, "it has just been opened"
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            try:
                if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA.split(";\n"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            self._turn += 1

    def _connect(self) -> sqlite3.Connection:
        # The synchronous mode stays FULL: a revocation must outlive a power cut.
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error:
            db.close()
            raise
        if version > VERSION:
            db.close()
            message = f"the keys in '{self._path}' were written by a newer Turnout (layout {version}, this one knows {VERSION})"
            raise KeysUnavailable(f"{message}; upgrade")
        return db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            self.close()  # the next call begins anew
            reason = getattr(exc, "strerror", None) or str(exc)
            raise KeysUnavailable(f"cannot use the keys in '{self._path}': {reason}; {_remedy(exc)}") from exc


def _remedy(exc: OSError | sqlite3.Error) -> str:
    # The low byte is what went wrong, the others say where. An error of Python's own sqlite3 has none.
    match getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another process is writing; try again"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"bring back a copy of the file, or remove it and {MAKE_NEW}"
        case _:
            return "make the file writable for the gateway's user, or set TURNOUT_DATA_DIR to the folder of its keys"


def _find(db: sqlite3.Connection, id_: str) -> VirtualKey:
    row = db.execute("SELECT * FROM key WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise NoSuchKey(id_)
    return key_of(row)
