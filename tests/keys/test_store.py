"""Virtual keys in a file: the suite of every store of keys, and what is the file's own."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.keys.secret import digest_of, new_id
from gateway.keys.sqlite import SqliteKeys
from gateway.keys.store import KeyStore, KeysUnavailable
from tests.contract.keys_suite import KeysSuite
from tests.keys.making import a_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.db"


def keys_exist(path: Path) -> bool:
    store = SqliteKeys(path)
    try:
        return bool(store.held_unless_lost())
    finally:
        store.close()


class TestSqliteKeys(KeysSuite):
    @pytest.fixture(autouse=True)
    def new_place(self, file: Path) -> None:
        self.file = file

    def open(self) -> KeyStore:
        return SqliteKeys(self.file)


# The file.


def test_reading_makes_no_file_and_writing_one_that_only_its_owner_may_read(file: Path) -> None:
    assert not keys_exist(file)
    assert not file.parent.exists()
    old = os.umask(0o000)
    try:
        store = SqliteKeys(file)
        store.add(a_key(), b"a" * 32)
    finally:
        os.umask(old)
    assert keys_exist(file)
    beside = sorted(path.name for path in file.parent.iterdir())
    assert beside == ["keys.db", "keys.db-shm", "keys.db-wal", "keys.made"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}
    store.close()


def test_no_secret_is_in_the_file(file: Path) -> None:
    secret = b"sk-turnout-" + b"x" * 47
    store = SqliteKeys(file)
    store.add(a_key(), digest_of(secret))
    store.close()
    assert secret[11:] not in file.read_bytes()
    assert digest_of(secret) in file.read_bytes()


def test_a_file_put_in_the_place_of_another_is_seen(file: Path, tmp_path: Path) -> None:
    store = SqliteKeys(file)
    store.add(a_key(id="key_old"), b"a" * 32)
    before = store.version()
    other = SqliteKeys(tmp_path / "other.db")
    other.add(a_key(id="key_new"), b"b" * 32)
    other.close()
    for path in file.parent.iterdir():
        path.unlink()
    assert store.version() is None
    os.rename(tmp_path / "other.db", file)
    assert store.version() not in (before, None)
    assert [held.key.id for held in store.held()] == ["key_new"]
    store.close()


def test_a_change_while_the_store_was_let_go_is_seen(file: Path) -> None:
    writer, reader = SqliteKeys(file), SqliteKeys(file)
    key = a_key()
    writer.add(key, b"a" * 32)
    before = reader.version()
    reader.close()  # as after an error
    writer.revoke(key.id, 5.0)
    assert reader.version() != before
    writer.close()
    reader.close()


def test_what_is_no_database_is_said_with_the_remedy(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("not a database, and longer than the hundred bytes that the header of one of SQLite's has" * 2)
    for act in (keys_exist, lambda path: SqliteKeys(path).version(), lambda path: SqliteKeys(path).add(a_key(), b"a" * 32)):
        with pytest.raises(KeysUnavailable, match=r"cannot use the keys in '.*keys\.db': file is not a database; bring back"):
            act(file)


def test_a_damaged_file_is_said_with_the_remedy(file: Path) -> None:
    store = SqliteKeys(file)
    store.add(a_key(), b"a" * 32)
    store.close()
    page = 4096
    file.write_bytes(file.read_bytes()[:page] + b"\xff" * (file.stat().st_size - page))
    with pytest.raises(KeysUnavailable, match="malformed; bring back a copy of the file, or remove it and make new keys with"):
        keys_exist(file)


def test_a_file_that_another_process_writes_is_said_with_the_remedy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.keys.sqlite.BUSY_TIMEOUT_MS", 50)
    store = SqliteKeys(file)
    store.add(a_key(), b"a" * 32)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(KeysUnavailable, match="database is locked; another process is writing; try again"):
        store.add(a_key(), b"b" * 32)
    other.close()
    store.add(a_key(), b"b" * 32)
    store.close()


def test_what_else_fails_is_said_with_the_remedy(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(KeysUnavailable, match="make the file writable for the gateway's user, or set TURNOUT_DATA_DIR"):
        keys_exist(file)


@pytest.mark.parametrize(("is_there", "what"), [(False, "is gone"), (True, "holds no key")])
def test_keys_that_were_made_and_are_lost_are_told_from_none(file: Path, *, is_there: bool, what: str) -> None:
    store = SqliteKeys(file)
    store.add(a_key(), b"a" * 32)
    store.close()
    file.unlink()
    if is_there:
        file.touch()
    said = rf"as '.*keys\.made' says, but '.*keys\.db' {what}; bring it back .*, or delete '.*keys\.made' to begin without keys"
    with pytest.raises(KeysUnavailable, match=said):
        keys_exist(file)
    store.add(a_key(), b"b" * 32)
    assert keys_exist(file)
    store.close()
    file.unlink()
    (file.parent / "keys.made").unlink()
    assert not keys_exist(file)


def test_a_file_that_is_just_being_made_holds_no_key_yet(file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    store = SqliteKeys(file)
    before = store.version()
    assert store.held() == []
    writer = SqliteKeys(file)
    writer.add(a_key(), b"a" * 32)
    assert store.version() != before
    assert len(store.held()) == 1
    store.close()
    writer.close()


def test_a_newer_layout_is_refused(file: Path) -> None:
    store = SqliteKeys(file)
    store.add(a_key(), b"a" * 32)
    store.close()
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(KeysUnavailable, match=r"written by a newer Turnout \(layout 2, this one knows 1\); upgrade"):
        keys_exist(file)


def test_another_process_sees_it(file: Path) -> None:
    id_, store = new_id(), SqliteKeys(file)
    store.add(a_key(id=id_), b"a" * 32)
    code = f"from gateway.keys.sqlite import *; SqliteKeys(Path({str(file)!r})).revoke({id_!r}, 7.0)"
    before = store.version()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=15)
    assert store.version() != before
    assert [held.key.revoked_at for held in store.held()] == [7.0]
    store.close()
