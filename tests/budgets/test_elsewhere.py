"""What is charged besides chat: embeddings, audits and refreshes, hours of machines; and what is not known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.budgets import budgets as budgets_module
from gateway.budgets.base import Account, Ask, Counts, Family
from gateway.budgets.budgets import Budgets
from gateway.budgets.memory import MemoryCounts
from gateway.errors import StoreUnavailable
from gateway.ledger.base import IDLE, Entry
from gateway.loading import load_policy
from gateway.metrics import Metrics
from gateway.policy.budgets import Period
from tests.budgets.policies import budgeted
from tests.live_gateway import LiveGateway
from tests.scenario.test_embeddings import EmbeddingsUpstream
from tests.scenario.test_embeddings import policy as embedding

DAY = Period(86_400, "day")
ADMIN = {"authorization": "Bearer k"}


def spent(gateway: LiveGateway) -> list[tuple[str, int, int]]:
    rows = gateway.http.get("/admin/budgets", headers=ADMIN).json()["budgets"]
    return [(row["holder"], row["spent_nusd"], row["reserved_nusd"]) for row in rows]


def until(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(gateway: LiveGateway, *texts: str, **fields: Any) -> httpx.Response:
    return gateway.http.post("/v1/embeddings", json={"model": "vectors", "input": list(texts), **fields})


@pytest.mark.parametrize(("free", "expected"), [("allow", 200), ("refuse", 429)])
def test_embeddings_are_held_to_budgets_and_kept_vectors_cost_nothing(tmp_path: Path, free: str, expected: int) -> None:
    def priced(url: str, rule: str) -> str:
        text = embedding(url).replace("price: unknown", "price: {input: 1, output: 1}")
        return f"{text}budgets:\n  - {{per: key, {rule}, free: {free}}}\n"

    with EmbeddingsUpstream() as upstream:
        with LiveGateway(tmp_path, priced(upstream.url, "usd: 1/day"), admin_key="k") as gateway:
            first = ask(gateway, "x" * 20)  # 5 tokens, as the server counts them
            assert first.status_code == 200
            cost = gateway.entry(first)["cost_nusd"]
            assert spent(gateway) == [("anonymous", cost, 0)] and cost > 0
            assert ask(gateway, "x" * 20).headers["x-turnout-cache"] == "hit-exact"
        with LiveGateway(tmp_path, priced(upstream.url, f"usd: {cost / 1e9:.9f}/day"), admin_key="k") as gateway:
            refused = ask(gateway, "y" * 20)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")
            assert gateway.chat(model="answers").status_code == 429, "one budget for all that a key asks"
            assert spent(gateway) == [("anonymous", cost, 0)]
        with LiveGateway(tmp_path, priced(upstream.url, f"usd: {2 * cost / 1e9:.9f}/day"), admin_key="k") as gateway:
            assert ask(gateway, "y" * 20).status_code == 200
            assert ask(gateway, "y" * 20).status_code == expected, "it is kept, and all is spent"
            assert ask(gateway, "z" * 20).status_code == 429


def test_a_refresh_is_charged_to_whoever_it_was_done_for(tmp_path: Path) -> None:
    routes = '  - {name: kept, when: {tag.kept: "yes"}, model: dear, cache: {mode: exact, ttl: 1s, stale: 1h}}'
    text = budgeted("{per: key, usd: 1/day}", routes=routes)
    with LiveGateway(tmp_path, text, admin_key="k") as gateway:
        tagged = {"x-turnout-tags": "kept=yes"}
        assert gateway.chat(headers=tagged, max_tokens=6).headers["x-turnout-cache"] == "miss"
        time.sleep(1.1)
        assert gateway.chat(headers=tagged, max_tokens=6).headers["x-turnout-cache"] == "hit-exact"
        until(lambda: spent(gateway) == [("anonymous", 16_000_000, 0)])


def test_nothing_is_refreshed_for_whoever_has_spent_all(tmp_path: Path) -> None:
    routes = '  - {name: kept, when: {tag.kept: "yes"}, model: dear, cache: {mode: exact, ttl: 1s, stale: 1h}}'
    text = budgeted("{per: key, usd: 0.008/day, free: allow}", routes=routes)
    with LiveGateway(tmp_path, text, admin_key="k") as gateway:
        tagged = {"x-turnout-tags": "kept=yes"}
        assert gateway.chat(headers=tagged, max_tokens=6).headers["x-turnout-cache"] == "miss"
        time.sleep(1.1)
        assert gateway.chat(headers=tagged, max_tokens=6).headers["x-turnout-cache"] == "hit-exact"
        time.sleep(0.5)
        assert spent(gateway) == [("anonymous", 8_000_000, 0)]


def test_what_answers_because_it_is_free_is_not_kept_in_the_place_of_what_is_wanted(tmp_path: Path) -> None:
    routes = '  - {name: kept, when: {tag.kept: "yes"}, model: dear, fallback: [ours], cache: {mode: exact, ttl: 1h}}'
    text = budgeted("{per: key, usd: 0.008/day, free: allow}", routes=routes)
    with LiveGateway(tmp_path, text, admin_key="k") as gateway:
        tagged = {"x-turnout-tags": "kept=yes"}
        first, *others = [gateway.chat(word, headers=tagged, max_tokens=6) for word in ("hello", "other", "other")]
        assert first.headers["x-turnout-model"] == "dear"
        assert [(a.headers["x-turnout-model"], a.headers["x-turnout-cache"]) for a in others] == [("ours", "miss")] * 2


def entry(**fields: Any) -> Entry:
    plain = {"request_id": "r", "at": time.time(), "dialect": "", "requested_model": "m", "stream": False, "draw": 0.0}
    return Entry(**(plain | {"key": "k", "policy_hash": "x", "purpose": "gpu", "model": "ours"} | fields))


async def at_once() -> None:
    """A ledger that has all."""


def budgets_of(
    folder: Path, read: Callable[..., Any], *rules: str, written: Callable[[], Awaitable[None]] = at_once
) -> tuple[Budgets, Counts]:
    (folder / "policy.yaml").write_text(budgeted(*rules))
    counts = MemoryCounts(lambda *_: None)
    return Budgets(counts, read, load_policy(folder / "policy.yaml"), Metrics(), written), counts


def test_the_hours_of_machines_are_charged_and_idle_ones_to_nobody_but_the_gateway(tmp_path: Path) -> None:
    async def scenario() -> None:
        rules = "{per: key, usd: 1/day}", "{per: team, usd: 1/day}", "{per: route, usd: 1/day}", "{per: gateway, usd: 1/day}"
        budgets, _ = budgets_of(tmp_path, lambda family, at: {}, *rules)
        await budgets.adopt(budgets.policy)
        budgets.charge(entry(cost_nusd=70, route="all", team="t"))
        budgets.charge(entry(cost_nusd=-20, route="all", team="t"))
        budgets.charge(entry(cost_nusd=1000, key=IDLE))
        found = [(one.rule.per, one.state.account.name, one.state.spent_nusd) for one in await budgets.standings()]
        assert found == [("key", "k", 50), ("team", "t", 50), ("route", "all", 50), ("gateway", "gateway", 1050)]

    asyncio.run(scenario())


def test_what_cannot_be_read_from_the_ledger_leaves_open_budgets_counting_and_closed_ones_refusing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets_module, "AGAIN_S", 0.05)
    is_away = True

    def read(family: Family, at: float) -> dict[str, dict[int, int]]:
        if is_away:
            raise OSError("the ledger is locked")
        return {"k": {int(at // 3600): 60}}

    async def scenario() -> None:
        nonlocal is_away
        budgets, _ = budgets_of(tmp_path, read, "{per: key, usd: 1/day}")
        await budgets.adopt(budgets.policy)
        assert budgets.problem is not None and "the ledger is locked" in budgets.problem
        account, at = Account(Family("key", None, DAY), "k"), time.time()
        assert (await budgets.reserve("a", [Ask(account, 80, 100)], at, 60)).is_held
        with pytest.raises(StoreUnavailable):
            await budgets.reserve("b", [Ask(account, 1, 100, "closed")], at, 60)
        is_away = False
        await asyncio.sleep(0.1)
        assert not (await budgets.reserve("c", [Ask(account, 1, 100, "closed")], at, 60)).is_held
        [state] = await budgets.states([account], at)
        assert (state.spent_nusd, state.reserved_nusd, budgets.problem) == (60, 80, None)
        await budgets.aclose()

    asyncio.run(scenario())


def test_a_ledger_that_is_slow_keeps_no_request_waiting_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "WAIT_S", 0.05)

    async def scenario() -> None:
        budgets, _ = budgets_of(tmp_path, lambda family, at: time.sleep(0.5) or {}, "{per: key, usd: 1/day}")
        account = Account(Family("key", None, DAY), "k")
        began = time.perf_counter()
        assert (await budgets.reserve("a", [Ask(account, 80, 100)], time.time(), 60)).is_held
        assert time.perf_counter() - began < 0.45
        await asyncio.sleep(0.6)
        assert not (await budgets.reserve("b", [Ask(account, 80, 100, "closed")], time.time(), 60)).is_held
        await budgets.aclose()

    asyncio.run(scenario())


def test_a_new_budget_knows_what_was_on_its_way_to_the_ledger(tmp_path: Path) -> None:
    ledger: dict[str, int] = {}

    async def scenario() -> None:
        async def written() -> None:
            await asyncio.sleep(0.05)
            ledger["k"] = 10

        read = lambda family, at: {holder: {int(at // 3600): nusd} for holder, nusd in ledger.items()}  # noqa: E731
        budgets, _ = budgets_of(tmp_path, read, "{per: key, usd: 1/day}", written=written)
        adopting = asyncio.create_task(budgets.adopt(budgets.policy))
        await asyncio.sleep(0.01)
        assert [one.state.spent_nusd for one in await budgets.standings()] == [10], "not shown as if nothing were spent"
        await adopting
        await budgets.aclose()

    asyncio.run(scenario())


def test_a_ledger_that_lags_is_not_waited_for_and_looked_at_again_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "WRITTEN_S", 0.02)
    monkeypatch.setattr(budgets_module, "LOOK_S", 0.05)
    monkeypatch.setattr(budgets_module, "DEAR_EVERY", 1_000_000)
    ledger: dict[str, int] = {"k": 10}

    async def scenario() -> None:
        account, is_there = Account(Family("tag", "app", DAY), "k"), asyncio.Event()
        read = lambda family, at: {holder: {int(at // 3600): nusd} for holder, nusd in ledger.items()}  # noqa: E731
        rule = "{per: tag:app, usd: 1/day}"

        async def written() -> None:
            await is_there.wait()

        budgets, _ = budgets_of(tmp_path, read, rule, written=written)
        await budgets.adopt(budgets.policy)
        assert (await budgets.states([account], time.time()))[0].spent_nusd == 10, "what there is counts"
        ledger["k"] = 30
        is_there.set()
        looking = asyncio.create_task(budgets.run())
        async with asyncio.timeout(10):
            while (await budgets.states([account], time.time()))[0].spent_nusd != 30:  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.02)
        ledger["k"] = 40
        await asyncio.sleep(0.2)
        assert (await budgets.states([account], time.time()))[0].spent_nusd == 30, "a look that found all is not repeated so soon"
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await budgets.aclose()

    asyncio.run(scenario())


def test_what_others_spend_is_found_in_the_ledger_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "LOOK_S", 0.02)
    ledger = {"k": 10}

    async def scenario() -> None:
        rules = "{per: key, usd: 1/day}", "{per: tag:app, usd: 1/day}"
        read = lambda family, at: {holder: {int(at // 3600): nusd} for holder, nusd in ledger.items()}  # noqa: E731
        budgets, _ = budgets_of(tmp_path, read, *rules)
        await budgets.adopt(budgets.policy)
        accounts = [Account(Family("key", None, DAY), "k"), Account(Family("tag", "app", DAY), "k")]
        assert [state.spent_nusd for state in await budgets.states(accounts, time.time())] == [10, 10]
        ledger["k"] = 30  # as from the spool of a process that was killed
        looking = asyncio.create_task(budgets.run())
        async with asyncio.timeout(10):
            while [state.spent_nusd for state in await budgets.states(accounts, time.time())] != [30, 30]:  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.02)
        ledger["k"] = 20  # what is booked here and not there yet is not taken back
        await asyncio.sleep(0.1)
        assert [state.spent_nusd for state in await budgets.states(accounts, time.time())] == [30, 30]
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await budgets.aclose()

    asyncio.run(scenario())
