"""What is kept when answers cross, and what a look-up decides, with a store in memory and no gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest

from gateway.attempt import Attempt
from gateway.cache.memory import MemoryStore
from gateway.caching.audit import Auditor
from gateway.caching.background import Background
from gateway.caching.keeping import KEPT_BYTES_MAX
from gateway.caching.refresh import Refresher
from gateway.caching.visit import Caching, Visit
from gateway.chat import read_head
from gateway.metrics import Metrics
from gateway.policy.catalog import Model
from gateway.policy.model import CacheRule, Plan, Retry, Timeouts
from gateway.request import CacheDirective, ChatRequest
from gateway.runtime import Runtime
from gateway.tenant import Tenant
from gateway.usage import Usage

PLAN = Plan("r", "rule:r", "m", ("m",), Timeouts(), Retry(), CacheRule("exact"))
ANSWERING = Attempt("p", "m", ttft_ms=1.0, usage=Usage(1, 1))


@dataclass
class FakePolicy:
    models = {"m": Model("m", "p", "m-1", None, None)}


@dataclass
class FakeRuntime:
    policy = FakePolicy()
    matcher = None


def request(id_: str, cache: CacheDirective | None = None) -> ChatRequest:
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "q"}]}'
    return ChatRequest(id_, body, read_head(body), cache=cache)


class Desk:
    """A Caching over a store in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        store, background, metrics = MemoryStore(1_000_000, lambda: self.now), Background(), Metrics()
        ledger = cast(Any, None)  # nothing is asked in the background here
        refresher = Refresher(store, ledger, background)
        self.caching = Caching(
            store, metrics, background, Auditor(store, ledger, background, metrics), refresher, lambda: self.now
        )

    async def visit(self, id_: str, cache: CacheDirective | None = None) -> Visit:
        self.now += 1.0
        return await self.caching.visit(request(id_, cache), Tenant("k"), PLAN, cast(Runtime, FakeRuntime()))

    async def answer(self, visit: Visit, text: str) -> None:
        self.now += 1.0
        message = {"role": "assistant", "content": text}
        visit.keep(msgspec.json.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
        await self.caching.keep(visit, ANSWERING, "stop")

    async def kept(self) -> str:
        hit = (await self.visit("look")).hit
        assert hit is not None
        return hit.answer.id


def test_an_answer_asked_for_earlier_does_not_take_the_place_of_a_newer_one() -> None:
    async def scenario() -> None:
        desk = Desk()
        slow = await desk.visit("slow")
        quick = await desk.visit("quick", "refresh")
        await desk.answer(quick, "new")
        await desk.answer(slow, "old")
        assert await desk.kept() == "quick"

    asyncio.run(scenario())


def test_an_answer_asked_for_later_takes_the_place_though_the_earlier_one_was_kept_meanwhile() -> None:
    async def scenario() -> None:
        desk = Desk()
        slow = await desk.visit("slow")
        quick = await desk.visit("quick", "refresh")
        await desk.answer(slow, "old")
        await desk.answer(quick, "new")
        assert await desk.kept() == "quick"

    asyncio.run(scenario())


def test_age_counts_from_when_it_was_asked_for() -> None:
    async def scenario() -> None:
        desk = Desk()
        visit = await desk.visit("one")
        desk.now += 10.0
        await desk.answer(visit, "a")
        hit = (await desk.visit("look")).hit
        assert hit is not None and desk.caching.age_s(hit) == 12

    asyncio.run(scenario())


@pytest.mark.parametrize(("chars", "is_kept"), [(KEPT_BYTES_MAX - 200, True), (KEPT_BYTES_MAX, False)])
def test_an_answer_that_is_too_long_is_not_kept(chars: int, is_kept: bool) -> None:
    async def scenario() -> None:
        desk = Desk()
        await desk.answer(await desk.visit("long"), "x" * chars)
        assert ((await desk.visit("look", "only")).hit is not None) is is_kept

    asyncio.run(scenario())


def test_nothing_is_kept_of_what_another_answers() -> None:
    async def scenario() -> None:
        desk = Desk()
        visit = await desk.visit("one")
        visit.keep_nothing()
        await desk.answer(visit, "of another")
        assert (await desk.visit("look", "only")).hit is None

    asyncio.run(scenario())


@pytest.mark.parametrize(("told", "temperature"), [(b"null", None), (b"0.5", 0.5), (b"2", 2.0), (b'"high"', None), (b"[]", None)])
def test_a_temperature_is_a_number_or_none(told: bytes, temperature: float | None) -> None:
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "q"}], "temperature": ' + told + b"}"
    assert ChatRequest("r", body, read_head(body)).temperature == temperature
