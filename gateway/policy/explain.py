"""The story of a decision, for people: every route in order, whether it matched, and why or why not."""

from __future__ import annotations

from collections.abc import Set

from gateway.policy.compile import Policy
from gateway.policy.engine import FORCED, is_routed
from gateway.policy.model import Facts, Tried


def explain(policy: Policy, facts: Facts, passed: Set[str] = frozenset()) -> list[Tried]:
    """What `decide` saw of each route with these facts. passed: routes whose FAQ had no entry."""
    requested = str(facts.values["model"])
    forced = facts.values.get(FORCED)
    if forced is not None:
        why = f"x-turnout-route asks for '{forced}'" + (", but its FAQ has no entry near enough" if forced in passed else "")
        return [Tried(r.name, r.name == forced and forced not in passed, why) for r in policy.routes]
    if requested in policy.models:
        return [Tried(r.name, False, f"the request names the model '{requested}' outright") for r in policy.routes]
    if not is_routed(policy, requested):
        return [Tried(r.name, False, f"no route asks for the model name '{requested}'") for r in policy.routes]
    tried: list[Tried] = []
    taken = ""
    for route in policy.routes:
        matches = route.when is None or route.when.matches(facts.values)
        why = "it is the default" if route.when is None else route.when.why(facts)
        if matches and route.name in passed:
            tried.append(Tried(route.name, False, f"{why}; but its FAQ has no entry near enough"))
        elif taken:
            tried.append(Tried(route.name, False, f"'{taken}' above it matched first"))
        else:
            tried.append(Tried(route.name, matches, why))
            taken = route.name if matches else ""
    return tried
