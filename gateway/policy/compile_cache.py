"""Compile what a policy says of the cache: of a route over what it inherits, and of all of them."""

from __future__ import annotations

from collections.abc import Callable

from gateway.policy import schema, schema_models
from gateway.policy.model import CacheRule
from gateway.policy.problems import unknown_name
from gateway.policy.schema_cache import CacheSetup, CacheSpec, EmbeddingModel
from gateway.policy.source import Path

Problem = Callable[[Path, str], None]


def cache_rule(base: CacheRule, spec: CacheSpec | None) -> CacheRule:
    """The rule of a route: what it says, else what it inherits."""
    if spec is None:
        return base

    def given(value: float | None, inherited: float) -> float:
        return inherited if value is None else value

    return CacheRule(
        mode=spec.mode,
        ttl_s=given(spec.ttl, base.ttl_s),
        stale_s=given(spec.stale, base.stale_s),
        scope=base.scope if spec.scope is None else spec.scope,
        false_hit_budget=given(spec.false_hit_budget, base.false_hit_budget),
        audit=given(spec.audit, base.audit),
        min_similarity=given(spec.min_similarity, base.min_similarity),
        max_temperature=given(spec.max_temperature, base.max_temperature),
    )


def check_cache(spec: CacheSpec | None, rule: CacheRule, path: Path, problem: Problem) -> None:
    """Say of each key of a route that it has no effect where that is so. Those of the defaults wait for a route that has one."""
    if spec is None:
        return
    given = spec.model_fields_set - {"mode"}
    idle = (
        given if rule.mode == "off" else given & {"false_hit_budget", "audit", "min_similarity"} if rule.mode == "exact" else ()
    )
    for key in sorted(idle):
        problem((*path, key), f"`{key}` has no effect with `mode: {rule.mode}`; remove it, or change the mode")


def check_setup(setup: CacheSetup, spec: schema.PolicyFile, is_semantic: bool, problem: Problem) -> None:
    """See to what `cache:` of the whole policy names. is_semantic: some route or the defaults look for similar questions."""
    if not is_semantic and setup.model_fields_set:
        problem(("cache",), "has no effect: no route has `cache: {mode: semantic}`; remove it, or give a route one")
    if setup.judge is not None and setup.judge not in spec.models:
        problem(("cache", "judge"), unknown_name("model", setup.judge, spec.models))
    if not isinstance(setup.embedder, EmbeddingModel):
        return
    place: Path = ("cache", "embedder", "model")
    name = setup.embedder.model
    if name not in spec.models:
        problem(place, unknown_name("model", name, spec.models))
        return
    provider = spec.providers.get(spec.models[name].provider)
    if provider is not None and not isinstance(provider, schema_models.OpenAIProvider):
        message = f"model '{name}' is of a provider of kind `{provider.kind}`; embeddings are asked of kind `openai` only"
        problem(place, message)
    if spec.models[name].price == "unknown":  # what deciding costs is booked, and counts against what the cache saves
        problem(place, f"model '{name}' has `price: unknown`; say what its tokens cost, 0 if nothing")
