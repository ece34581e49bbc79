"""Whether the address of a PostgreSQL can be used, said to the operator. Loads the library `psycopg` only when there is one."""

from __future__ import annotations

import importlib.util

from gateway.errors import ConfigError


def check_postgres_url(url: str) -> None:
    """Raises ConfigError, with the remedy and without the password, for an address that no link can be made of."""
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            "TURNOUT_LEDGER_URL names a PostgreSQL, but its client is not installed: pip install 'turnout[postgres]', "
            "or use sqlite:///path/to/ledger.db"
        )
    from gateway.postgres_link import PostgresLink

    try:
        PostgresLink(url)
    except ValueError as exc:
        like = "postgresql://user:password@host:5432/database, with what is no letter or digit of a password as %XX"
        raise ConfigError(f"TURNOUT_LEDGER_URL {exc}; give one such as {like}") from exc
