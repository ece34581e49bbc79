"""What a policy says of bad days: the grammar, what is inherited, and what has no effect and is refused."""

from __future__ import annotations

import pytest

from gateway.policy.compile import Policy, compile_policy
from gateway.policy.errors import PolicyError
from gateway.policy.failover import PLAIN, Failover, GuardRule, HedgeRule

HEAD = """
version: 1
providers:
  a: {kind: fake, max_in_flight: 9, queue: {length: 9}}
  b: {kind: openai, base_url: "http://127.0.0.1:1/v1"}
  c: {kind: anthropic, api_key: x}
models:
  one: {provider: a, id: x, price: unknown}
  two: {provider: b, id: y, price: unknown}
  old: {provider: c, id: claude-sonnet-4-5, price: unknown}
  new: {provider: c, id: claude-sonnet-4-6, price: unknown}
  vllm: {provider: b, id: z, price: unknown, prefill: vllm}
"""


def compiled(text: str) -> Policy:
    return compile_policy("p.yaml", HEAD + text, env={}, price_of=lambda p, m: None, read_file=lambda name: "")


def problems(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        compiled(text)
    return str(caught.value)


def test_a_route_says_how_it_meets_trouble() -> None:
    policy = compiled(
        "routes:\n"
        "  - name: r\n    model: one\n    fallback: [two]\n    midstream: continue\n    priority: high\n"
        "    hedge: {after: p95, budget: 0.02, tools: true}\n"
        '    latency_guard: {ttft: ">2.5x normal", for: 10s, then: two}\n'
        "    min_tokens_per_second: 4.5\n"
    )
    guard = GuardRule("two", ratio=2.5, for_s=10.0)
    hedge = HedgeRule(quantile=0.95, budget=0.02, tools=True)
    assert policy.routes[0].failover == Failover("continue", hedge, guard, 4.5, "high")


def test_times_are_bounds_as_well() -> None:
    policy = compiled(
        "routes:\n  - {name: r, model: one, fallback: [two], hedge: {after: 500ms}, latency_guard: {ttft: '>3s', then: two}}\n"
    )
    rule = policy.routes[0].failover
    assert rule.hedge == HedgeRule(after_s=0.5) and rule.guard == GuardRule("two", ttft_s=3.0)


def test_routes_inherit_from_the_defaults_and_direct_requests_have_them() -> None:
    policy = compiled(
        "defaults: {midstream: restart, min_tokens_per_second: 3, priority: low, hedge: {after: p90}}\n"
        "routes:\n  - {name: r, when: {has_tools: true}, model: one, fallback: [two], priority: high}\n"
        "  - {name: s, model: one}\n"
    )
    first, last = policy.routes
    assert (first.failover.midstream, first.failover.min_tokens_per_s, first.failover.priority) == ("restart", 3.0, "high")
    assert last.failover == policy.failover == Failover("restart", HedgeRule(quantile=0.9), None, 3.0, "low")


def test_without_a_word_nothing_of_it_is_on() -> None:
    assert compiled("routes:\n  - {name: r, model: one}\n").routes[0].failover == PLAIN


def test_prefill_is_known_of_some_and_may_be_said() -> None:
    models = compiled("routes:\n  - {name: r, model: one}\n").models
    assert {name: m.prefill for name, m in models.items()} == {
        "one": "message", "two": "none", "old": "message", "new": "none", "vllm": "vllm",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "goes_on"),
    [
        ("claude-3-5-haiku-latest", "message"),
        ("claude-opus-4-20250514", "message"),
        ("claude-opus-4-1-20250805", "message"),
        ("claude-haiku-4-5", "message"),
        ("claude-opus-4-6", "none"),
        ("claude-opus-5", "none"),
        ("something-else", "none"),
    ],
)
def test_which_claude_takes_a_prefill(id_: str, goes_on: str) -> None:
    text = HEAD.replace("claude-sonnet-4-5", id_) + "routes:\n  - {name: r, model: one}\n"
    policy = compile_policy("p.yaml", text, env={}, price_of=lambda p, m: None, read_file=lambda name: "")
    assert policy.models["old"].prefill == goes_on


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("model: one, fallback: [two], latency_guard: {ttft: '>2x normal', then: old}", "`then` is 'old', which this route"),
        ("model: one, hedge: {after: p95}", "`hedge` needs a second model; add a `fallback`"),
        ("model: one, latency_guard: {ttft: '>2x normal', then: one}", "`latency_guard` needs a second model"),
        ("model: one, fallback: [two], latency_guard: {ttft: '>2x normal', then: one}", "`then` is 'one', which this route asks"),
        ("cascade: [{model: one, accept: {}}, {model: two}], hedge: {after: p95}", "`hedge` has no effect beside `cascade`"),
        (
            "cascade: [{model: one, accept: {}}, {model: two}], latency_guard: {ttft: '>3s', then: two}",
            "`latency_guard` has no effect beside `cascade`",
        ),
        ("model: two, fallback: [new], midstream: continue", "no model of this route is known to go on from another's text"),
        ("model: one, fallback: [two], hedge: {after: p0}", 'such as "p95", or a duration is expected'),
        ("model: one, fallback: [two], hedge: {after: 0s}", 'such as "p95", or a duration is expected'),
        ("model: one, fallback: [two], hedge: {after: p95, budget: 0}", "budget"),
        ("model: one, fallback: [two], latency_guard: {ttft: '>1x normal', then: two}", '">2x normal" (more than 1)'),
        ("model: one, fallback: [two], latency_guard: {ttft: '2x', then: two}", '">2x normal" (more than 1)'),
        ("model: one, min_tokens_per_second: 5", "`min_tokens_per_second` needs a second model; add a `fallback`"),
        ("model: one, midstream: restart, retry: {attempts: 1}", "`midstream: restart` needs a second model, or `retry"),
        ("model: one, midstream: retry", "it must be 'error', 'restart' or 'continue'"),
        ("model: one, priority: urgent", "it must be 'high', 'normal' or 'low'"),
        ("model: one, min_tokens_per_second: 0", "min_tokens_per_second"),
        ("answer: {static: hi}, midstream: error", "`midstream` has no effect beside `answer`"),
        ("balance: [{model: one}, {model: one}]", "model 'one' is in this list already; give it a `weight`"),
        ("balance: [{model: one}, {model: nine}]", "nine"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(route: str, said: str) -> None:
    assert said in problems(f"routes:\n  - {{name: r, {route}}}\n")


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("{kind: fake, queue: {length: 3}}", "`queue` has no effect without `max_in_flight`"),
        ("{kind: fake, max_in_flight: 0}", "max_in_flight"),
        ("{kind: fake, breaker: {failures: 0}}", "failures"),
        ("{kind: fake, breaker: {share: 0}}", "share"),
        ("{kind: fake, breaker: {cooldown: 5s, max_cooldown: 1s}}", "`max_cooldown` is shorter than `cooldown`"),
        ("{kind: fake, breaker: {tries: 3}}", "unknown key `tries`"),
    ],
)
def test_a_providers_bounds_are_checked(provider: str, said: str) -> None:
    text = HEAD.replace("{kind: fake, max_in_flight: 9, queue: {length: 9}}", provider) + "routes:\n  - {name: r, model: one}\n"
    with pytest.raises(PolicyError, match=said.replace("(", r"\(")):
        compile_policy("p.yaml", text, env={}, price_of=lambda p, m: None, read_file=lambda name: "")


def test_a_priority_where_nobody_waits_is_refused() -> None:
    text = HEAD.replace(", max_in_flight: 9, queue: {length: 9}", "") + "routes:\n  - {name: r, model: one, priority: low}\n"
    with pytest.raises(PolicyError, match="`priority` has no effect: no provider or model has a `queue`"):
        compile_policy("p.yaml", text, env={}, price_of=lambda p, m: None, read_file=lambda name: "")
