"""Keys: what makes two requests the same, and what keeps them apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.cache.base import CacheKey
from gateway.cache.keys import cache_key
from gateway.chat import read_head
from gateway.policy.model import CacheScope
from gateway.request import CHAT, ChatRequest, DialectName
from gateway.tenant import Tenant

ME = Tenant(key="me")
USER = {"role": "user", "content": "What is a monad?"}
BASE: dict[str, Any] = {"model": "auto", "messages": [{"role": "system", "content": "Be kind."}, USER], "temperature": 1}


def key_of(
    body: dict[str, Any] | str,
    tenant: Tenant = ME,
    scope: CacheScope = "key",
    route: str = "r",
    target: str = "p/m",
    dialect: DialectName = CHAT,
) -> CacheKey:
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    return cache_key(ChatRequest("id", raw, read_head(raw), dialect), tenant, scope, route, target)


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(BASE.items())),
        json.dumps(BASE, indent=4),
        {**BASE, "temperature": 1.0},
        {**BASE, "stream": True, "stream_options": {"include_usage": True}},
        {**BASE, "model": "gpt-4o"},
        {**BASE, "user": "somebody", "metadata": {"a": "b"}},
        {**BASE, "messages": [{"content": "Be kind.", "role": "system"}, USER]},
    ],
)
def test_how_it_is_written_or_delivered_does_not_matter(same: dict[str, Any] | str) -> None:
    assert key_of(same) == key_of(BASE)


@pytest.mark.parametrize(
    "other",
    [
        {**BASE, "temperature": 0},
        {**BASE, "max_tokens": 5},
        {**BASE, "seed": 7},
        {**BASE, "unknown_parameter": 1},
        {**BASE, "tools": [{"type": "function", "function": {"name": "f"}}]},
        {**BASE, "response_format": {"type": "json_object"}},
        {**BASE, "messages": [USER]},
        {**BASE, "messages": [{"role": "system", "content": "Be rude."}, USER]},
        {**BASE, "messages": [{"role": "developer", "content": "Be kind."}, USER]},
        {**BASE, "messages": [BASE["messages"][0], {"role": "assistant", "content": "Hm?"}, USER]},
        {**BASE, "messages": [BASE["messages"][0], {**USER, "name": "Ann"}]},
    ],
)
def test_another_context_is_another_partition(other: dict[str, Any]) -> None:
    assert key_of(other).partition != key_of(BASE).partition


def test_another_question_in_the_same_context_shares_the_partition_only() -> None:
    other = key_of({**BASE, "messages": [BASE["messages"][0], {"role": "user", "content": "What is a functor?"}]})
    assert other.partition == key_of(BASE).partition
    assert other.exact != key_of(BASE).exact
    assert other.question == "What is a functor?"


@pytest.mark.parametrize(
    "other",
    [{"tenant": Tenant(key="you")}, {"route": "s"}, {"target": "p/n"}, {"tenant": Tenant(key="me", team="us"), "scope": "team"}],
)
def test_callers_routes_and_models_are_kept_apart(other: dict[str, Any]) -> None:
    assert key_of(BASE, **other).partition != key_of(BASE).partition


def test_a_team_shares_and_a_caller_without_one_does_not() -> None:
    ann, bob = Tenant(key="ann", team="us"), Tenant(key="bob", team="us")
    assert key_of(BASE, ann, "team") == key_of(BASE, bob, "team")
    assert key_of(BASE, ann, "key") != key_of(BASE, bob, "key")
    assert key_of(BASE, Tenant("ann"), "team") == key_of(BASE, Tenant("ann"), "key")
    assert key_of(BASE, Tenant("ann"), "team") != key_of(BASE, Tenant("bob"), "team")


def test_a_team_is_never_mistaken_for_a_key_of_the_same_name() -> None:
    assert key_of(BASE, Tenant(key="x", team="acme"), "team") != key_of(BASE, Tenant(key="acme"), "key")


@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "tool", "tool_call_id": "t", "content": "42"},
        {"role": "assistant", "content": "It is"},
    ],
)
def test_a_last_message_that_is_not_text_by_the_user_is_matched_exactly_only(last: dict[str, Any]) -> None:
    assert key_of({**BASE, "messages": [last]}).question is None


def test_a_picture_is_part_of_the_exact_key() -> None:
    def asks(url: str) -> CacheKey:
        parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return key_of({**BASE, "messages": [{"role": "user", "content": parts}]})

    assert asks("a").exact != asks("b").exact


def test_callers_of_all_dialects_share_answers_but_not_what_goes_on_from_a_prompt() -> None:
    assert key_of(BASE, dialect="anthropic_messages") == key_of(BASE, dialect="openai_responses") == key_of(BASE)
    goes_on, chat = key_of(BASE, dialect="openai_completions"), key_of(BASE)
    assert goes_on.exact != chat.exact
    assert goes_on.partition != chat.partition


def test_both_names_of_an_answers_length_are_one() -> None:
    assert key_of({**BASE, "max_tokens": 9}) == key_of({**BASE, "max_completion_tokens": 9}) != key_of(BASE)
