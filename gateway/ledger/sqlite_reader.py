"""Reads the embedded ledger beside the processes that write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from gateway.errors import ConfigError
from gateway.ledger.base import Batches, Part
from gateway.ledger.layout_sqlite import parts_of, transaction
from gateway.ledger.sqlite import connect


class SqliteReader:
    """A LedgerReader of one file, which may be of an earlier layout. Raises ConfigError when there is none."""

    engine: Literal["sqlite", "postgres"] = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)
        if not path.exists():
            raise ConfigError(f"there is no ledger at '{path}'; start the gateway, or set TURNOUT_DATA_DIR to the one it uses")
        self._db = connect(path, read_only=True)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        with self._errors():
            return [dict(row) for row in self._db.execute(query, values)]

    def batches(self, query: str, values: Sequence[object] = (), size: int = 10_000) -> Batches:
        with self._errors():
            cursor = self._db.execute(query, values)
            while batch := cursor.fetchmany(size):
                yield [dict(row) for row in batch]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._errors(), transaction(self._db, "DEFERRED"):
            yield

    def parts(self) -> Sequence[Part]:
        with self._errors():
            return parts_of(self._db)

    def sizes(self) -> Mapping[str, int]:
        query = """
            SELECT schema.tbl_name AS name, sum(stat.pgsize) AS bytes FROM dbstat AS stat
            JOIN main.sqlite_schema AS schema ON schema.name = stat.name WHERE stat.aggregate = TRUE GROUP BY 1
        """
        return {row["name"]: row["bytes"] for row in self.rows(query)}

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise OSError(f"cannot read the ledger '{self._path}': {exc}") from exc
