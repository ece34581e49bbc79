"""Compile `budgets:` and `alerts:`, and find those that contradict each other or can never do what they say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from gateway.policy.budgets import Alerts, BudgetRule
from gateway.policy.catalog import Model
from gateway.policy.compile_models import is_address
from gateway.policy.model import AnswerRule
from gateway.policy.problems import unknown_name
from gateway.policy.schema_budgets import AlertsSpec, BudgetSpec, ThenRoute
from gateway.policy.source import Path
from gateway.policy.variables import expand

Problem = Callable[[Path, str], None]

EACH = ""  # no name


class Route(Protocol):
    """What a budget must know of a route."""

    @property
    def name(self) -> str: ...

    @property
    def answer(self) -> AnswerRule | None: ...

    @property
    def models(self) -> tuple[str, ...]: ...


def budget_rules(
    specs: Sequence[BudgetSpec],
    routes: Sequence[Route],
    reserved: Collection[str],
    models: Mapping[str, Model],
    unavailable: Collection[str],
    problem: Problem,
) -> tuple[BudgetRule, ...]:
    """The rules, in the order of the file.

    routes, models: those that the policy defines; reserved: names of routes that it need not define. unavailable: providers
    that cannot be asked.
    """
    rules = tuple(_rule(place, spec) for place, spec in enumerate(specs))
    known = [*(route.name for route in routes), *reserved]
    for rule, spec in zip(rules, specs, strict=True):
        path: Path = ("budgets", rule.place)
        _check_names(spec, rule, (*path, "of"), known, problem)
        _check_then(spec, rule, path, routes, problem)
    _check_twins(rules, problem)
    _check_prices(rules, routes, models, unavailable, problem)
    return rules


def alerts(spec: AlertsSpec | None, env: Mapping[str, str], problem: Problem) -> Alerts | None:
    """Where alerts go; None where the policy does not say. A variable that is not set makes them unavailable."""
    if spec is None:
        return None
    webhook = expand(spec.webhook, env)
    headers = {name: expand(value, env) for name, value in spec.headers.items()}
    places: list[tuple[Path, bool]] = [(("alerts", "webhook"), webhook.is_readable)]
    places += [(("alerts", "headers", name), value.is_readable) for name, value in headers.items()]
    for path, is_readable in places:
        if not is_readable:
            problem(path, "cannot read the variable in it; write ${NAME} or ${NAME:-default}")
    unset = next((part.unset for part in (webhook, *headers.values()) if part.unset is not None), None)
    if unset is not None:
        return Alerts("", unavailable=f"{unset} is not set")
    if webhook.is_readable and not is_address(webhook.text):
        problem(("alerts", "webhook"), "it is not an http:// or https:// address")  # without repeating it: it may be a secret
    return Alerts(webhook.text, {name: value.text for name, value in headers.items()})


def _rule(place: int, spec: BudgetSpec) -> BudgetRule:
    kind, _, tag = spec.per.partition(":")
    limit_nusd, period = spec.usd
    is_route = isinstance(spec.then, ThenRoute)
    return BudgetRule(
        place=place,
        per=kind,  # type: ignore[arg-type]  # its pattern allows no other
        tag=tag or None,
        limit_nusd=limit_nusd,
        period=period,
        at=spec.at,
        then="route" if isinstance(spec.then, ThenRoute) else spec.then,
        route=spec.then.route if isinstance(spec.then, ThenRoute) else None,
        keeps_free=spec.free == "allow",
        of=frozenset(spec.of or ()),
        on_error="open" if is_route or spec.then == "alert" else spec.on_error,
    )


def _check_names(spec: BudgetSpec, rule: BudgetRule, path: Path, routes: Collection[str], problem: Problem) -> None:
    names = spec.of or []
    if names and rule.per == "gateway":
        problem(path, "there is one gateway, so nobody is to be named; remove `of`")
        return
    for k, name in enumerate(names):
        if name in names[:k]:
            problem((*path, k), f"{rule.kind} '{name}' is in this list already; remove it")
        elif rule.per == "route" and name not in routes:
            problem((*path, k), unknown_name("route", name, routes))


def _check_then(spec: BudgetSpec, rule: BudgetRule, path: Path, routes: Sequence[Route], problem: Problem) -> None:
    if rule.then != "refuse":
        does = "only says that the money is spent" if rule.then == "alert" else "refuses nobody"
        if spec.free == "allow":
            problem((*path, "free"), f"this budget {does}, so `free` does nothing; remove it, or write `then: refuse`")
        if spec.on_error == "closed":
            problem((*path, "on_error"), f"this budget {does}, so it cannot be closed; remove it, or write `then: refuse`")
    if rule.route is None:
        return
    target = next((route for route in routes if route.name == rule.route), None)
    if target is None:
        problem((*path, "then", "route"), unknown_name("route", rule.route, [route.name for route in routes]))
    elif target.answer is not None and target.answer.faq is not None:
        problem((*path, "then", "route"), f"route '{rule.route}' is a FAQ, which does not answer everything; name another")
    elif rule.per == "route" and rule.of == {rule.route}:
        problem((*path, "then", "route"), f"requests of route '{rule.route}' are there already; name another, or `then: refuse`")


def _check_twins(rules: Sequence[BudgetRule], problem: Problem) -> None:
    """Of rules on the same money: one sum for it, each thing once, and nothing behind a rule that refuses all."""
    for n, rule in enumerate(rules):
        for earlier in rules[:n]:
            if not _same_money(rule, earlier):
                continue
            whose, place = f"budgets[{earlier.place}]", rule.place
            if rule.limit_nusd != earlier.limit_nusd:
                message = f"{whose} gives the same money another `usd`; give both the same, and say with `at` from where on"
                problem(("budgets", place, "usd"), message)
                break
            if (rule.at, rule.then) == (earlier.at, earlier.then):
                problem(("budgets", place), f"{whose} does the same; remove one of them")
                break
            low, high = sorted((rule, earlier), key=lambda one: one.at)
            if low.then == "refuse" and not low.keeps_free and low.at < high.at:
                message = f"never reached: budgets[{low.place}] refuses from {low.at:g} on; remove one of them"
                problem(("budgets", high.place), message)
                break


def _same_money(one: BudgetRule, other: BudgetRule) -> bool:
    if (one.kind, one.period) != (other.kind, other.period):
        return False
    return bool((one.of or {EACH}) & (other.of or {EACH}))


def _check_prices(
    rules: Sequence[BudgetRule],
    routes: Sequence[Route],
    models: Mapping[str, Model],
    unavailable: Collection[str],
    problem: Problem,
) -> None:
    """Money that cannot be counted cannot be held."""
    unpriced = {name for name, model in models.items() if model.price is None and model.provider not in unavailable}
    for rule in rules:
        if rule.per == "route" and rule.of:
            asked = {model for route in routes if route.name in rule.of for model in route.models}
            if any(name not in {route.name for route in routes} for name in rule.of):  # models that are named outright
                asked = set(models)
        else:
            asked = set(models)
        for name in sorted(unpriced & asked):
            problem(
                ("models", name),
                f"model '{name}' has `price: unknown`, and budgets[{rule.place}] cannot hold money that cannot be counted; "
                "give its price, as `price: {input: …, output: …}` in US dollars per million tokens, or `gpu:`",
            )
        unpriced -= asked  # once each
