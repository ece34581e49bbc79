"""Compile what a policy says of bad days, and say of each key that it has no effect where that is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from gateway.policy import schema_models
from gateway.policy.catalog import Model, Provider
from gateway.policy.failover import BreakerRule, Capacity, Failover, GuardRule, HedgeRule, Prefill
from gateway.policy.schema_failover import BreakerSpec, CapacitySpec, FailoverSpec, GuardSpec, HedgeSpec
from gateway.policy.schema_routes import RouteSpec
from gateway.policy.source import Path

Problem = Callable[[Path, str], None]

# Claude models up to 4.5 go on from a last message of the assistant's; later ones refuse it with a 400.
_CLAUDE_WITH_PREFILL = re.compile(
    r"(^|[./])(anthropic\.)?claude-(instant|v?2|3|(opus|sonnet|haiku)-4(-[015])?(-20\d{6}|-latest|-v\d|@|$))"
)


def failover(base: Failover, spec: FailoverSpec, guard: GuardSpec | None = None) -> Failover:
    """What a route, or the defaults, say over what they inherit."""
    return Failover(
        midstream=spec.midstream or base.midstream,
        hedge=base.hedge if spec.hedge is None else _hedge(spec.hedge),
        guard=base.guard if guard is None else _guard(guard),
        min_tokens_per_s=base.min_tokens_per_s if spec.min_tokens_per_second is None else spec.min_tokens_per_second,
        priority=spec.priority or base.priority,
    )


def check_failover(
    spec: RouteSpec,
    route_models: Collection[str],
    retries: int,
    models: Mapping[str, Model],
    has_queue: bool,
    path: Path,
    problem: Problem,
) -> None:
    """See to what a route names, and that it can have an effect.

    route_models: those that it may ask. retries: how often each. models: all of the policy that could be compiled. has_queue:
    requests wait for some provider or model.
    """
    if spec.latency_guard is not None and spec.latency_guard.then not in route_models:
        name = spec.latency_guard.then
        message = f"`then` is '{name}', which this route never asks; add it to `fallback`"
        problem((*path, "latency_guard", "then"), message)
    elif spec.latency_guard is not None and spec.latency_guard.then == spec.model and len(route_models) > 1:
        message = f"`then` is '{spec.model}', which this route asks first anyway; name one of its `fallback`"
        problem((*path, "latency_guard", "then"), message)
    for key in ("hedge", "latency_guard", "min_tokens_per_second"):
        if getattr(spec, key) is None:
            continue
        if spec.cascade is not None and key != "min_tokens_per_second":
            problem((*path, key), f"`{key}` has no effect beside `cascade`, whose answers are judged first; remove it")
        elif len(route_models) < 2:
            problem((*path, key), f"`{key}` needs a second model; add a `fallback`")
    if spec.midstream in ("restart", "continue") and len(route_models) < 2 and retries < 2:
        problem((*path, "midstream"), f"`midstream: {spec.midstream}` needs a second model, or `retry: {{attempts: 2}}`")
    if spec.priority is not None and not has_queue:
        problem((*path, "priority"), "`priority` has no effect: no provider or model has a `queue`; add one, or remove it")
    others = [models[name] for name in route_models if name in models]
    if spec.midstream == "continue" and others and not any(m.prefill != "none" for m in others):
        message = (
            "no model of this route is known to go on from another's text; give one that does `prefill: true`, "
            "or write `midstream: restart`"
        )
        problem((*path, "midstream"), message)


def breaker_rule(spec: BreakerSpec | None) -> BreakerRule:
    """The rule of a provider."""
    if spec is None:
        return BreakerRule()
    return BreakerRule(spec.failures, spec.share, spec.window, spec.min_calls, spec.cooldown, spec.max_cooldown)


def capacity(spec: CapacitySpec) -> Capacity:
    """How much a provider, or a model, takes at a time."""
    if spec.queue is None:
        return Capacity(spec.max_in_flight)
    return Capacity(spec.max_in_flight, spec.queue.length, spec.queue.wait)


def prefill(spec: schema_models.ModelSpec, provider: Provider) -> Prefill:
    """How this model is made to go on from a text, as the policy says or as is known of its kind."""
    if spec.prefill is not None:
        return "vllm" if spec.prefill == "vllm" else "message" if spec.prefill else "none"
    if isinstance(provider, schema_models.LocalProvider | schema_models.FakeProvider):
        return "message"
    if isinstance(provider, schema_models.AnthropicProvider):
        return "message" if _CLAUDE_WITH_PREFILL.search(spec.id) else "none"
    return "none"


def _hedge(spec: HedgeSpec) -> HedgeRule:
    kind, value = spec.after
    if kind == "quantile":
        return HedgeRule(quantile=value, budget=spec.budget, tools=spec.tools)
    return HedgeRule(after_s=value, budget=spec.budget, tools=spec.tools)


def _guard(spec: GuardSpec) -> GuardRule:
    kind, value = spec.ttft
    if kind == "ratio":
        return GuardRule(spec.then, ratio=value, for_s=spec.for_)
    return GuardRule(spec.then, ttft_s=value, for_s=spec.for_)
