"""Compile `limits:`, and find those that would count the same thing twice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from gateway.policy.limits import LimitRule, Rate
from gateway.policy.problems import unknown_name
from gateway.policy.schema_limits import LimitSpec
from gateway.policy.source import Path

Problem = Callable[[Path, str], None]

EACH = ""  # no name


def limit_rules(specs: Sequence[LimitSpec], models: Collection[str], problem: Problem) -> tuple[LimitRule, ...]:
    """The rules, in the order of the file. models: the names that the policy defines."""
    rules = tuple(
        LimitRule(
            place=place,
            per=spec.per,
            requests=None if spec.requests is None else Rate(*spec.requests),
            tokens=None if spec.tokens is None else Rate(*spec.tokens),
            of=frozenset(spec.of or ()),
            on_error=spec.on_error,
        )
        for place, spec in enumerate(specs)
    )
    for place, spec in enumerate(specs):
        _check_names(spec, ("limits", place, "of"), models, problem)
    _check_duplicates(rules, problem)
    return rules


def _check_names(spec: LimitSpec, path: Path, models: Collection[str], problem: Problem) -> None:
    names = spec.of or []
    for k, name in enumerate(names):
        if name in names[:k]:
            problem((*path, k), f"{spec.per} '{name}' is in this list already; remove it")
        elif spec.per == "model" and name not in models:
            problem((*path, k), unknown_name("model", name, models))


def _check_duplicates(rules: Sequence[LimitRule], problem: Problem) -> None:
    seen: dict[tuple[str, str, int, str], int] = {}
    for rule in rules:
        for unit, rate in rule.rates:
            for name in sorted(rule.of) or [EACH]:
                first = seen.setdefault((rule.per, unit, rate.window_s, name), rule.place)
                if first != rule.place:
                    whom = f"each {rule.per}" if name == EACH else f"{rule.per} '{name}'"
                    message = f"the {unit} of {whom} in this time are limited in limits[{first}] already; remove one of them"
                    problem(("limits", rule.place, unit), message)
                    break
