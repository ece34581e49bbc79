"""Facts in, a decision out. Pure: no clock, no randomness, no I/O, so any past decision can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Set

from gateway.policy.compile import DIRECT, Policy, Route
from gateway.policy.compile_models import AUTO
from gateway.policy.model import Answer, Candidate, Decision, Denial, Facts, Plan

FORCED = "forced_route"  # the fact that x-turnout-route sets


def decide(
    policy: Policy, facts: Facts, candidates: Mapping[str, Candidate], draw: float, passed: Set[str] = frozenset()
) -> Decision:
    """What to do with a request. Total: every request gets a Plan, an Answer or a Denial.

    candidates: every model of the policy with its state just now. draw: in [0, 1), made once a request,
    picks the arm of a split. passed: routes whose answer had nothing to say to this request.
    """
    requested = str(facts.values["model"])
    forced = facts.values.get(FORCED)
    if forced is not None:
        return _forced(policy, str(forced), facts, candidates, draw, passed)
    if requested in policy.models:
        return _direct(policy, requested, facts, candidates)
    if not is_routed(policy, requested):
        known = ", ".join([AUTO, *policy.models])
        return Denial("model_not_found", f"model '{requested}' is not served here and no route asks for it; known: {known}")
    for route in policy.routes:
        if route.name not in passed and (route.when is None or route.when.matches(facts.values)):
            return _take(route, _decided_by(route, facts), facts, candidates, draw)
    # The compiler sees to a last route without `when`, and a FAQ is never the last.
    raise AssertionError(f"policy {policy.hash} has no default route")


def is_routed(policy: Policy, requested: str) -> bool:
    """Whether the routes decide for this model name: `auto`, or a name that some route's glob matches."""
    return requested == AUTO or any(test(requested) for test in policy.globs)


def _forced(
    policy: Policy, name: str, facts: Facts, candidates: Mapping[str, Candidate], draw: float, passed: Set[str]
) -> Decision:
    for route in policy.routes:
        if route.name == name and name not in passed:
            return _take(route, f"forced:{name}", facts, candidates, draw)
    if name in passed:
        return Denial("route_not_found", f"route '{name}' answers from a FAQ that has no entry for this")
    known = ", ".join(r.name for r in policy.routes)
    return Denial("route_not_found", f"x-turnout-route: route '{name}' is not in the policy; known: {known}")


def _direct(policy: Policy, model: str, facts: Facts, candidates: Mapping[str, Candidate]) -> Plan:
    targets, left_out = _sift((model,), facts, candidates)
    return Plan(DIRECT, f"requested:{model}", model, targets, policy.timeouts, policy.retry, policy.cache, left_out)


def _take(route: Route, decided_by: str, facts: Facts, candidates: Mapping[str, Candidate], draw: float) -> Plan | Answer:
    if route.answer is not None:
        return Answer(route.name, decided_by, route.answer)
    chosen = next((model for model, upto in route.arms if draw < upto), route.arms[-1][0])
    targets, left_out = _sift(tuple(dict.fromkeys((chosen, *route.fallback))), facts, candidates)
    return Plan(route.name, decided_by, chosen, targets, route.timeouts, route.retry, route.cache, left_out)


def _sift(
    names: tuple[str, ...], facts: Facts, candidates: Mapping[str, Candidate]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Targets that can be asked, and the others with the reason.

    A request too long for every target still goes to those that are there: the estimate of its length may be
    wrong, and the provider's own refusal says more than ours.
    """
    left_out = []
    fitting = []
    too_long = []
    tokens_in = facts.values.get("tokens_in")
    for name in names:
        candidate = candidates[name]
        if candidate.unavailable is not None:
            left_out.append((name, candidate.unavailable))
        elif isinstance(tokens_in, int) and candidate.context_tokens is not None and tokens_in > candidate.context_tokens:
            too_long.append((name, f"about {tokens_in} tokens do not fit its context of {candidate.context_tokens}"))
        else:
            fitting.append(name)
    if not fitting:
        return tuple(name for name, _ in too_long), tuple(left_out)
    return tuple(fitting), tuple(left_out + too_long)


def _decided_by(route: Route, facts: Facts) -> str:
    """`classifier:CLASS@CONFIDENCE` where the classifier had a say, else `rule:ROUTE`."""
    kind = facts.values.get("class")
    if kind is None or not (route.uses_class or route.when is None):
        return f"rule:{route.name}"
    confidence = facts.values.get("confidence")
    return f"classifier:{kind}" + (f"@{confidence:.2f}" if isinstance(confidence, float) else "")
