"""Facts in, a decision out. Pure: no clock, no randomness, no I/O, so any past decision can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Set

from msgspec.structs import replace

from gateway.policy.affinity import PINNED, pinned_of, stay
from gateway.policy.balance import balanced
from gateway.policy.capability import param_of, told
from gateway.policy.compile import DIRECT, Policy, Route
from gateway.policy.compile_models import AUTO
from gateway.policy.model import NOT_ALLOWED, Answer, Candidate, Decision, Denial, Facts, Plan, SelectRule
from gateway.policy.permit import ANYTHING, Permit
from gateway.policy.select import choose

FORCED = "forced_route"  # the fact that x-turnout-route sets


def decide(
    policy: Policy,
    facts: Facts,
    candidates: Mapping[str, Candidate],
    draw: float,
    passed: Set[str] = frozenset(),
    permit: Permit = ANYTHING,
) -> Decision:
    """What to do with a request. Total: every request gets a Plan, an Answer or a Denial.

    candidates: every model of the policy with its state just now. draw: in [0, 1), made once a request,
    picks the arm of a split. passed: routes whose answer had nothing to say to this request. permit: what its caller may use.

    INVARIANT: a permit only takes away. It never makes another route match: the one that was meant to catch the request may
    be there to keep it from the others.
    """
    requested = str(facts.values["model"])
    forced = facts.values.get(FORCED)
    if facts.uses:
        candidates = {m: _able(policy, c, facts) for m, c in candidates.items()}
    if permit.models is not None:
        candidates = {m: c if permit.may_ask(m) else _barred(c) for m, c in candidates.items()}
    if forced is not None:
        return _forced(policy, str(forced), facts, candidates, draw, passed, permit)
    if requested in policy.models:
        return _direct(policy, requested, facts, candidates, permit)
    if not is_routed(policy, requested):
        known = ", ".join(permitted_names(policy, permit)) or "none that your key may use"
        return Denial(
            "model_not_found", f"model '{requested}' is not served here and no route asks for it; known: {known}", "model"
        )
    values = facts.values
    for route in policy.routes:
        when = route.when
        if (when is None or when.matches(values)) and route.name not in passed:
            return _take(policy, route, _decided_by(route, facts), facts, candidates, draw, permit)
    # The compiler sees to a last route without `when`, and a FAQ is never the last.
    raise AssertionError(f"policy {policy.hash} has no default route")


def is_routed(policy: Policy, requested: str) -> bool:
    """Whether the routes decide for this model name: `auto`, or a name that some route's glob matches."""
    return requested == AUTO or any(test(requested) for test in policy.globs)


def permitted_models(policy: Policy, permit: Permit) -> list[str]:
    """The models of the policy that such a caller may name outright, in its order."""
    return [model for model in policy.models if permit.may_take(DIRECT) and permit.may_ask(model)]


def permitted_names(policy: Policy, permit: Permit) -> list[str]:
    """The names that such a caller may give as model: `auto` if some route may answer it, then those it may name outright."""
    is_routed = any(
        permit.may_take(route.name) and (route.answer is not None or any(permit.may_ask(model) for model in route.models))
        for route in policy.routes
    )
    return [*([AUTO] if is_routed else []), *permitted_models(policy, permit)]


def denied_model(policy: Policy, model: str, permit: Permit) -> Denial | None:
    """Why such a caller may not name this model of the policy outright, None if it may."""
    if permit.may_ask(model) and permit.may_take(DIRECT):
        return None
    known = ", ".join(permitted_names(policy, permit)) or "none"
    if not permit.may_ask(model):
        return Denial("model_not_allowed", f"your key may not use model '{model}'; it may name: {known}", "model")
    message = f"your key may not name a model outright, as '{model}': that is route '{DIRECT}'; it may name: {known}"
    return Denial("route_not_allowed", message)


def _forced(
    policy: Policy,
    name: str,
    facts: Facts,
    candidates: Mapping[str, Candidate],
    draw: float,
    passed: Set[str],
    permit: Permit,
) -> Decision:
    for route in policy.routes:
        if route.name == name and name not in passed:
            return _take(policy, route, f"forced:{name}", facts, candidates, draw, permit)
    if name in passed:
        return Denial("route_not_found", f"route '{name}' answers from a FAQ that has no entry for this")
    known = ", ".join(r.name for r in policy.routes if permit.may_take(r.name)) or "none that your key may take"
    return Denial("route_not_found", f"x-turnout-route: route '{name}' is not in the policy; known: {known}")


def _direct(policy: Policy, model: str, facts: Facts, candidates: Mapping[str, Candidate], permit: Permit) -> Plan | Denial:
    denial = denied_model(policy, model, permit)
    if denial is not None:
        return denial
    targets, left_out = _sift((model,), facts, candidates)
    if lacks := candidates[model].lacks:
        return Denial("unsupported_feature", f"model '{model}' cannot do what the request uses: {told(lacks)}", param_of(lacks))
    by, rules = f"requested:{model}", (policy.timeouts, policy.retry, policy.cache)
    return Plan(DIRECT, by, model, targets, *rules, left_out, failover=policy.failover)


