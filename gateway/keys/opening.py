"""From the settings to the virtual keys: the file of the data directory, or the shared database where the ledger is in one."""

from __future__ import annotations

from gateway.keys.sqlite import SqliteKeys
from gateway.keys.store import KeyStore
from gateway.postgres_url import check_postgres_url
from gateway.settings import Settings


def open_keys(settings: Settings, *, is_gateway: bool = False) -> KeyStore:
    """Where keys are read and made. is_gateway: it notes that it has seen some. Raises ConfigError."""
    if settings.ledger_url is None:
        return SqliteKeys(settings.keys)
    check_postgres_url(settings.ledger_url)
    from gateway.keys.postgres import PostgresKeys

    return PostgresKeys(settings.ledger_url, settings.keys.with_suffix(".made"), leaves_mark=is_gateway)


def keys_exist(settings: Settings) -> bool:
    """Whether any key was ever made there. Raises KeysUnavailable, also where they are lost."""
    store = open_keys(settings)
    try:
        return bool(store.held_unless_lost())
    finally:
        store.close()
