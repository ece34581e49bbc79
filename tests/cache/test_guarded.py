"""What stands between requests and a store over the network: a deadline, a breaker, and few words in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.cache.base import Near, Objection, Observation, Selection, Served
from gateway.cache.guarded import PATIENT_S, WALK_S, Guarded, for_request
from gateway.cache.memory import MemoryStore
from gateway.errors import StoreUnavailable
from tests.contract.store_suite import answer, direction, ids, key
from tests.virtual_time import run


class RemoteMemory(MemoryStore):
    """A store in memory that can be slow, away or full, as if it were over a network.

    delay_s: of every call. fault: raised by every call, or by writes alone with `is_for_writes`.
    """

    address = "remote://here"
    problem: str | None = None

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.delay_s, self.ping_s = 0.0, 0.0
        self.fault: StoreUnavailable | None = None
        self.is_for_writes = False
        self.calls: list[str] = []
        self.pings: list[float] = []

    def report_to(self, listener: Callable[[StoreUnavailable], None]) -> None:
        self.tell = listener

    async def ping(self) -> float:
        self.pings.append(asyncio.get_running_loop().time())
        await self._met(is_write=False)
        return self.ping_s or self.delay_s

    async def get(self, exact: bytes) -> Any:
        return await self._call("get", super().get(exact))

    async def nearest(self, *args: Any) -> Any:
        return await self._call("nearest", super().nearest(*args))

    async def serve(self, served: Served) -> Any:
        return await self._call("serve", super().serve(served))

    async def put(self, *args: Any) -> Any:
        return await self._call("put", super().put(*args), is_write=True)

    async def observe(self, *args: Any) -> Any:
        return await self._call("observe", super().observe(*args), is_write=True)

    async def remove(self, *args: Any) -> Any:
        return await self._call("remove", super().remove(*args), is_write=True)

    async def evict(self, selection: Selection) -> Any:
        return await self._call("evict", super().evict(selection), is_write=True)

    async def _call(self, name: str, work: Awaitable[Any], *, is_write: bool = False) -> Any:
        self.calls.append(name)
        try:
            await self._met(is_write=is_write)
        except BaseException:
            work.close()  # type: ignore[attr-defined]
            raise
        return await work

    async def _met(self, *, is_write: bool) -> None:
        await asyncio.sleep(self.delay_s)
        if self.fault is not None and (is_write or not self.is_for_writes):
            raise self.fault


def scene(scenario: Callable[[RemoteMemory, Guarded, list[str]], Awaitable[None]]) -> None:
    """The store, the guard before it, and the causes that metrics were told; in virtual time."""

    async def opened() -> None:
        causes: list[str] = []
        store = RemoteMemory()
        guarded = Guarded(store, causes.append, clock=asyncio.get_running_loop().time)
        await scenario(store, guarded, causes)
        await guarded.aclose()
        assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "store-probe"] == []

    run(opened())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_store_that_is_well_is_passed_through() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.check()
        await guarded.put(key(), answer(), direction(0), 60)
        await guarded.observe(key().exact, Observation(0.5, True), 60)
        await guarded.oppose(b"p", Objection("asked", "kept"), direction(0), 60)
        assert await guarded.get(key().exact) == answer()
        near = await guarded.nearest(b"p", direction(0), 5)
        assert (ids(near), len(near.objections)) == (["a"], 1)
        served = Served("r", b"p", key().exact, "asked", 0.5)
        assert await guarded.serve(served) == answer()
        assert await guarded.served("r") == served
        place = await guarded.find("a")
        assert place is not None and place.exact == key().exact
        assert await guarded.observations(key().exact) == (Observation(0.5, True),)
        assert len(await guarded.entries(Selection(), 5)) == 1
        assert await guarded.remove(b"p", [key().exact]) == 1
        assert await guarded.evict(Selection()) == 0
        assert (guarded.problem, guarded.is_open, causes) == (None, False, [])

    scene(scenario)


def test_the_first_late_call_is_a_miss_and_those_after_it_do_not_wait() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.put(key(), answer(), direction(0), 60)
        store.delay_s = 1e6
        began = now()
        assert await guarded.get(key().exact) is None
        assert now() - began == pytest.approx(0.05)
        calls = len(store.calls)
        assert await guarded.get(key().exact) is None
        assert await guarded.nearest(b"p", direction(0), 5) == Near()
        assert await guarded.serve(Served("r", b"p", key().exact, "asked", 0.5)) is None
        await guarded.put(key("b"), answer("b"), None, 60)
        await guarded.observe(b"route", Observation(0.5, True), 60)
        assert await guarded.observations(b"route") == ()
        assert now() - began == pytest.approx(0.05)
        assert len(store.calls) == calls
        assert (guarded.is_open, causes) == (True, ["timeout"])
        assert guarded.problem is not None and "no reply within 50 ms" in guarded.problem

    scene(scenario)


def test_all_calls_of_a_request_share_one_deadline() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.put(key(), answer(), direction(0), 60)
        store.delay_s = 0.02
        request = for_request(guarded)
        began = now()
        assert await request.get(key().exact) == answer()
        assert ids(await request.nearest(b"p", direction(0), 1)) == ["a"]
        assert await request.serve(Served("r", b"p", key().exact, "asked", 0.5)) is None
        assert await request.observations(b"route") == ()
        assert now() - began == pytest.approx(0.05)
        assert causes == ["timeout"]

    scene(scenario)


def test_one_that_answers_others_meanwhile_is_not_away() -> None:
    """Then it is this process that is late: without a cache it would be later still."""

    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.put(key(), answer(), direction(0), 60)
        store.delay_s = 1e6
        late = asyncio.create_task(guarded.get(key().exact))
        await asyncio.sleep(0.03)
        store.delay_s = 0.01
        assert await guarded.get(key().exact) == answer()
        assert await late is None
        assert (causes, guarded.is_open) == (["timeout"], False)
        assert await guarded.get(key().exact) == answer()

    scene(scenario)


def test_a_store_in_memory_needs_no_deadline() -> None:
    store = MemoryStore(1_000)
    assert for_request(store) is store


def test_pings_in_the_background_find_out_when_it_is_back() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.put(key(), answer(), None, 60)
        store.fault = StoreUnavailable("connection", "refused")
        began = now()
        assert await guarded.get(key().exact) is None
        calls = len(store.calls)
        for _ in range(200):
            await asyncio.sleep(0.1)
            assert await guarded.get(key().exact) is None
        assert len(store.calls) == calls
        waits = [later - earlier for earlier, later in zip([began, *store.pings], store.pings, strict=False)]
        assert waits == pytest.approx([1, 1.5, 2.25, 3.375, 5, 5])
        store.fault = None
        await asyncio.sleep(5.1)
        assert await guarded.get(key().exact) == answer()
        assert (guarded.is_open, guarded.problem) == (False, None)

    scene(scenario)


def test_a_ping_that_is_slow_does_not_close_the_breaker() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.delay_s = 0.2
        await guarded.get(key().exact)
        await asyncio.sleep(10)
        assert guarded.is_open
        assert guarded.problem is not None and "a reply takes 200 ms, it may take 17" in guarded.problem
        store.delay_s = 0.001
        await asyncio.sleep(6)
        assert not guarded.is_open

    scene(scenario)


def test_one_that_comes_and_goes_is_left_alone_longer() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        for _ in range(100):  # every ping is answered, every call is late
            store.delay_s, store.ping_s = 0.06, 0.001
            await guarded.get(key().exact)
            await asyncio.sleep(1)
        assert len(causes) < 30

    scene(scenario)


@pytest.mark.parametrize("cause", ["full", "readonly", "denied"])
def test_writes_that_are_refused_do_not_keep_reads_from_being_served(cause: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.cache")

    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        await guarded.put(key(), answer(), direction(0), 60)
        store.fault, store.is_for_writes = StoreUnavailable(cause, "no"), True
        for _ in range(20):
            await guarded.put(key("b"), answer("b"), None, 60)
            assert await guarded.get(key().exact) == answer()
        assert not guarded.is_open
        assert causes == [cause] * 20
        assert guarded.problem is not None and cause in guarded.problem
        with pytest.raises(StoreUnavailable):
            await guarded.evict(Selection())
        store.fault = None
        await guarded.put(key("b"), answer("b"), None, 60)
        assert guarded.problem is None

    scene(scenario)
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert "takes no answers: those that it has are served" in caplog.text
    assert "takes answers again" in caplog.text


def test_people_are_told_that_it_cannot_be_done() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.delay_s = 1e6
        began = now()
        with pytest.raises(StoreUnavailable, match="no reply within 5 s"):
            await guarded.remove(b"p", [key().exact])
        assert now() - began == pytest.approx(PATIENT_S)
        with pytest.raises(StoreUnavailable, match="no reply within 30 s"):
            await guarded.evict(Selection())
        assert now() - began == pytest.approx(PATIENT_S + WALK_S)
        assert (causes, guarded.is_open) == (["timeout"] * 2, False)

    scene(scenario)


def test_a_fault_that_cost_nothing_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        for _ in range(50):
            store.tell(StoreUnavailable("broken", "turnout:cache:1:e:00 held nonsense"))
        assert (causes, guarded.is_open, guarded.problem) == (["broken"] * 50, False, None)

    scene(scenario)
    assert len(caplog.records) == 1


def test_the_log_has_one_line_for_an_outage_and_one_for_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.cache")

    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.fault = StoreUnavailable("connection", "refused")
        for _ in range(1_000):
            await guarded.get(key().exact)
            await asyncio.sleep(0.1)
        store.fault = None
        await asyncio.sleep(6)
        assert not guarded.is_open

    scene(scenario)
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    warning = caplog.records[0].getMessage()
    assert warning.startswith("the cache's store at remote://here does not serve: requests go on without the cache (connection:")
    assert "see that it runs" in warning


def test_another_cause_in_the_same_outage_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.fault = StoreUnavailable("connection", "refused")
        await guarded.get(key().exact)
        store.fault = StoreUnavailable("auth", "WRONGPASS")
        await asyncio.sleep(30)

    scene(scenario)
    assert ["connection" in r.getMessage() for r in caplog.records] == [True, False]
    assert "TURNOUT_REDIS_URL" in caplog.text


def test_one_that_is_away_at_the_start_is_known_at_once_and_found_later() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.fault = StoreUnavailable("connection", "refused")
        await guarded.check()
        assert guarded.is_open and guarded.problem is not None
        assert await guarded.get(key().exact) is None
        store.fault = None
        await asyncio.sleep(1.1)
        assert (guarded.is_open, guarded.problem) == (False, None)

    scene(scenario)


def test_what_the_server_lacks_is_a_problem_too() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.problem = "has no vectors"
        assert guarded.problem == "has no vectors"

    scene(scenario)


def test_a_request_that_is_cancelled_is_no_fault_of_the_store() -> None:
    async def scenario(store: RemoteMemory, guarded: Guarded, causes: list[str]) -> None:
        store.delay_s = 0.04
        task = asyncio.create_task(guarded.get(key().exact))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (causes, guarded.is_open) == ([], False)

    scene(scenario)
