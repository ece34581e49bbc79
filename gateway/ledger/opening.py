"""From the settings to the ledger: the one embedded file, or the shared database. Loads psycopg only where it is wanted."""

from __future__ import annotations

from gateway.ledger.base import LedgerReader, LedgerStore
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.postgres_url import check_postgres_url
from gateway.settings import Settings


def open_store(settings: Settings) -> LedgerStore:
    """The ledger to be written, made or brought up to date if need be. Raises ConfigError with the remedy."""
    if settings.ledger_url is None:
        return SqliteLedger(settings.ledger)
    check_postgres_url(settings.ledger_url)
    from gateway.ledger.postgres import PostgresLedger

    return PostgresLedger(settings.ledger_url)


def open_reader(settings: Settings) -> LedgerReader:
    """The ledger to be read, beside those that write it. Raises ConfigError with the remedy, also when there is none yet."""
    if settings.ledger_url is None:
        return SqliteReader(settings.ledger)
    check_postgres_url(settings.ledger_url)
    from gateway.ledger.postgres_reader import PostgresReader

    return PostgresReader(settings.ledger_url)
