"""Reads the shared ledger beside the gateways that write it, in transactions that cannot change anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal

from gateway.errors import ConfigError
from gateway.ledger.base import Batches, Part
from gateway.ledger.layout_postgres import VERSION, parts_of, version_of
from gateway.postgres_link import PostgresLink, with_marks

GRANT: Final = "GRANT its role USAGE on the ledger's schema and SELECT on all tables in it, as docs/ledger.md shows"


class PostgresReader:
    """A LedgerReader. A query may take as long as it does. Raises ConfigError when there is no ledger.

    Raises ValueError for a URL that is none.
    """

    engine: Literal["sqlite", "postgres"] = "postgres"

    def __init__(self, url: str) -> None:
        self._link = PostgresLink(url)
        self.where = self._link.address
        try:
            with self._link.transaction(is_read_only=True) as cursor:
                version = version_of(cursor)
                schema = cursor.execute("SELECT current_schema() AS name").fetchone()
        except PermissionError as exc:
            self._link.close()
            raise ConfigError(f"cannot open the ledger: {exc}; {GRANT}") from exc
        except (OSError, ValueError) as exc:
            self._link.close()
            raise ConfigError(f"cannot open the ledger: {exc}; check TURNOUT_LEDGER_URL and that the database is up") from exc
        if schema is None or schema["name"] is None:
            self._link.close()
            raise ConfigError(f"no schema in the search path of {self._link.address} is open to the role; {GRANT}")
        if version != VERSION:
            self._link.close()
            raise ConfigError(f"{_said_of(version, self._link.address)}")

    def rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        with self._errors(), self._link.transaction(is_read_only=True, bound_s=None) as cursor:
            return cursor.execute(with_marks(query), values).fetchall()

    def batches(self, query: str, values: Sequence[object] = (), size: int = 10_000) -> Batches:
        with self._errors(), self._link.transaction(is_read_only=True, bound_s=None) as cursor:
            # A cursor of the server's: without one all rows would come at once.
            with cursor.connection.cursor("rows", scrollable=False) as found:
                found.execute(with_marks(query), values)
                while batch := found.fetchmany(size):
                    yield batch

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with ExitStack() as stack:
            with self._errors():  # not of what is done within: a file that cannot be written is no fault of the ledger's
                stack.enter_context(self._link.transaction(is_read_only=True, bound_s=None, is_snapshot=True))
            yield

    def parts(self) -> Sequence[Part]:
        with self._errors(), self._link.transaction(is_read_only=True) as cursor:
            return parts_of(cursor)

    def sizes(self) -> Mapping[str, int]:
        query = """
            SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
            WHERE relkind = 'r' AND relnamespace = to_regnamespace(quote_ident(current_schema()))
        """
        return {row["name"]: row["bytes"] for row in self.rows(query)}

    def close(self) -> None:
        self._link.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as exc:
            raise PermissionError(f"cannot read the ledger: {exc}; {GRANT}") from exc
        except (OSError, ValueError) as exc:
            raise OSError(f"cannot read the ledger: {exc}") from exc


def _said_of(version: int, address: str) -> str:
    if version == 0:
        return f"there is no ledger at {address}; start the gateway with this TURNOUT_LEDGER_URL, which makes it"
    if version > VERSION:
        return f"the ledger at {address} was written by a newer Turnout (layout {version}, this one knows {VERSION}); upgrade"
    return f"the ledger at {address} is of layout {version}; start a gateway of this version, which brings it up to date"
