"""Virtual keys in a real PostgreSQL: the suite of every store of keys, and what is the database's own."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
import pytest

from gateway.keys.opening import keys_exist, open_keys
from gateway.keys.postgres import PostgresKeys
from gateway.keys.secret import digest_of
from gateway.keys.store import KeyStore, KeysUnavailable
from gateway.settings import Settings
from tests.contract.keys_suite import KeysSuite
from tests.keys.making import a_key
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]


class TestPostgresKeys(KeysSuite):
    @pytest.fixture(autouse=True)
    def new_place(self, postgres: PostgresServer, tmp_path: Path) -> None:
        self.url, self.mark = postgres.new_database(), tmp_path / "keys.made"

    def open(self) -> KeyStore:
        return PostgresKeys(self.url, self.mark)


@pytest.fixture
def settings(postgres: PostgresServer, tmp_path: Path) -> Settings:
    return Settings(tmp_path / "policy.yaml", data_dir=tmp_path / "data", ledger_url=postgres.new_database())


def test_reading_makes_no_table_and_no_file(settings: Settings) -> None:
    assert not keys_exist(settings)
    assert settings.ledger_url is not None
    with psycopg.connect(settings.ledger_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    assert not settings.data_dir.exists()


def test_no_secret_is_in_the_database(settings: Settings) -> None:
    secret = b"sk-turnout-" + b"x" * 47
    store = open_keys(settings)
    store.add(a_key(), digest_of(secret))
    store.close()
    assert settings.ledger_url is not None
    with psycopg.connect(settings.ledger_url) as connection:
        kept = connection.execute(
            "SELECT virtual_key::text, virtual_key_secret::text FROM virtual_key, virtual_key_secret"
        ).fetchall()
    assert "xxx" not in str(kept)
    assert digest_of(secret).hex() in str(kept)


def test_a_gateway_that_has_seen_keys_tells_lost_ones_from_none(settings: Settings, postgres: PostgresServer) -> None:
    operator, gateway = open_keys(settings), open_keys(settings, is_gateway=True)
    operator.add(a_key(), b"a" * 32)
    assert len(operator.held()) == 1
    assert not settings.data_dir.exists(), "the command line leaves no mark where it happens to run"
    assert len(gateway.held()) == 1
    operator.close()
    gateway.close()
    assert keys_exist(settings)
    elsewhere = Settings(settings.policy, data_dir=settings.data_dir, ledger_url=postgres.new_database())
    said = r"virtual keys were made here, as '.*keys\.made' says, but postgresql://127.* holds none; check TURNOUT_LEDGER_URL"
    with pytest.raises(KeysUnavailable, match=said) as caught:
        keys_exist(elsewhere)
    assert "hush" not in str(caught.value)
    with pytest.raises(KeysUnavailable, match=r"but '.*keys\.db' is gone"):  # nor does going back to a file open it
        keys_exist(Settings(settings.policy, data_dir=settings.data_dir))


def test_keys_are_known_where_the_mark_cannot_be_left(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.data_dir.write_text("no folder")
    caplog.set_level(logging.WARNING, "turnout.keys")
    operator, gateway = open_keys(settings), open_keys(settings, is_gateway=True)
    operator.add(a_key(), b"a" * 32)
    assert len(gateway.held()) == 1
    assert "which would tell lost keys from none" in caplog.text
    operator.close()
    gateway.close()


def test_a_newer_layout_is_refused(settings: Settings) -> None:
    store = open_keys(settings)
    store.add(a_key(), b"a" * 32)
    assert settings.ledger_url is not None
    with psycopg.connect(settings.ledger_url) as connection:
        connection.execute("UPDATE virtual_key_state SET layout = 2")
    with pytest.raises(KeysUnavailable, match=r"written by a newer Turnout \(layout 2, this one knows 1\); upgrade"):
        store.held()
    store.close()


def test_a_database_that_is_away_is_said_with_the_remedy(tmp_path: Path) -> None:
    store = PostgresKeys("postgresql://u:hush-hush@127.0.0.1:9/d", tmp_path / "keys.made")
    with pytest.raises(KeysUnavailable, match=r"cannot use the keys: postgresql://127.*; check TURNOUT_LEDGER_URL") as caught:
        store.held()
    assert "hush" not in str(caught.value)
    store.close()
