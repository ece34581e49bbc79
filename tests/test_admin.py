"""The admin API: who may, what it shows of the cache, and what it takes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.cache.base import CachedAnswer, CacheKey, Kept, Observation, Selection
from gateway.cache.memory import MemoryStore
from gateway.chat import completion
from gateway.chat_forms import to_events
from gateway.edge.admin import admin_routes
from gateway.edge.auth import Operator
from gateway.edge.cache_entries import ANSWER_CHARS_MAX, kept_json
from gateway.errors import StoreUnavailable
from gateway.metrics import Metrics
from gateway.settings import Settings, load_settings
from gateway.usage import Usage
from tests.api_routes import client_of

KEY = "the operator's own"
ADMIN = {"authorization": f"Bearer {KEY}"}
ENTRIES = "/admin/cache/entries"
NOW = 1_800_000_000.0
DAY_S = 86_400.0


def answer(id_: str, route: str = "easy", tenant: str = "key:a", age_s: float = 0.0, **fields: Any) -> CachedAnswer:
    given: dict[str, Any] = {"form": "whole", "data": completion(f"said to {id_}", "m-1", Usage(3, 4)), "question": f"{id_}?"}
    at = NOW - age_s
    return CachedAnswer(
        id_,
        **{**given, **fields},
        usage=Usage(3, 4),
        model="m",
        provider="p",
        tenant=tenant,
        route=route,
        stored_at=at,
        fresh_until=at + 60,
    )


async def filled() -> MemoryStore:
    store = MemoryStore(1_000_000, clock=lambda: NOW)
    answers = [answer("a", age_s=10 * DAY_S), answer("b", tenant="key:b", age_s=DAY_S), answer("c", route="hard")]
    for n, one in enumerate(answers):
        await store.put(CacheKey(b"p" * 32, bytes([n]) * 32, one.question), one, None, 3_600.0)
    return store


def asked(store: MemoryStore, scenario: Callable[[httpx.AsyncClient], Awaitable[None]], key: str | None = KEY) -> None:
    async def run() -> None:
        async with client_of(admin_routes(store, Operator(key), Metrics(), "memory", lambda: None)) as client:
            await scenario(client)

    asyncio.run(run())


def on_a_filled_store(scenario: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    asked(asyncio.run(filled()), scenario)


@pytest.mark.parametrize(("method", "path"), [("GET", "/admin/cache"), ("GET", ENTRIES), ("DELETE", f"{ENTRIES}?all=true")])
def test_only_the_operator_may(method: str, path: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        wrong = [
            {},
            {"authorization": "Bearer another"},
            {"x-api-key": KEY[:-1]},
            {"authorization": f"Basic {KEY}"},
            {"x-api-key": ""},
        ]
        for headers in wrong:
            refused = await client.request(method, path, headers=headers)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["type"]) == (401, "invalid_admin_key", "authentication_error")
        for headers in (ADMIN, {"x-api-key": KEY}):
            assert (await client.request(method, path, headers=headers)).status_code == 200

    on_a_filled_store(scenario)


@pytest.mark.parametrize("headers", [{}, ADMIN, {"x-api-key": ""}])
def test_without_an_admin_key_nobody_may_and_the_remedy_is_said(headers: dict[str, str]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        refused = await client.get(ENTRIES, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_disabled")
        assert "set TURNOUT_ADMIN_KEY" in refused.json()["error"]["message"]

    asked(MemoryStore(1_000), scenario, key=None)


def test_the_admin_key_comes_from_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    settings = load_settings({"TURNOUT_ADMIN_KEY": KEY, "TURNOUT_DATA_DIR": str(tmp_path)})
    assert settings.admin_key == KEY and KEY not in repr(settings)
    assert load_settings({"TURNOUT_ADMIN_KEY": ""}).admin_key is None
    assert Settings(Path("p")).admin_key is None


def test_a_key_of_any_characters_is_compared_as_it_is_sent() -> None:
    operator = Operator("schlüssel")
    assert operator.is_at_the_door({b"x-api-key": "schlüssel".encode()})
    assert not operator.is_at_the_door({b"x-api-key": b"schlussel"})


def test_entries_are_shown_with_question_and_answer_the_newest_first() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        shown = (await client.get(ENTRIES, headers=ADMIN)).json()["entries"]
        assert [e["id"] for e in shown] == ["c", "b", "a"]
        size = shown[1].pop("size_bytes")
        assert size > 0
        assert shown[1] == {
            "id": "b",
            "tenant": "key:b",
            "route": "easy",
            "question": "b?",
            "answer": "said to b",
            "model": "m",
            "provider": "p",
            "form": "whole",
            "usage": msgspec.structs.asdict(Usage(3, 4)),
            "space": None,
            "stored_at": "2027-01-14T08:00:00Z",
            "fresh_until": "2027-01-14T08:01:00Z",
            "expires_at": "2027-01-15T09:00:00Z",
            "observations": [],
        }

    on_a_filled_store(scenario)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("id=a", ["a"]),
        ("tenant=key:b", ["b"]),
        ("route=easy", ["b", "a"]),
        ("older_than=7d", ["a"]),
        ("older_than=2h", ["b", "a"]),
        ("route=easy&older_than=7d", ["a"]),
        ("route=easy&tenant=key:c", []),
        ("limit=1", ["c"]),
        ("route=easy&limit=1", ["b"]),
    ],
)
def test_entries_are_selected_by_all_that_is_given(query: str, ids: list[str]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        shown = (await client.get(f"{ENTRIES}?{query}", headers=ADMIN)).json()["entries"]
        assert [e["id"] for e in shown] == ids

    on_a_filled_store(scenario)


@pytest.mark.parametrize(
    ("query", "count", "stay"),
    [
        ("id=a", 1, ["c", "b"]),
        ("tenant=key:b", 1, ["c", "a"]),
        ("route=easy", 2, ["c"]),
        ("older_than=7d", 1, ["c", "b"]),
        ("id=nobody", 0, ["c", "b", "a"]),
        ("all=true", 3, []),
    ],
)
def test_what_is_evicted_is_gone_and_the_rest_stays(query: str, count: int, stay: list[str]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        gone = await client.delete(f"{ENTRIES}?{query}", headers=ADMIN)
        assert (gone.status_code, gone.json()) == (200, {"evicted": count})
        shown = (await client.get(ENTRIES, headers=ADMIN)).json()["entries"]
        assert [e["id"] for e in shown] == stay

    on_a_filled_store(scenario)


@pytest.mark.parametrize(
    ("method", "query", "said"),
    [
        ("GET", "older_than=7", "older_than: a duration with its unit is expected"),
        ("GET", "older_than=-7d", "older_than: a duration"),
        ("GET", "limit=0", "limit '0' is not a number from 1 to 1000"),
        ("GET", "limit=1001", "limit '1001'"),
        ("GET", "limit=ten", "limit 'ten'"),
        ("GET", "limit=", "limit ''"),
        ("GET", f"limit={'9' * 5_000}", "is not a number from 1 to 1000"),
        ("GET", "tennant=key:b", "'tennant' is not known; known: id, tenant, route, older_than, limit"),
        ("GET", "id=", "id is empty"),
        ("GET", "id=a&id=b", "twice"),
        ("GET", "all=true", "'all' is not known"),
        ("DELETE", "", "say which entries"),
        ("DELETE", "all=yes", "all is 'yes'; write all=true"),
        ("DELETE", "all=true&route=easy", "say which entries"),
        ("DELETE", "route=easy&limit=1", "'limit' is not known"),
        ("DELETE", "route=", "route is empty"),
        ("DELETE", "route=easy&older_than=soon", "older_than: a duration"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused_and_nothing_goes(method: str, query: str, said: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        refused = await client.request(method, f"{ENTRIES}?{query}", headers=ADMIN)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "invalid_query")
        assert said in error["message"]
        assert len((await client.get(ENTRIES, headers=ADMIN)).json()["entries"]) == 3

    on_a_filled_store(scenario)


class Away(MemoryStore):
    """A store that cannot be asked."""

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        raise StoreUnavailable("connection", "connection refused")

    async def evict(self, selection: Selection) -> int:
        raise StoreUnavailable("connection", "connection refused")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_store_that_cannot_be_asked_is_a_503_that_says_so(method: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        failed = await client.request(method, f"{ENTRIES}?route=easy", headers=ADMIN)
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
        assert failed.json()["error"]["code"] == "cache_unavailable"
        assert "connection refused" in failed.json()["error"]["message"]

    asked(Away(1_000), scenario)


def test_the_state_of_the_cache_is_told_with_its_look_ups_by_route() -> None:
    metrics = Metrics()
    for outcome in ("miss", "hit-exact", "hit-exact"):
        metrics.looked_up("easy", outcome)
    metrics.looked_up("hard", "bypass")

    async def run() -> None:
        routes = admin_routes(MemoryStore(1_000), Operator(KEY), metrics, "redis", lambda: "Redis takes too long")
        async with client_of(routes) as client:
            assert (await client.get("/admin/cache", headers=ADMIN)).json() == {
                "store": "redis",
                "problem": "Redis takes too long",
                "routes": {"easy": {"miss": 1, "hit-exact": 2}, "hard": {"bypass": 1}},
            }

    asyncio.run(run())


def test_observations_are_shown() -> None:
    async def prepared() -> MemoryStore:
        store = await filled()
        await store.observe(bytes([2]) * 32, Observation(0.9, False), 3_600.0)
        return store

    async def scenario(client: httpx.AsyncClient) -> None:
        (shown,) = (await client.get(f"{ENTRIES}?id=c", headers=ADMIN)).json()["entries"]
        assert shown["observations"] == [{"score": 0.9, "is_same": False}]

    asked(asyncio.run(prepared()), scenario)


@pytest.mark.parametrize("form", ["whole", "stream"])
def test_an_answers_text_is_shown_in_either_form_and_cut(form: str) -> None:
    body = completion("x" * 600, "m-1", Usage(3, 4))
    kept = answer("a", form=form, data=body if form == "whole" else to_events(body))
    assert kept_json(Kept(kept, 1, NOW))["answer"] == "x" * ANSWER_CHARS_MAX + "…"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"not json",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null, "tool_calls": []}}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": [{"type": "text"}]}}]}',
        b'{"object": "list", "data": [{"embedding": [0.5]}]}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("form", ["whole", "stream"])
def test_an_answer_without_a_text_is_shown_without(form: str, data: bytes) -> None:
    kept = answer("a", form=form, data=data if form == "whole" else b"data: " + data + b"\n\n")
    assert kept_json(Kept(kept, 1, NOW))["answer"] is None
