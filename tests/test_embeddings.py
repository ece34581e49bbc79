"""The embeddings dialect as values, and the keys of its items."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.base import CachedAnswer
from gateway.cache.embedding_vectors import AT_ONCE, LOOKING_S, VectorCache, vector_keys
from gateway.embeddings import (
    DIALECT,
    EmbeddingsRequest,
    answer_of,
    chat_head,
    read_answer,
    read_head,
    shares,
    tokens_of,
    with_items,
)
from gateway.embeddings_decision import plan_for
from gateway.errors import ClientError
from gateway.policy.model import CacheRule
from gateway.tenant import Tenant
from gateway.usage import Usage
from tests.policy.sample import SAMPLE, compiled
from tests.virtual_time import run

EXACT = CacheRule(mode="exact")


def request(given: Any, **fields: Any) -> EmbeddingsRequest:
    body = json.dumps({"model": "vectors", "input": given, **fields}).encode()
    head, items = read_head(body)
    return EmbeddingsRequest("req_1", body, chat_head(head), dialect=DIALECT, items=items)


def exacts(given: Any, tenant: str = "t", rule: CacheRule = EXACT, target: str = "far/embed-1", **fields: Any) -> list[bytes]:
    return [key.exact for key in vector_keys(request(given, **fields), Tenant(tenant), rule, target)]


@pytest.mark.parametrize(
    ("given", "items", "tokens"),
    [
        ("one text", [b'"one text"'], 2),
        (["one", "other text"], [b'"one"', b'"other text"'], 4),
        ([1, 22, 333], [b"[1, 22, 333]"], 3),
        ([[1, 22], [333]], [b"[1, 22]", b"[333]"], 3),
        ([""], [b'""'], 0),
    ],
)
def test_an_input_is_one_item_or_several(given: Any, items: list[bytes], tokens: int) -> None:
    asked = request(given)
    assert list(asked.items) == items
    assert asked.tokens_in == tokens


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "`input` is empty"),
        (None, "begins with 'null'"),
        (7, "begins with '7'"),
        ({"text": "a"}, "begins with"),
        (["a", 1], "`input[1]`: Expected `str`, got `int`"),
        ([1, "a"], "`input[1]`: Expected `int`, got `str`"),
        ([1.5], "Expected `int`, got `float`"),
        ([["a"]], "`input[0][0]`: Expected `int`, got `str`"),
        ([{"text": "a"}], "`input[0]`: Expected `int`, got `object`"),
    ],
)
def test_an_input_of_another_kind_is_named(given: Any, says: str) -> None:
    with pytest.raises(ClientError) as wrong:
        request(given)
    assert says in wrong.value.message and wrong.value.param == "input"


def test_a_request_for_some_of_its_items_keeps_all_other_bytes() -> None:
    body = b'{"model":"vectors","input":["a","b\\u00e9"],"dimensions":64,"odd":1.50}'
    assert with_items(body, [b'"b\\u00e9"']) == b'{"model":"vectors","input":["b\\u00e9"],"dimensions":64,"odd":1.50}'


@given(st.lists(st.text(max_size=30), min_size=1, max_size=20), st.integers(0, 10_000))
def test_shares_add_up_to_what_was_used(texts: list[str], used: int) -> None:
    items = request(texts).items
    parts = shares(Usage(input=used), items)
    assert sum(part.input for part in parts) == used
    assert all(part.input >= 0 and part.estimated == (len(items) > 1) for part in parts)


def test_a_longer_item_has_more_of_the_tokens() -> None:
    short, long = shares(Usage(input=100), [b'"word"', b'"' + b"word " * 20 + b'"'])
    assert short.input < long.input
    assert tokens_of(b"[1,2,3]") == 3


def test_vectors_come_in_the_order_of_their_items() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    assert read_answer(json.dumps({"data": data}).encode()).vectors(2) == [b"[1.0]", b"[2.0]"]
    without = [{"embedding": "AAA="}, {"embedding": "BBB="}]
    assert read_answer(json.dumps({"data": without}).encode()).vectors(2) == [b'"AAA="', b'"BBB="']


def test_only_vector_is_that_of_the_only_input_whatever_its_number() -> None:
    assert read_answer(json.dumps({"data": [{"index": 31, "embedding": [1.5]}]}).encode()).vectors(1) == [b"[1.5]"]


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}] * 2,
        [{"index": 1, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": None}],
    ],
)
def test_an_answer_without_a_vector_for_each_item_is_none(data: Any) -> None:
    with pytest.raises(ValueError, match="vector"):
        read_answer(json.dumps({"data": data}).encode()).vectors(2)


def test_an_answer_of_known_vectors_reads_like_one_of_a_server() -> None:
    body = answer_of([b"[1.0,2.0]", b'"AAA="'], "embed-1", Usage(input=7))
    assert json.loads(body) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]},
            {"object": "embedding", "index": 1, "embedding": "AAA="},
        ],
        "model": "embed-1",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert read_answer(body).vectors(2) == [b"[1.0,2.0]", b'"AAA="']


def test_a_key_stands_for_the_item_and_not_for_how_it_was_asked() -> None:
    (one,) = exacts("naïve text")
    assert exacts(["naïve text", "other"])[0] == one, "alone or in a list"
    assert exacts("naïve text", user="somebody", encoding_format="float") == [one]
    assert exacts("naïve text", encoding_format=None) == [one]
    escaped = msgspec.json.encode({"input": "naïve text", "model": "vectors"}).replace("ï".encode(), b"\\u00ef")
    head, items = read_head(escaped)
    again = EmbeddingsRequest("req_2", escaped, chat_head(head), items=items)
    assert [key.exact for key in vector_keys(again, Tenant("t"), EXACT, "far/embed-1")] == [one]
    assert exacts([[1, 2]]) == exacts([1, 2])


@pytest.mark.parametrize(
    "other",
    [
        {"given": "naive text"},
        {"tenant": "u"},
        {"target": "far/embed-2"},
        {"encoding_format": "base64"},
        {"dimensions": 64},
        {"input_type": "query"},
    ],
)
def test_whatever_changes_the_vector_or_its_owner_changes_the_key(other: dict[str, Any]) -> None:
    assert exacts(**{"given": "naïve text", **other}) != exacts("naïve text")


def test_who_shares_is_as_the_policy_says() -> None:
    everybody = CacheRule(mode="exact", scope="all")
    assert exacts("text", tenant="t", rule=everybody) == exacts("text", tenant="u", rule=everybody)
    team = CacheRule(mode="exact", scope="team")
    assert exacts("text", tenant="t", rule=team) != exacts("text", tenant="u", rule=team), "without a team nobody shares"


def test_a_token_array_and_its_text_are_not_the_same() -> None:
    assert exacts([1, 2]) != exacts("[1,2]")


class SlowStore:
    """A store that takes its time. most: calls that were under way at once."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s
        self.running = self.most = self.asked = 0

    async def get(self, exact: bytes) -> CachedAnswer:
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self._takes_s)
        self.running -= 1
        return CachedAnswer("id", "whole", b"[1.0]", Usage(1), "vectors", "far", None, stored_at=1000.0)


@pytest.mark.parametrize(("takes_s", "found"), [(0.0005, 1000), (0.045, 20)])
def test_a_long_list_is_looked_up_for_no_longer_than_it_may(takes_s: float, found: int) -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        store = SlowStore(takes_s)
        asked = request([f"text {i}" for i in range(1000)])
        keys = vector_keys(asked, Tenant("t"), EXACT, "far/embed-1")
        kept = await VectorCache(store, lambda: 1001.0, clock).look(asked, EXACT, keys)
        assert len(kept) == 1000 and store.asked == found
        assert [answer is not None for answer in kept] == [True] * found + [False] * (1000 - found)
        assert clock() < LOOKING_S + 0.045 + 0.001
        assert store.most == AT_ONCE

    run(scenario())


def test_they_wait_for_a_place_by_the_priority_of_the_defaults() -> None:
    policy = compiled(SAMPLE + "defaults: {priority: low}\n")
    assert plan_for(policy, policy.models["strong"]).failover.priority == "low"
