"""`responses:` in a policy: what it means, what has no effect, and what cannot be."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ConfigError
from gateway.policy.compile import compile_policy
from gateway.policy.errors import PolicyError
from gateway.policy.responses import ResponsesRule
from gateway.responses.conversations import Conversations, listed
from gateway.responses.memory import MemoryResponses
from gateway.responses.opening import check_responses, open_responses

POLICY = """
version: 1
providers: {p: {kind: fake}}
models: {m: {provider: p, id: m, price: unknown}}
routes: [{name: all, model: m}]
"""


def rule(text: str) -> ResponsesRule:
    return compile_policy("p.yaml", POLICY + text, env={}, price_of=lambda *_: None, read_file=lambda _: "").responses


def test_what_it_says() -> None:
    assert rule("") == ResponsesRule(None, 86_400.0, 64 * 1024 * 1024)
    assert rule("responses: {store: memory, ttl: 1h, max_mb: 0.5}") == ResponsesRule("memory", 3600.0, 512 * 1024)
    assert rule("responses: {store: shared, ttl: 2d}").ttl_s == 172_800.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("responses: {store: disk}", "disk"),
        ("responses: {store: off, ttl: 1h}", "`ttl` has no effect with `store: off`"),
        ("responses: {store: shared, max_mb: 3}", "`max_mb` has no effect with `store: shared`"),
        ("responses: {ttl: 0s}", "ttl"),
        ("responses: {max_mb: 0}", "max_mb"),
    ],
)
def test_what_it_cannot_say(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        rule(text)
    assert said in str(caught.value)


def test_where_it_cannot_be_kept_so() -> None:
    check_responses(ResponsesRule(), None, 4)
    check_responses(ResponsesRule("memory"), None, 1)
    check_responses(ResponsesRule("shared"), "redis://localhost", 4)
    with pytest.raises(ConfigError, match="set TURNOUT_REDIS_URL"):
        check_responses(ResponsesRule("shared"), None, 1)
    with pytest.raises(ConfigError, match="each of 4 workers"):
        check_responses(ResponsesRule("memory"), None, 4)


def test_the_policy_in_force_says_where() -> None:
    now = ResponsesRule()

    async def scenario() -> None:
        nonlocal now
        memory, shared = MemoryResponses(lambda: now.bytes_max), MemoryResponses(lambda: now.bytes_max)
        alone = Conversations(lambda: now, memory, shared, is_alone=True)
        together = Conversations(lambda: now, memory, shared, is_alone=False)
        assert (alone.store, together.store) == (memory, None)
        now = ResponsesRule("shared")
        assert (alone.store, together.store) == (shared, shared)
        now = ResponsesRule("off")
        assert (alone.store, together.store) == (None, None)
        await alone.keep("key", b'{"id":"resp_1","output":[]}', b"[]")
        assert await alone.find("key", "resp_1") is None
        assert not await alone.remove("key", "resp_1")
        assert await alone.items("key", ["msg_1"]) == {}
        assert alone.problem is None

    asyncio.run(scenario())


def test_several_workers_that_share_nothing_say_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with caplog.at_level("INFO", logger="turnout.responses"):
            conversations = await open_responses(ResponsesRule, None, 2, lambda cause: None)
        assert conversations.store is None
        await conversations.aclose()

    asyncio.run(scenario())
    assert "responses are not kept" in caplog.text


def test_an_input_item_is_listed_with_an_id_and_with_parts() -> None:
    shown = listed({"role": "user", "content": "Hello"})
    assert shown.pop("id").startswith("msg_")
    assert shown == {
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Hello"}],
    }
    assert listed({"role": "assistant", "content": "x"})["content"] == [{"type": "output_text", "annotations": [], "text": "x"}]
    assert listed({"type": "function_call_output", "id": None, "call_id": "c", "output": "x"})["id"].startswith("fco_")
    assert listed({"type": "reasoning", "id": "rs_1"})["id"] == "rs_1"
