"""Virtual keys in the shared database, beside its ledger: every gateway that uses it has the same ones.

The tables are made with the first key. A gateway that has seen keys there leaves `keys.made` in its data directory, as one does
that keeps them in a file: started where the address then leads to a database without any, it refuses to serve everybody.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.keys.model import Held, VirtualKey
from gateway.keys.rows import COLUMNS, key_of, row_of
from gateway.keys.secret import new_id
from gateway.keys.store import KeysUnavailable, NoSuchKey
from gateway.postgres_link import Cursor, PostgresLink, is_there

log = logging.getLogger("turnout.keys")

VERSION: Final = 1
BOUND_S: Final = 5.0
_LOCK: Final = 0x6B657973  # of the advisory lock that whoever makes the tables holds: "keys"

# state: one row. change: another value after every change, which a backup that is brought back does not have again.
_SCHEMA: Final = """
CREATE TABLE virtual_key (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, name text, team text, tags text NOT NULL,
    models text, routes text, limits text NOT NULL, created_at double precision NOT NULL, expires_at double precision,
    revoked_at double precision
);
CREATE TABLE virtual_key_secret (
    digest bytea PRIMARY KEY, key text NOT NULL REFERENCES virtual_key (id), until double precision
);
CREATE TABLE virtual_key_state (layout integer NOT NULL, change text NOT NULL);
"""


class PostgresKeys:
    """A KeyStore in a database. Reading never makes its tables."""

    def __init__(self, url: str, mark: Path, *, leaves_mark: bool = False) -> None:
        """mark: the file that says that there were keys. leaves_mark: whether it is made when keys are seen.

        Raises ValueError for a URL that is none.
        """
        self._link = PostgresLink(url)
        self._mark, self._leaves_mark = mark, leaves_mark

    def version(self) -> Hashable:
        with self._reading() as cursor:
            return _change(cursor)

    def held(self) -> list[Held]:
        with self._reading() as cursor:
            if _change(cursor) is None:
                return []
            query = """
                SELECT virtual_key.*, digest, until FROM virtual_key JOIN virtual_key_secret ON key = id
                ORDER BY n, until NULLS LAST
            """
            held = [Held(bytes(row["digest"]), key_of(row), row["until"]) for row in cursor.execute(query)]
        if held and self._leaves_mark:
            self._leave_mark()
        return held

    def held_unless_lost(self) -> list[Held]:
        were_made = self._mark.exists()  # asked first: a key that is made in between is then found
        held = self.held()
        if were_made and not held:
            message = f"virtual keys were made here, as '{self._mark}' says, but {self._link.address} holds none"
            remedy = "check TURNOUT_LEDGER_URL, bring the keys back, make new ones with `turnout keys create`"
            raise KeysUnavailable(f"{message}; {remedy}, or delete '{self._mark}' to begin without keys")
        return held

    def add(self, key: VirtualKey, digest: bytes) -> None:
        with self._writing() as cursor:
            marks = ", ".join(["%s"] * len(COLUMNS))
            cursor.execute(f"INSERT INTO virtual_key ({', '.join(COLUMNS)}) VALUES ({marks})", row_of(key))
            cursor.execute("INSERT INTO virtual_key_secret (digest, key) VALUES (%s, %s)", (digest, key.id))

    def rotate(self, id_: str, digest: bytes, until: float) -> VirtualKey:
        with self._writing() as cursor:
            key = _find(cursor, id_)
            query = "UPDATE virtual_key_secret SET until = least(coalesce(until, %s), %s) WHERE key = %s"
            cursor.execute(query, (until, until, id_))
            cursor.execute("INSERT INTO virtual_key_secret (digest, key) VALUES (%s, %s)", (digest, id_))
            return key

    def revoke(self, id_: str, at: float) -> VirtualKey:
        with self._writing() as cursor:
            cursor.execute("UPDATE virtual_key SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL", (at, id_))
            return _find(cursor, id_)

    def close(self) -> None:
        self._link.close()

    def _leave_mark(self) -> None:
        try:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as exc:  # the keys themselves are known, and must be
            log.warning("cannot leave '%s', which would tell lost keys from none: %s", self._mark, exc.strerror)

    @contextmanager
    def _reading(self) -> Iterator[Cursor]:
        with self._errors(), self._link.transaction(is_read_only=True, bound_s=BOUND_S) as cursor:
            yield cursor

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        """A transaction that no other one that writes keys runs beside, in tables that are made if need be."""
        with self._errors(), self._link.transaction(bound_s=BOUND_S) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if _change(cursor) is None:
                cursor.execute(_SCHEMA)
                cursor.execute("INSERT INTO virtual_key_state (layout, change) VALUES (%s, '')", (VERSION,))
            yield cursor
            cursor.execute("UPDATE virtual_key_state SET change = %s", (new_id(),))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as exc:
            raise KeysUnavailable(f"cannot use the keys: {exc}; check TURNOUT_LEDGER_URL and that the database is up") from exc


def _change(cursor: Cursor) -> str | None:
    """What the last change left; None where there never was a key."""
    if not is_there(cursor, "virtual_key_state"):
        return None
    row = cursor.execute("SELECT layout, change FROM virtual_key_state").fetchone()
    if row is None:
        raise KeysUnavailable("the keys' table virtual_key_state holds no row; bring it back from a backup")
    if row["layout"] > VERSION:
        message = f"the keys were written by a newer Turnout (layout {row['layout']}, this one knows {VERSION})"
        raise KeysUnavailable(f"{message}; upgrade")
    return str(row["change"])


def _find(cursor: Cursor, id_: str) -> VirtualKey:
    row = cursor.execute("SELECT * FROM virtual_key WHERE id = %s", (id_,)).fetchone()
    if row is None:
        raise NoSuchKey(id_)
    return key_of(row)
