"""What every KeyStore does. A store's test module subclasses KeysSuite and says how to open two of them on one place."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from gateway.keys.model import Held
from gateway.keys.store import KeyStore, KeysUnavailable, NoSuchKey
from gateway.policy.limits import Rate
from gateway.policy.permit import NOTHING, Permit
from tests.keys.making import a_key


class KeysSuite:
    """open: a store of the same place each time, a new place for each test."""

    def open(self) -> KeyStore:
        raise NotImplementedError

    @pytest.fixture
    def stores(self) -> Iterator[tuple[KeyStore, KeyStore]]:
        """Two of them on the same place, as two processes have them."""
        here, there = self.open(), self.open()
        yield here, there
        here.close()
        there.close()

    def test_what_is_kept_is_found_by_others(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, there = stores
        full = a_key(
            name="the IDE ☺",
            team="search",
            tags={"app": "ide"},
            permit=Permit(("gpt-*", "small"), ()),
            limits=(("requests", Rate(600, 60)), ("tokens", Rate(9, 86_400))),
            expires_at=2000.5,
        )
        plain, shut = a_key(), a_key(permit=NOTHING, revoked_at=3.0)
        for n, key in enumerate((full, plain, shut)):
            here.add(key, bytes([n]) * 32)
        assert there.held() == here.held() == [Held(b"\0" * 32, full), Held(b"\1" * 32, plain), Held(b"\2" * 32, shut)]

    def test_there_is_no_version_before_the_first_key_and_another_after_each_change(
        self, stores: tuple[KeyStore, KeyStore]
    ) -> None:
        here, there = stores
        key = a_key()
        seen = [there.version()]
        assert (seen[0], there.held()) == (None, [])
        for change in (
            lambda: here.add(key, b"a" * 32),
            lambda: here.rotate(key.id, b"b" * 32, 2000.0),
            lambda: here.revoke(key.id, 5.0),
        ):
            own = here.version()
            change()
            assert here.version() != own, "its own changes too"
            assert there.version() not in seen
            assert there.version() == there.version(), "and none without a change"
            seen.append(there.version())

    def test_rotation_gives_another_secret_and_the_old_ones_an_end(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, there = stores
        key, other = a_key(), a_key()
        here.add(key, b"a" * 32)
        here.add(other, b"o" * 32)
        assert here.rotate(key.id, b"b" * 32, 2000.0) == key
        here.rotate(key.id, b"c" * 32, 3000.0)
        assert {held.digest[:1]: held.until for held in there.held()} == {b"a": 2000.0, b"b": 3000.0, b"c": None, b"o": None}
        here.rotate(key.id, b"d" * 32, 1500.0)  # at once, since one of them leaked
        assert {held.digest[:1]: held.until for held in there.held()} == {
            **{b"a": 1500.0, b"b": 1500.0, b"c": 1500.0},
            **{b"d": None, b"o": None},
        }

    def test_revoking_again_does_not_move_the_time(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, there = stores
        key = a_key()
        here.add(key, b"a" * 32)
        assert here.revoke(key.id, 5.0).revoked_at == 5.0
        assert there.revoke(key.id, 9.0).revoked_at == 5.0

    def test_a_key_that_is_not_there_is_said(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, _ = stores
        with pytest.raises(NoSuchKey, match="key 'nobody' is not there; `turnout keys list` shows those that are"):
            here.revoke("nobody", 1.0)
        with pytest.raises(NoSuchKey):
            here.rotate("nobody", b"a" * 32, 1.0)
        assert here.held() == []

    def test_a_secret_is_kept_once(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, _ = stores
        here.add(a_key(), b"a" * 32)
        with pytest.raises(KeysUnavailable):
            here.add(a_key(), b"a" * 32)
        assert len(here.held()) == 1, "all of it or nothing"

    def test_many_makers_at_once_lose_no_key(self) -> None:
        def work() -> None:
            store = self.open()
            for _ in range(5):
                store.add(a_key(), os.urandom(32))
            store.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)
        store = self.open()
        assert len(store.held()) == 20
        store.close()

    def test_keys_are_there_unless_they_are_lost(self, stores: tuple[KeyStore, KeyStore]) -> None:
        here, there = stores
        assert list(there.held_unless_lost()) == []
        here.add(a_key(), b"a" * 32)
        assert list(there.held_unless_lost()) == list(here.held())
