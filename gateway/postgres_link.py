"""A connection to one PostgreSQL: transactions with a bound, every fault an OSError or a ValueError. Alone in knowing psycopg.

Nothing is kept in the server's session between two transactions, so that a PgBouncer in transaction mode may stand between.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

Cursor = psycopg.Cursor[DictRow]

CONNECT_S: Final = 5
TRANSACTION_S: Final = 10.0
LOCK_SHARE: Final = 0.4  # of a transaction's bound: how long it waits for others
_MARKS: Final = re.compile(r"'(?:[^']|'')*'|\?|%")
_SERVER: Final = """
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
        extract(epoch FROM clock_timestamp())::double precision AS now,
        has_schema_privilege(current_schema(), 'CREATE') AS may_create
"""
# Whatever the server answers next time: this value, or this row, it will not take.
_NEVER: Final = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded, errors.DatatypeMismatch)


class NoPartition(OSError):
    """There is no table for the month of a row."""


@dataclass(frozen=True, slots=True)
class Server:
    """version: as it says it, `major` of it. skew_s: by how much this machine's clock is ahead of its. may_create: tables."""

    version: str
    major: int
    skew_s: float
    may_create: bool


class PostgresLink:
    """Connects when it is first used, and anew after a connection was lost. Used by one thread at a time.

    address: where it is, for people, without the password. Raises ValueError for a URL that is none, without repeating it.
    """

    def __init__(self, url: str) -> None:
        try:
            said = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
            ports = [int(port) for port in str(said.get("port") or 5432).split(",")]
        except (psycopg.ProgrammingError, ValueError):
            # Not the reason given, which quotes what stands where a port should be: maybe part of a password.
            raise ValueError("is not an address of PostgreSQL") from None
        place = f"{said.get('host', 'localhost')}:{','.join(map(str, ports))}"
        self.address = f"postgresql://{place}/{said.get('dbname', said.get('user', ''))}"
        self._said = {"connect_timeout": CONNECT_S, "application_name": "turnout", **said}
        self._connection: psycopg.Connection[DictRow] | None = None

    @contextmanager
    def transaction(
        self, *, is_read_only: bool = False, bound_s: float | None = TRANSACTION_S, is_snapshot: bool = False
    ) -> Iterator[Cursor]:
        """All of what is done with the cursor, or nothing. bound_s: the longest that it may take; None for no bound.

        is_snapshot: all statements see the database as it is at the first. A transaction within another is a part of it.
        Raises OSError when it cannot be done just now, or when that is not known, PermissionError among them when the role may
        not; ValueError when it never can be.
        """
        with self._errors():
            connection = self._connection or self._connect()
            with _Watch(connection, bound_s), connection.transaction(), connection.cursor() as cursor:
                level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;" if is_snapshot else ""
                cursor.execute(level + _bounds(bound_s) + ("SET TRANSACTION READ ONLY;" if is_read_only else ""))
                yield cursor

    def server(self) -> Server:
        """What is there. Raises OSError when nothing answers."""
        with self.transaction(is_read_only=True, bound_s=CONNECT_S) as cursor:
            sent = time.time()
            row = cursor.execute(_SERVER).fetchone()
            between = (sent + time.time()) / 2
        assert row is not None, "it has no table to find none in"
        return Server(row["version"], row["number"] // 10_000, between - row["now"], row["may_create"] is True)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[DictRow]:
        options: dict[str, Any] = {**self._said, "client_encoding": "utf8"}
        self._connection = psycopg.connect(autocommit=True, row_factory=dict_row, prepare_threshold=None, **options)
        self._connection.adapters.register_loader("numeric", _Number)
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except errors.CheckViolation as exc:
            raise NoPartition(_first_line(exc)) from exc
        except _NEVER as exc:
            raise ValueError(_first_line(exc)) from exc
        except errors.InsufficientPrivilege as exc:
            raise PermissionError(f"{self.address}: {_first_line(exc)}") from exc
        except psycopg.Error as exc:
            if isinstance(exc, psycopg.ProgrammingError) and exc.sqlstate is None:  # psycopg's own: no such type
                raise ValueError(_first_line(exc)) from exc
            if self._connection is not None and (self._connection.closed or not isinstance(exc, psycopg.ProgrammingError)):
                self.close()
            raise OSError(f"{self.address}: {_first_line(exc)}") from exc


def is_there(cursor: Cursor, table: str) -> bool:
    """Whether the first schema of the search path has such a table."""
    # Not to_regclass: within a transaction it may still know of no table that another process has made since.
    query = "SELECT 1 FROM pg_class WHERE relname = %s AND relnamespace = quote_ident(current_schema())::regnamespace"
    return cursor.execute(query, (table,)).fetchone() is not None


def with_marks(query: str) -> str:
    """A query with `?` for its values as psycopg wants it, with `%s`. What stands in quotes stays as it is."""

    def translated(found: re.Match[str]) -> str:
        return "%s" if found[0] == "?" else found[0].replace("%", "%%")

    return _MARKS.sub(translated, query)


def unnested(types: Sequence[str]) -> str:
    """A table of rows that are sent by column: one statement, and one way to the server, however many rows there are."""
    return f"SELECT * FROM unnest({', '.join(f'%s::{name}[]' for name in types)})"


class _Number(Loader):
    """Sums of integers are NUMERIC in PostgreSQL, and averages too."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


class _Watch:
    """Cuts the connection when the bound has passed: the server's own bounds do not hold for one that is stopped or gone."""

    def __init__(self, connection: psycopg.Connection[DictRow], bound_s: float | None) -> None:
        self._connection, self._lock, self._is_over = connection, threading.Lock(), False
        self._timer = None if bound_s is None else threading.Timer(bound_s, self._cut)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:  # the number of a connection that is closed may soon be another's
            self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self) -> None:
        with self._lock, suppress(OSError, psycopg.OperationalError):  # it may have ended by itself
            if not self._is_over:
                with socket.socket(fileno=socket.dup(self._connection.fileno())) as ours:
                    ours.shutdown(socket.SHUT_RDWR)


def _bounds(bound_s: float | None) -> str:
    """For this transaction alone: a session may be another's the next time."""
    if bound_s is None:
        # The others too: of a transaction within this one they would stay, and of the role they may be meant for others.
        return "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    milliseconds = int(bound_s * 1000)
    return (
        f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {int(milliseconds * LOCK_SHARE)}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
    )


def _first_line(exc: BaseException) -> str:
    return next(iter(str(exc).strip().splitlines()), type(exc).__name__)
