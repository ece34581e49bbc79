"""`decide`: pure, total, the first match wins; and which models a plan asks in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.compile import DIRECT, Policy
from gateway.policy.engine import FORCED, decide, is_routed
from gateway.policy.model import Answer, Candidate, Decision, Denial, Facts, FactValue, Plan
from tests.policy.facts import CANDIDATES, DRAWS, FACTS, PASSED, POLICY
from tests.policy.sample import HEAD, candidates, compiled


def decision(
    values: dict[str, FactValue], draw: float = 0.0, passed: frozenset[str] = frozenset(), policy: Policy = POLICY, **away: str
) -> Decision:
    return decide(policy, Facts({"model": "auto", **values}), candidates(policy, away), draw, passed)


def plan(values: dict[str, FactValue], draw: float = 0.0, policy: Policy = POLICY, **away: str) -> Plan:
    found = decision(values, draw, policy=policy, **away)
    assert isinstance(found, Plan)
    return found


@given(FACTS, CANDIDATES, DRAWS, PASSED)
def test_every_request_gets_a_decision_and_always_the_same(
    facts: Facts, candidates: dict[str, Candidate], draw: float, passed: frozenset[str]
) -> None:
    found = decide(POLICY, facts, candidates, draw, passed)
    assert found == decide(POLICY, Facts(dict(facts.values)), dict(candidates), draw, passed)
    if isinstance(found, Plan):
        assert found.wanted in POLICY.models
        asked, left_out = set(found.targets), {name for name, _ in found.left_out}
        assert len(asked) == len(found.targets)
        assert not asked & left_out
        assert found.wanted in asked | left_out
        assert all(candidates[name].unavailable is None for name in found.targets)
        assert (found.compromise is not None) is (found.wanted in left_out)
    elif isinstance(found, Answer):
        assert found.route not in passed


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 9))
def test_first_match_wins(bounds: list[int], turns: int) -> None:
    rows = [f'  - {{name: r{n}, when: {{turns: "<={bound}", tag.n: x{n}}}, model: strong}}' for n, bound in enumerate(bounds)]
    policy = compiled(HEAD + "routes:\n" + "\n".join([*rows, "  - {name: rest, model: small}"]))
    facts: dict[str, FactValue] = {"turns": turns}
    for n in range(len(bounds)):
        wanted = f"r{n}" if turns <= bounds[n] else "rest"
        assert plan({**facts, "tag.n": f"x{n}"}, policy=policy).route == wanted


def test_decision_is_the_first_route_that_matches() -> None:
    assert plan({"pii": True, "has_tools": True}).route == "private"
    assert plan({"has_tools": True, "class": "small", "confidence": 0.9}).route == "tools"
    assert plan({"class": "small", "confidence": 0.9}).route == "easy"
    assert plan({"class": "small", "confidence": 0.7}).route == "rest"
    fixed = decision({"tag.app": "kiosk"})
    assert isinstance(fixed, Answer)
    assert fixed.rule.static == "Please ask at the desk."


def test_faq_that_has_nothing_to_say_is_passed_over() -> None:
    facts: dict[str, FactValue] = {"class": "skip", "pii": True}
    first = decision(facts)
    assert isinstance(first, Answer)
    assert first.route == "talk"
    second = decision(facts, passed=frozenset({"talk"}))
    assert isinstance(second, Plan)
    assert second.route == "private"


# Model names.


def test_auto_and_names_that_a_glob_matches_are_routed() -> None:
    assert [is_routed(POLICY, name) for name in ("auto", "gpt-4o", "gpt-", "claude", "", "AUTO", "my-gpt-4o")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip


def test_matched_name_is_routed_by_all_routes_like_auto() -> None:
    assert plan({"model": "gpt-4o", "pii": True}).route == "private"
    assert plan({"model": "gpt-4o"}).route == "rest"


def test_name_that_nothing_matches_is_not_found() -> None:
    found = decision({"model": "claude", "pii": True})
    assert isinstance(found, Denial)
    assert found.code == "model_not_found"
    assert found.message == "model 'claude' is not served here and no route asks for it; known: auto, small, strong, backup"


def test_name_below_a_not_opens_no_door() -> None:
    policy = compiled(HEAD + 'routes:\n  - {name: a, when: {not: {model: "x*"}}, model: small}\n  - {name: b, model: strong}\n')
    assert isinstance(decision({"model": "x1"}, policy=policy), Denial)
    assert isinstance(decision({"model": "y"}, policy=policy), Denial)
    assert plan({}, policy=policy).route == "a"


def test_model_named_outright_has_the_defaults_and_no_fallback() -> None:
    policy = compiled(HEAD + "defaults: {retry: {attempts: 7}}\nroutes:\n  - {name: b, model: strong, fallback: [backup]}\n")
    found = plan({"model": "strong", "pii": True}, policy=policy)
    assert (found.route, found.decided_by, found.targets) == (DIRECT, "requested:strong", ("strong",))
    assert (found.timeouts, found.retry, found.cache) == (policy.timeouts, policy.retry, policy.cache)
    assert found.retry.attempts == 7


def test_model_named_outright_is_that_model_though_a_glob_matches_it_too() -> None:
    policy = compiled(HEAD + 'routes:\n  - {name: a, when: {model: "s*"}, model: backup}\n  - {name: b, model: strong}\n')
    assert plan({"model": "small"}, policy=policy).targets == ("small",)
    assert plan({"model": "s1"}, policy=policy).targets == ("backup",)


def test_forced_route_is_taken_whatever_its_conditions_and_the_model_say() -> None:
    found = plan({FORCED: "tools", "model": "claude", "pii": True})
    assert (found.route, found.decided_by, found.targets) == ("tools", "forced:tools", ("strong", "backup"))


def test_forced_route_that_is_not_there_is_refused_with_those_that_are() -> None:
    found = decision({FORCED: "nowhere"})
    assert isinstance(found, Denial)
    assert found.code == "route_not_found"
    assert "route 'nowhere' is not in the policy; known: talk, private, tools" in found.message


def test_forced_faq_without_an_entry_is_refused() -> None:
    found = decision({FORCED: "talk"}, passed=frozenset({"talk"}))
    assert isinstance(found, Denial)
    assert "answers from a FAQ that has no entry for this" in found.message


# Targets.


def test_split_follows_the_draw() -> None:
    assert [plan({}, draw).targets[0] for draw in (0.0, 0.5, 0.8999, 0.9, 0.99, 0.9999999)] == ["strong"] * 3 + ["backup"] * 3


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=3))
def test_split_shares_are_the_weights(weights: list[int]) -> None:
    arms = ", ".join(f"{{model: {m}, weight: {w}}}" for m, w in zip(["small", "strong", "backup"], weights, strict=False))
    policy = compiled(f"{HEAD}routes:\n  - {{name: r, split: [{arms}]}}\n")
    n = 1000
    got = [plan({}, (i + 0.5) / n, policy).targets[0] for i in range(n)]
    for model, weight in zip(["small", "strong", "backup"], weights, strict=False):
        assert abs(got.count(model) / n - weight / sum(weights)) <= 1 / n


def test_fallback_repeats_no_target() -> None:
    assert plan({}, 0.95).targets == ("backup", "small")
    assert plan({}, 0.0).targets == ("strong", "backup", "small")
    assert plan({"class": "small", "confidence": 1.0}).targets == ("small", "strong")


def test_unavailable_model_is_left_out_with_its_reason() -> None:
    found = plan({}, strong="KEY is not set")
    assert found.targets == ("backup", "small")
    assert found.left_out == (("strong", "KEY is not set"),)
    assert found.compromise == "strong is left out: KEY is not set"


def test_fallback_that_is_away_is_no_compromise() -> None:
    found = plan({}, backup="KEY is not set")
    assert found.targets == ("strong", "small")
    assert found.compromise is None


def test_nothing_that_can_be_asked_is_a_plan_without_targets() -> None:
    found = plan({"model": "small"}, small="its weights are missing")
    assert found.targets == ()
    assert found.left_out == (("small", "its weights are missing"),)


@pytest.mark.parametrize(("tokens", "targets"), [(1000, ("small", "strong")), (1001, ("strong",))])
def test_model_that_cannot_hold_the_request_is_passed_over(tokens: int, targets: tuple[str, ...]) -> None:
    found = plan({"class": "small", "confidence": 1.0, "tokens_in": tokens})
    assert found.targets == targets
    assert [name for name, _ in found.left_out] == ["small"] * (2 - len(targets))


def test_request_too_long_for_all_goes_to_those_that_are_there() -> None:
    assert plan({"pii": True, "tokens_in": 9999}).targets == ("small",)
    both = plan({"class": "small", "confidence": 1.0, "tokens_in": 9999}, strong="KEY is not set")
    assert both.targets == ("small",)
    assert both.left_out == (("strong", "KEY is not set"),)


@pytest.mark.parametrize(
    ("values", "decided_by"),
    [
        ({"pii": True, "class": "small", "confidence": 0.9}, "rule:private"),
        ({"class": "small", "confidence": 0.9}, "classifier:small@0.90"),
        ({"class": "strong", "confidence": 0.7}, "classifier:strong@0.70"),
        ({"class": "unsure"}, "classifier:unsure"),
        ({}, "rule:rest"),
        ({"class": "skip", "confidence": 0.6}, "classifier:skip@0.60"),
    ],
)
def test_decision_names_what_made_it(values: dict[str, FactValue], decided_by: str) -> None:
    found = decision(values)
    assert not isinstance(found, Denial)
    assert found.decided_by == decided_by