def _take(
    policy: Policy,
    route: Route,
    decided_by: str,
    facts: Facts,
    candidates: Mapping[str, Candidate],
    draw: float,
    permit: Permit,
) -> Decision:
    if not permit.may_take(route.name):
        return Denial("route_not_allowed", f"this request goes by route '{route.name}', which your key may not take")
    if route.answer is not None:
        return Answer(route.name, decided_by, route.answer)
    if route.select is not None:
        plan = _selected(route, route.select, decided_by, facts, candidates)
    elif route.cascade:
        plan = _cascaded(route, decided_by, facts, candidates)
    elif route.balance:
        names, why = balanced(route.balance, candidates, draw)
        plan = _plan(route, decided_by, names, facts, candidates)
        plan = replace(plan, choice=why, rungs=tuple(m for m in plan.targets if m in names))
    elif _is_plain(route, facts, candidates):
        plan = route.plain if decided_by == route.plain.decided_by else replace(route.plain, decided_by=decided_by)
    else:
        plan = _plan(route, decided_by, (_arm(route, candidates, draw),), facts, candidates)
    if not plan.targets:
        return _incapable(route, plan, candidates) or plan
    return _held(policy, route, plan, facts, candidates) if PINNED in facts.values else plan


def _able(policy: Policy, candidate: Candidate, facts: Facts) -> Candidate:
    """The candidate; unavailable if it cannot do something that the request uses."""
    lacks = facts.uses & policy.models[candidate.model].cannot
    return replace(candidate, unavailable=f"it cannot do: {told(lacks)}", lacks=lacks) if lacks else candidate


def _barred(candidate: Candidate) -> Candidate:
    return replace(candidate, unavailable=NOT_ALLOWED, lacks=frozenset())


def _incapable(route: Route, plan: Plan, candidates: Mapping[str, Candidate]) -> Denial | None:
    """Of a plan without targets: the refusal of a request that no model of the route can do, or that its caller may not ask of
    any, now or later; None if one may.
    """
    if all(why == NOT_ALLOWED for _, why in plan.left_out):
        message = f"this request goes by route '{route.name}', none of whose models your key may use"
        return Denial("model_not_allowed", message, "model")
    left = [candidates[model] for model, _ in plan.left_out]
    if not all(c.lacks or c.unavailable == NOT_ALLOWED for c in left):
        return None
    able = [c for c in left if c.lacks]
    each = "; ".join(f"'{c.model}': {told(c.lacks)}" for c in able)
    lacks = frozenset.intersection(*(c.lacks for c in able)) or able[0].lacks
    message = f"this request goes by route '{route.name}', none of whose models can do what it uses: {each}"
    return Denial("unsupported_feature", message, param_of(lacks))


def _arm(route: Route, candidates: Mapping[str, Candidate], draw: float) -> str:
    """The arm of a split that the draw picks: of those that may be asked this, in the proportions that they have.

    An arm whose model is only down stays: its share goes to the route's fallbacks, and the others' experiment is not disturbed.
    """
    if len(route.arms) == 1:
        return route.arms[0][0]
    arms, below = [], 0.0
    for model, upto in route.arms:
        if candidates[model].unavailable != NOT_ALLOWED and not candidates[model].lacks:
            arms.append((model, upto - below))
        below = upto
    if 0 < len(arms) < len(route.arms):
        draw *= sum(share for _, share in arms)
        for model, share in arms:
            draw -= share
            if draw < 0:
                return model
        return arms[-1][0]
    return next((model for model, upto in route.arms if draw < upto), route.arms[-1][0])


def _is_plain(route: Route, facts: Facts, candidates: Mapping[str, Candidate]) -> bool:
    """Whether the route's plain plan is what any look at its models would come to, whoever decided."""
    if len(route.arms) != 1:
        return False
    for name in route.plain.targets:
        candidate = candidates[name]
        if candidate.unavailable is not None or (candidate.context_tokens is not None and _too_long(candidate, facts)):
            return False
    return True


def _plan(route: Route, decided_by: str, names: tuple[str, ...], facts: Facts, candidates: Mapping[str, Candidate]) -> Plan:
    """To ask these models, then the route's fallbacks."""
    asked = tuple(dict.fromkeys((*names, *route.fallback))) if route.fallback else names
    targets, left_out = _sift(asked, facts, candidates)
    rules = route.timeouts, route.retry, route.cache
    return Plan(route.name, decided_by, names[0], targets, *rules, left_out, failover=route.failover)


