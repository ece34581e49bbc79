"""Compile `responses:`."""

from __future__ import annotations

from collections.abc import Callable

from gateway.policy.responses import UNSAID, ResponsesRule
from gateway.policy.schema_responses import ResponsesSpec
from gateway.policy.source import Path

Problem = Callable[[Path, str], None]


def responses_rule(spec: ResponsesSpec, problem: Problem) -> ResponsesRule:
    """The rule; keys that have no effect are problems."""
    idle = {"off": ("ttl", "max_mb"), "shared": ("max_mb",)}.get(spec.store or "", ())
    for key in idle:
        if key in spec.model_fields_set:
            problem(("responses", key), f"`{key}` has no effect with `store: {spec.store}`; remove it, or change the store")
    return ResponsesRule(
        store=spec.store,
        ttl_s=UNSAID.ttl_s if spec.ttl is None else spec.ttl,
        bytes_max=UNSAID.bytes_max if spec.max_mb is None else int(spec.max_mb * 1024 * 1024),
    )
