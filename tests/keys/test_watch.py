"""The watch: what was made, rotated or revoked elsewhere is known soon, and what cannot be read lets nobody in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Hashable
from pathlib import Path

import pytest

from gateway.errors import ClientError
from gateway.keys.directory import Directory
from gateway.keys.model import Held, VirtualKey
from gateway.keys.secret import digest_of, new_secret
from gateway.keys.sqlite import SqliteKeys
from gateway.keys.store import KeysUnavailable
from gateway.keys.watch import KeyWatch
from gateway.policy.limits import Rate
from tests.keys.making import a_key

SECRET = new_secret()


class Shelf:
    """A store whose answers the test chooses. reads: how often all of it was read."""

    def __init__(self) -> None:
        self.keys: list[Held] = []
        self.at: Hashable = None
        self.fails: Exception | None = None
        self.reads = 0

    def put(self, *keys: Held) -> None:
        self.keys, self.at = list(keys), object()

    def version(self) -> Hashable:
        if self.fails is not None:
            raise self.fails
        return self.at

    def held(self) -> list[Held]:
        self.reads += 1
        return self.keys

    def add(self, key: VirtualKey, digest: bytes) -> None:
        raise NotImplementedError

    def rotate(self, id_: str, digest: bytes, until: float) -> VirtualKey:
        raise NotImplementedError

    def revoke(self, id_: str, at: float) -> VirtualKey:
        raise NotImplementedError

    def close(self) -> None: ...


def one(**fields: object) -> Held:
    return Held(digest_of(SECRET.encode()), a_key(**fields))


def knows(directory: Directory) -> bool:
    try:
        directory.caller_of(SECRET.encode())
    except ClientError:
        return False
    return True


@contextlib.asynccontextmanager
async def watching(watch: KeyWatch) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def test_a_change_is_seen_and_all_is_read_only_then(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        shelf, directory = Shelf(), Directory()
        async with watching(KeyWatch(shelf, directory, poll_s=0.005)):
            await asyncio.sleep(0.05)
            assert (directory.is_closed, shelf.reads) == (False, 0)
            shelf.put(one())
            await until(lambda: knows(directory))
            await asyncio.sleep(0.05)
            assert shelf.reads == 1
            shelf.put(one(revoked_at=1.0))
            await until(lambda: not knows(directory))
            assert directory.is_closed

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert [r.message for r in caplog.records if r.name == "turnout.keys"] == [
        "the first virtual key was made: from now on callers need one"
    ]


def test_while_the_store_is_away_known_keys_hold_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        shelf, directory = Shelf(), Directory()
        shelf.put(one())
        watch = KeyWatch(shelf, directory, poll_s=0.005)
        watch.look()
        async with watching(watch):
            shelf.fails = KeysUnavailable("the disk is gone")
            await until(lambda: watch.problem is not None)
            await asyncio.sleep(0.05)
            assert (watch.problem, knows(directory)) == ("the disk is gone", True)
            shelf.fails = None
            await until(lambda: watch.problem is None)

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    said = [r.message for r in caplog.records if r.name == "turnout.keys"]
    assert said == ["the disk is gone; until then the keys that are known hold", "the virtual keys can be read again"]


def test_a_mistake_in_the_watch_is_a_problem_that_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        shelf, directory = Shelf(), Directory()
        shelf.put(one())
        watch = KeyWatch(shelf, directory, poll_s=0.005)
        watch.look()
        async with watching(watch) as task:
            shelf.fails = RuntimeError("a mistake")
            await until(task.done)
            assert (
                watch.problem == "changes of virtual keys are no longer seen, start the gateway anew: RuntimeError('a mistake')"
            )

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(scenario())


def test_the_file_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    file, directory = tmp_path / "keys.db", Directory()
    store = SqliteKeys(file)
    watch = KeyWatch(store, directory)
    watch.look()
    assert not directory.is_closed
    store.add(a_key(), digest_of(SECRET.encode()))
    watch.look()
    assert knows(directory)
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(KeysUnavailable, match="the virtual keys' file is gone; bring it back, or make new keys"):
        watch.look()
    assert directory.is_closed and knows(directory)
    store.close()


def test_a_file_without_keys_takes_none_away(tmp_path: Path) -> None:
    file, directory = tmp_path / "keys.db", Directory()
    store = SqliteKeys(file)
    watch = KeyWatch(store, directory)
    store.add(a_key(), digest_of(SECRET.encode()))
    watch.look()
    for path in tmp_path.iterdir():
        path.unlink()
    file.touch()
    with pytest.raises(KeysUnavailable, match="the virtual keys' file holds no key; bring the old one back"):
        watch.look()
    assert knows(directory)
    other = new_secret()
    store.add(a_key(id="key_2"), digest_of(other.encode()))
    watch.look()
    assert not knows(directory) and directory.caller_of(other.encode()).tenant.key == "key_2"
    store.close()


def test_a_first_key_that_cannot_be_read_closes_the_gateway() -> None:
    async def scenario() -> None:
        shelf, directory = Shelf(), Directory()
        watch = KeyWatch(shelf, directory, poll_s=0.005)
        async with watching(watch):
            shelf.fails = KeysUnavailable("it is another user's")
            await until(lambda: watch.problem is not None)
            assert directory.is_closed and not knows(directory)
            shelf.put(one())
            shelf.fails = None
            await until(lambda: knows(directory))

    asyncio.run(scenario())


def test_limits_that_each_worker_counts_by_itself_are_a_problem() -> None:
    shelf, directory = Shelf(), Directory()
    shelf.put(one(id="key_1", limits=(("requests", Rate(5, 60)),)))
    for counts_apart in (False, True):
        watch = KeyWatch(shelf, directory, counts_apart=counts_apart)
        watch.look()
        assert (watch.problem is not None) is counts_apart
    assert watch.problem is not None and watch.problem.startswith("key 'key_1' has limits, and each worker counts them by itself")
