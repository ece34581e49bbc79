"""`POST /v1/feedback`: to the ledger in any case, to the cache if it was an answer of its own, and never to somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Place, Served
from gateway.cache.feedback import CacheFeedback
from gateway.cache.memory import MemoryStore
from gateway.edge.auth import Operator
from gateway.edge.feedback import COMMENT_BYTES_MAX, feedback_routes, read_feedback
from gateway.errors import ClientError, StoreUnavailable
from gateway.ledger.base import Entry, Feedback
from gateway.ledger.spool import Spool
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.writer import LedgerWriter
from gateway.tenant import tenant_of_credential
from gateway.usage import Usage
from tests.api_routes import client_of
from tests.ledger.entries import entry

OWN = {"authorization": "Bearer of-the-caller"}
KEY = tenant_of_credential("of-the-caller").key
ADMIN = {"x-api-key": "of-the-operator"}
PARTITION = b"p" * 32
AT = 1_700_000_000.0


async def embed(text: str) -> Embedding | None:
    return np.eye(1, 8, dtype=np.float32)[0]


class Gateway:
    """The route with a real ledger and a store in memory."""

    def __init__(self, folder: Path, store: MemoryStore, places: int = 100) -> None:
        self.store = store
        self.ledger = LedgerWriter(SqliteLedger(folder / "ledger.db"), Spool(folder / "spool"), places)
        cache = CacheFeedback(store, embed)
        self.http = client_of(feedback_routes(self.ledger, cache, Operator("of-the-operator"), 1_000_000, lambda: AT))

    async def book(self, *entries: Entry) -> None:
        for one in entries:
            self.ledger.reserve()
            self.ledger.put(one)

    async def keep(self, id_: str, n: int) -> None:
        answer = CachedAnswer(id_, "whole", b"{}", Usage(), "m", "p", f"question {n}", tenant=f"key:{KEY}", route="r")
        vector = np.eye(1, 8, n, dtype=np.float32)[0]
        await self.store.put(CacheKey(PARTITION, bytes([n]) * 32, answer.question), answer, vector, 3_600.0)

    async def say(self, headers: dict[str, str] = OWN, **fields: Any) -> httpx.Response:
        return await self.http.post("/v1/feedback", json={"request_id": "r-1", "value": -1, **fields}, headers=headers)

    async def feedback(self, id_: str = "r-1") -> list[Feedback]:
        found = await self.ledger.find(id_)
        assert found is not None
        return found.feedback


def run(
    folder: Path, scenario: Callable[[Gateway], Awaitable[None]], store: MemoryStore | None = None, places: int = 100
) -> None:
    async def whole() -> None:
        gateway = Gateway(folder, MemoryStore(1_000_000) if store is None else store, places)
        gateway.ledger.start()
        try:
            async with gateway.http:
                await scenario(gateway)
        finally:
            await gateway.ledger.aclose()

    asyncio.run(whole())


def as_said(feedback: Feedback) -> Feedback:
    """Without the ids that the record, and the entry that it is on, were given."""
    return msgspec.structs.replace(feedback, uid=None, entry=None)


def test_feedback_is_in_the_ledger_with_its_comment_and_tags(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.book(entry("r-1", key=KEY))
        said = await gateway.say(value=0.5, comment="close ☺", tags={"by": "reviewer"})
        assert (said.status_code, said.json()) == (200, {"request_id": "r-1", "value": 0.5, "evicted": 0})
        assert (await gateway.say(value=-1, tags=["wrong-year"])).status_code == 200
        assert [as_said(f) for f in await gateway.feedback()] == [
            Feedback("r-1", AT, 0.5, "close ☺", {"by": "reviewer"}, uid=None),
            Feedback("r-1", AT, -1.0, None, ["wrong-year"], uid=None),
        ]

    run(tmp_path, scenario)
    ledger = SqliteLedger(tmp_path / "ledger.db")  # and it was written
    found = ledger.find("r-1")
    ledger.close()
    assert found is not None and [f.value for f in found.feedback] == [0.5, -1.0]


def test_a_thumb_down_on_an_exact_hit_evicts_what_it_was_answered_from(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.book(entry("r-1", key=KEY, cache="hit-exact", cache_entry="r-0", route="r"))
        assert (await gateway.say(value=1)).json()["evicted"] == 0
        assert (await gateway.say()).json()["evicted"] == 1
        assert await gateway.store.get(bytes([1]) * 32) is None
        assert (await gateway.say()).json()["evicted"] == 0

    run(tmp_path, scenario)


def test_a_thumb_down_on_a_semantic_hit_evicts_once_and_says_nothing_of_the_route(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.store.serve(Served("r-1", PARTITION, bytes([1]) * 32, "asked", 0.9))
        await gateway.book(entry("r-1", key=KEY, cache="hit-semantic", cache_entry="r-0", route="r"))
        assert [(await gateway.say()).json()["evicted"] for _ in range(3)] == [1, 0, 0]
        assert await gateway.store.observations(b"route:r") == ()

    run(tmp_path, scenario)


def test_praise_counts_once_however_often_it_is_said(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.store.serve(Served("r-1", PARTITION, bytes([1]) * 32, "asked", 0.9))
        await gateway.book(entry("r-1", key=KEY, cache="hit-semantic", cache_entry="r-0", route="r"))
        for value in (1, 0.5, 0, 1):
            assert (await gateway.say(value=value)).json()["evicted"] == 0
        assert [o.is_same for o in await gateway.store.observations(bytes([1]) * 32)] == [True]
        assert [f.value for f in await gateway.feedback()] == [1, 0.5, 0, 1]

    run(tmp_path, scenario)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer of-another"}])
def test_somebody_elses_request_is_as_unknown_as_one_that_never_was(tmp_path: Path, headers: dict[str, str]) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.book(entry("r-1", key=KEY, cache="hit-exact", cache_entry="r-0"))
        foreign, unknown = await gateway.say(headers), await gateway.say(request_id="r-2")
        for refused, id_ in ((foreign, "r-1"), (unknown, "r-2")):
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["param"]) == (404, "request_not_found", "request_id")
            assert error["message"] == f"request '{id_}' is not in the ledger, or is not yours"
        assert await gateway.feedback() == []
        assert await gateway.store.get(bytes([1]) * 32) is not None

    run(tmp_path, scenario)


def test_the_operator_may_judge_every_request(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.book(entry("r-1", key=KEY, cache="hit-exact", cache_entry="r-0"))
        assert (await gateway.say(ADMIN)).json()["evicted"] == 1

    run(tmp_path, scenario)


@pytest.mark.parametrize("purpose", ["audit", "refresh"])
def test_what_the_gateway_asked_itself_cannot_be_judged(tmp_path: Path, purpose: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.book(entry("r-1", key=KEY, purpose=purpose, of="r-0"))
        assert (await gateway.say()).status_code == 404

    run(tmp_path, scenario)


class Away(MemoryStore):
    """A store that cannot be asked."""

    async def find(self, id_: str) -> Place | None:
        raise StoreUnavailable("timeout", "Redis takes too long")


def test_with_the_cache_away_the_feedback_is_kept_and_the_caller_told(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.book(entry("r-1", key=KEY, cache="hit-exact", cache_entry="r-0"))
        failed = await gateway.say()
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
        error = failed.json()["error"]
        assert error["code"] == "cache_unavailable"
        assert error["message"].startswith("the feedback is in the ledger, but the cache could not be told: Redis takes too long")
        assert len(await gateway.feedback()) == 1

    run(tmp_path, scenario, Away(1_000))


def test_without_a_place_in_the_ledger_nothing_is_taken_and_nothing_evicted(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.keep("r-0", 1)
        await gateway.book(entry("r-1", key=KEY, cache="hit-exact", cache_entry="r-0"))
        refused = await gateway.say()  # the entry, not written yet, has the only place
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ledger_unavailable")
        assert await gateway.store.get(bytes([1]) * 32) is not None

    run(tmp_path, scenario, places=1)


BAD: list[tuple[bytes, str | None, str]] = [
    (b"", None, "invalid_json"),
    (b"{", None, "invalid_json"),
    (b"[]", None, "invalid_json"),
    (b"\xff\xfe\xfa", None, "invalid_json"),
    (b"[" * 100_000, None, "invalid_json"),
    (b'{"request_id": "r", "value": ' + b"1" * 5_000 + b"}", None, "invalid_json"),
    (b"{}", "request_id", "invalid_type"),
    (b'{"value": 1}', "request_id", "invalid_type"),
    (b'{"request_id": "", "value": 1}', "request_id", "invalid_type"),
    (b'{"request_id": 7, "value": 1}', "request_id", "invalid_type"),
    (b'{"request_id": "\\ud800", "value": 1}', "request_id", "invalid_type"),
    (b'{"request_id": "r"}', "value", "invalid_type"),
    (b'{"request_id": "r", "value": null}', "value", "invalid_type"),
    (b'{"request_id": "r", "value": true}', "value", "invalid_type"),
    (b'{"request_id": "r", "value": "1"}', "value", "invalid_type"),
    (b'{"request_id": "r", "value": 1.01}', "value", "invalid_value"),
    (b'{"request_id": "r", "value": -2}', "value", "invalid_value"),
    (b'{"request_id": "r", "value": NaN}', "value", "invalid_value"),
    (b'{"request_id": "r", "value": -Infinity}', "value", "invalid_value"),
    (b'{"request_id": "r", "value": 1e400}', "value", "invalid_value"),
    (b'{"request_id": "r", "value": 1, "rating": 5}', "rating", "unknown_field"),
    (b'{"request_id": "r", "value": 1, "comment": 5}', "comment", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "comment": "\\udfff"}', "comment", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "comment": "%s"}' % (b"x" * (COMMENT_BYTES_MAX + 1)), "comment", "invalid_value"),
    (b'{"request_id": "r", "value": 1, "comment": "%s"}' % ("ü".encode() * 5_001), "comment", "invalid_value"),
    (b'{"request_id": "r", "value": 1, "tags": "wrong"}', "tags", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "tags": [1]}', "tags", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "tags": {"a": 1}}', "tags", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "tags": ["\\ud800"]}', "tags", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "tags": ["%s"]}' % (b"x" * 257), "tags", "invalid_type"),
    (b'{"request_id": "r", "value": 1, "tags": [%s]}' % b",".join([b'"x"'] * 33), "tags", "invalid_value"),
]


@pytest.mark.parametrize(("body", "field", "code"), BAD, ids=[repr(body[:60]) for body, _, _ in BAD])
def test_a_body_that_cannot_be_read_is_a_400_that_names_the_field(
    tmp_path: Path, body: bytes, field: str | None, code: str
) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.book(entry("r", key=KEY))
        refused = await gateway.http.post("/v1/feedback", content=body, headers=OWN)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (400, field, code)
        assert field is None or f"`{field}`" in error["message"]
        assert await gateway.feedback("r") == []

    run(tmp_path, scenario)


def test_a_body_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        assert (await gateway.say(comment="x" * 2_000_000)).status_code == 413

    run(tmp_path, scenario)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_no_body_is_more_than_a_client_error(body: bytes) -> None:
    try:
        read_feedback(body, AT)
    except ClientError as exc:
        assert exc.status == 400


@given(
    st.floats(-1, 1),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=3)
    | st.dictionaries(st.text("abc", max_size=3), st.text("xyz", max_size=3), max_size=3),
)
def test_what_is_sent_is_what_is_kept(value: float, comment: str | None, tags: dict[str, str] | list[str]) -> None:
    body = httpx.Request("POST", "http://x", json={"request_id": "r", "value": value, "comment": comment, "tags": tags}).content
    assert as_said(read_feedback(body, AT)) == Feedback("r", AT, value, comment, tags, uid=None)