def _cascaded(route: Route, decided_by: str, facts: Facts, candidates: Mapping[str, Candidate]) -> Plan:
    """To ask the rungs that can save something, from the bottom to the top, then the route's fallbacks.

    Without its last rung, which they are compared with, a cascade has need of all others.
    """
    last, tokens_in = route.cascade[-1][0], facts.values.get("tokens_in")
    dear: dict[str, str] = {}
    if candidates[last].unavailable is None:
        why = f"asking it costs as much as '{last}' for this request, so it cannot save anything"
        dear = {m: why for m, saving in route.savings.items() if not saving.is_any(int(tokens_in or 0))}
    names = tuple(model for model, _ in route.cascade if model not in dear)
    plan = _plan(route, decided_by, names, facts, candidates)
    return replace(
        plan,
        left_out=(*dear.items(), *plan.left_out),
        accept={model: rule for model, rule in route.cascade if rule is not None and model in plan.targets},
        rungs=tuple(model for model in plan.targets if model in names),
    )


def _selected(route: Route, rule: SelectRule, decided_by: str, facts: Facts, candidates: Mapping[str, Candidate]) -> Plan:
    """To ask the cheapest model that is good enough. What is wanted does not depend on who can be asked just now."""
    askable, left_out = _sift(rule.models, facts, candidates)
    wanted, choice = choose(rule, facts, rule.models), choose(rule, facts, askable)
    plan = _plan(route, decided_by, (choice.model,), facts, candidates)
    unknown = facts.values.get("class_reason") or "unknown"
    by = f"quality:{choice.model}" + (f"({unknown})" if choice.quality is None else f"@{choice.quality:.2f}")
    return replace(
        plan,
        wanted=wanted.model,
        decided_by=decided_by if FORCED in facts.values else by,
        left_out=tuple(dict.fromkeys((*left_out, *plan.left_out))),
        choice=choice.why,
    )


def _held(policy: Policy, route: Route, plan: Plan, facts: Facts, candidates: Mapping[str, Candidate]) -> Plan:
    """The plan, or one that stays with the model that the conversation is with.

    INVARIANT: only with a model of the route that was chosen, so that no pin takes a request where its route does not go.
    """
    pinned = pinned_of(facts)
    if pinned is None or pinned.model not in route.models:
        return plan
    first, name = plan.targets[0], pinned.model
    if candidates[name].unavailable is not None or _too_long(candidates[name], facts) is not None:
        return plan
    if name != first:
        held = stay(pinned, policy.models[name].price, first, policy.models[first].price)
        if not held.stays:
            return replace(plan, choice=f"{plan.choice}; {held.why}" if plan.choice else held.why)
        why = held.why
    elif pinned.by == "tool-loop" and name in plan.accept:
        why = f"'{name}' is in the middle of a tool loop, so its answer stands"
    else:
        return plan
    # From its place in a cascade upwards; what stands before it comes last.
    place = plan.rungs.index(name) if name in plan.rungs else 0
    climbs = pinned.by == "session" and name in plan.rungs
    return replace(
        plan,
        decided_by=f"{pinned.by}:{name}",
        wanted=name,
        targets=tuple(dict.fromkeys((name, *plan.targets[place:], *plan.targets))),
        left_out=tuple(left for left in plan.left_out if left[0] != name),  # a rung that it would not pay to judge
        accept=plan.accept if climbs else {model: rule for model, rule in plan.accept.items() if model != name},
        rungs=plan.rungs[place:] if climbs else (),
        choice=why,
    )


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
    for name in names:
        candidate = candidates[name]
        if candidate.unavailable is not None:
            left_out.append((name, candidate.unavailable))
        elif candidate.context_tokens is not None and (why := _too_long(candidate, facts)) is not None:
            too_long.append((name, why))
        else:
            fitting.append(name)
    if len(fitting) == len(names):
        return names, ()
    if not fitting:
        return tuple(name for name, _ in too_long), tuple(left_out)
    return tuple(fitting), tuple(left_out + too_long)


def _too_long(candidate: Candidate, facts: Facts) -> str | None:
    tokens_in = facts.values.get("tokens_in")
    if isinstance(tokens_in, int) and candidate.context_tokens is not None and tokens_in > candidate.context_tokens:
        return f"about {tokens_in} tokens do not fit its context of {candidate.context_tokens}"
    return None


def _decided_by(route: Route, facts: Facts) -> str:
    """`classifier:CLASS@CONFIDENCE` where the classifier had a say, `classifier:CLASS(REASON)` where it had none to give.

    Else `rule:ROUTE`.
    """
    kind = facts.values.get("class")
    if kind is None or not (route.uses_class or route.when is None):
        return f"rule:{route.name}"
    reason, confidence = facts.values.get("class_reason"), facts.values.get("confidence")
    if reason is not None:
        return f"classifier:{kind}({reason})"
    return f"classifier:{kind}" + (f"@{confidence:.2f}" if isinstance(confidence, float) else "")
