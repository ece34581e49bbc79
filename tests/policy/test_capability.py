"""Models that lack something: requests that use it go elsewhere, or are refused with what is lacking."""

import asyncio
import json
from typing import Any

import pytest

from gateway.chat import read_head
from gateway.conversation import last_turn
from gateway.policy.affinity import Pinned
from gateway.policy.capability import CAPABILITIES, WORDS, Capability
from gateway.policy.compile import Policy, compile_policy
from gateway.policy.engine import decide
from gateway.policy.model import Decision, Denial, Facts, Plan
from gateway.policy.permit import Permit
from gateway.request import ChatRequest
from gateway.signals import gather
from tests.policy.sample import candidates, problems

HEAD = """version: 1
providers: {p: {kind: fake}}
models:
  blind: {provider: p, id: blind, price: unknown, cannot: [images, tools]}
  deaf: {provider: p, id: deaf, price: unknown, cannot: [audio, images]}
  able: {provider: p, id: able, price: unknown}
routes:
"""
NOTHING: frozenset[Capability] = frozenset()


def policy_of(routes: str, lacks: dict[str, frozenset[Capability]] | None = None) -> Policy:
    def cannot_of(_: object, model_id: str) -> frozenset[Capability]:
        return (lacks or {}).get(model_id, NOTHING)

    return compile_policy(
        "p.yaml", HEAD + routes, env={}, price_of=lambda p, m: None, read_file=lambda n: "", cannot_of=cannot_of
    )


def facts_of(policy: Policy, model: str = "auto", **fields: Any) -> Facts:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    request = ChatRequest(request_id="r", body=body, head=read_head(body))
    return asyncio.run(gather(request, policy, last_turn(request.head.messages), None))


def plan(decision: Decision) -> Plan:
    assert isinstance(decision, Plan), decision
    return decision


IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("capability", "fields"),
    [
        ("tools", {"tools": TOOLS}),
        ("tools", {"messages": [{"role": "tool", "tool_call_id": "1", "content": "r"}]}),
        ("images", {"messages": IMAGE}),
        ("documents", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:,"}}]}]}),
        ("audio", {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
        ("audio", {"modalities": ["text", "audio"]}),
        ("json_schema", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("json_object", {"response_format": {"type": "json_object"}}),
        ("logprobs", {"logprobs": True}),
        ("n", {"n": 2}),
        ("reasoning", {"reasoning_effort": "low"}),
        ("reasoning", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)
def test_what_a_request_uses_is_seen(capability: Capability, fields: dict[str, Any]) -> None:
    policy = policy_of("  - {name: all, model: able}\n", {"able": frozenset(CAPABILITIES)})
    assert facts_of(policy, **fields).uses == {capability}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "reasoning_effort": None, "response_format": {"type": "text"}},
        {"reasoning_effort": "none", "thinking": {"type": "disabled"}, "tools": [], "modalities": ["text"]},
    ],
)
def test_a_field_that_asks_for_nothing_uses_nothing(fields: dict[str, Any]) -> None:
    policy = policy_of("  - {name: all, model: able}\n", {"able": frozenset(CAPABILITIES)})
    assert facts_of(policy, **fields).uses == NOTHING


def test_only_what_some_model_lacks_is_looked_for() -> None:
    policy = policy_of("  - {name: all, model: able}\n")
    assert policy.lacking == {"images", "tools", "audio"}
    assert facts_of(policy, n=3, logprobs=True).uses == NOTHING


def test_a_target_that_cannot_is_left_out_with_the_reason() -> None:
    policy = policy_of("  - {name: all, model: blind, fallback: [deaf, able]}\n")
    found = plan(decide(policy, facts_of(policy, messages=IMAGE), candidates(policy), 0.5))
    assert found.targets == ("able",)
    assert found.left_out == (("blind", "it cannot do: images"), ("deaf", "it cannot do: images"))
    assert found.compromise == "blind is left out: it cannot do: images"
    text = plan(decide(policy, facts_of(policy), candidates(policy), 0.5))
    assert (text.targets, text.left_out) == (("blind", "deaf", "able"), ())


def test_if_none_is_left_the_request_is_refused_and_told_what_each_lacks() -> None:
    policy = policy_of("  - {name: all, model: blind, fallback: [deaf]}\n")
    found = decide(policy, facts_of(policy, messages=IMAGE, tools=TOOLS), candidates(policy), 0.5)
    assert isinstance(found, Denial)
    assert (found.code, found.status, found.param) == ("unsupported_feature", 400, "messages")
    assert "'blind': tools, images" in found.message and "'deaf': images" in found.message


def test_a_model_that_is_only_down_does_not_make_it_the_callers_fault() -> None:
    """It may be up again, so the request is not refused for good."""
    policy = policy_of("  - {name: all, model: blind, fallback: [able]}\n")
    found = plan(decide(policy, facts_of(policy, messages=IMAGE), candidates(policy, {"able": "no key"}), 0.5))
    assert found.targets == ()
    assert found.left_out == (("blind", "it cannot do: images"), ("able", "no key"))


def test_a_model_named_outright_is_refused_at_once() -> None:
    policy = policy_of("  - {name: all, model: able}\n")
    found = decide(policy, facts_of(policy, model="blind", tools=TOOLS), candidates(policy), 0.5)
    assert found == Denial("unsupported_feature", "model 'blind' cannot do what the request uses: tools", "tools")


def test_a_split_goes_to_the_arms_that_can() -> None:
    policy = policy_of("  - {name: all, split: [{model: blind, weight: 99}, {model: able, weight: 1}]}\n")
    for draw in (0.0, 0.5, 0.999):
        assert plan(decide(policy, facts_of(policy, messages=IMAGE), candidates(policy), draw)).targets == ("able",)
    assert plan(decide(policy, facts_of(policy), candidates(policy), 0.5)).targets == ("blind",)


def test_equal_models_and_cascades_leave_out_who_cannot() -> None:
    policy = policy_of(
        "  - {name: eq, when: {tag.eq: 'y'}, balance: [{model: blind}, {model: able}]}\n"
        "  - {name: all, cascade: [{model: blind, accept: {min_chars: 1}}, {model: able}]}\n"
    )
    facts = facts_of(policy, messages=IMAGE)
    assert plan(decide(policy, facts, candidates(policy), 0.5)).targets == ("able",)
    balanced = Facts({**facts.values, "tag.eq": "y"}, uses=facts.uses)
    assert plan(decide(policy, balanced, candidates(policy), 0.5)).targets == ("able",)


def test_a_conversation_leaves_its_model_when_that_cannot() -> None:
    policy = policy_of("  - {name: all, model: able, fallback: [blind]}\n")
    facts = facts_of(policy, messages=IMAGE)
    pinned = Facts({**facts.values, **Pinned("blind", "session", 5000, 5000, 100).facts()}, uses=facts.uses)
    assert plan(decide(policy, pinned, candidates(policy), 0.5)).targets == ("able",)


def test_a_key_that_may_not_use_the_model_hears_of_that_first() -> None:
    policy = policy_of("  - {name: all, model: blind}\n")
    found = decide(policy, facts_of(policy, messages=IMAGE), candidates(policy), 0.5, permit=Permit(models=("able",)))
    assert isinstance(found, Denial) and found.code == "model_not_allowed"


def test_the_price_map_counts_where_the_policy_is_silent() -> None:
    lacks = {"able": frozenset[Capability]({"images"}), "blind": frozenset[Capability]({"audio"})}
    policy = policy_of("  - {name: all, model: able}\n", lacks)
    assert policy.models["able"].cannot == {"images"}
    assert policy.models["blind"].cannot == {"images", "tools"}  # the policy has spoken
    silenced = compile_policy(
        "p.yaml",
        "version: 1\nproviders: {p: {kind: fake}}\nmodels: {m: {provider: p, id: able, price: unknown, cannot: []}}\n"
        "routes: [{name: all, model: m}]\n",
        env={},
        price_of=lambda p, m: None,
        read_file=lambda n: "",
        cannot_of=lambda p, m: lacks.get(m, NOTHING),
    )
    assert silenced.models["m"].cannot == NOTHING


def test_a_word_that_is_none_is_an_error_with_its_line() -> None:
    [found] = problems(HEAD.replace("[images, tools]", "[pictures, tools]") + "  - {name: all, model: able}\n")
    assert found.startswith("p.yaml:4:") and "images" in found


def test_each_word_is_told_and_has_its_field() -> None:
    assert set(WORDS) == set(CAPABILITIES)


def test_a_rung_is_not_judged_by_what_its_model_cannot_give() -> None:
    rung = "  - {name: all, cascade: [{model: blind, accept: {confidence: '>=0.5'}}, {model: able}]}\n"
    assert problems(HEAD + rung) == []
    [found] = problems(HEAD.replace("[images, tools]", "[logprobs]") + rung)
    assert "'blind' cannot give log-probabilities" in found
