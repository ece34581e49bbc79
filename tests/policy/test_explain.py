"""The story of a decision agrees with the decision, whatever the facts."""

from hypothesis import given

from gateway.policy.engine import decide
from gateway.policy.explain import explain
from gateway.policy.model import Candidate, Denial, Facts
from tests.policy.facts import CANDIDATES, DRAWS, FACTS, PASSED, POLICY, ROUTE_NAMES


@given(FACTS, CANDIDATES, DRAWS, PASSED)
def test_marked_route_is_the_decision(
    facts: Facts, candidates: dict[str, Candidate], draw: float, passed: frozenset[str]
) -> None:
    decision = decide(POLICY, facts, candidates, draw, passed)
    tried = explain(POLICY, facts, passed)
    marked = [t.route for t in tried if t.matched]
    is_routed = not isinstance(decision, Denial) and decision.route in ROUTE_NAMES
    assert marked == ([decision.route] if is_routed else [])  # type: ignore[union-attr]


@given(FACTS, PASSED)
def test_every_route_is_told_in_order_with_a_reason(facts: Facts, passed: frozenset[str]) -> None:
    tried = explain(POLICY, facts, passed)
    assert [t.route for t in tried] == ROUTE_NAMES
    assert all(t.why for t in tried)


def test_story_reads_as_the_policy_does() -> None:
    facts = Facts({"model": "auto", "class": "small", "confidence": 0.756, "pii": False, "has_tools": True})
    assert [(t.route, t.matched, t.why) for t in explain(POLICY, facts)] == [
        ("talk", False, "class small is not skip"),
        ("private", False, "none of: pii false is not true; tag.data is not set"),
        ("tools", True, "has_tools true is true"),
        ("fixed", False, "'tools' above it matched first"),
        ("easy", False, "'tools' above it matched first"),
        ("rest", False, "'tools' above it matched first"),
    ]


def test_faq_that_was_passed_over_says_so() -> None:
    tried = explain(POLICY, Facts({"model": "auto", "class": "skip"}), frozenset({"talk"}))
    assert (tried[0].matched, tried[0].why) == (
        False,
        "class skip is skip; model auto is one of auto, gpt-*; but its FAQ has no entry near enough",
    )
    assert tried[-1].matched


def test_forced_faq_that_was_passed_over_is_not_marked() -> None:
    tried = explain(POLICY, Facts({"model": "auto", "forced_route": "talk"}), frozenset({"talk"}))
    assert not any(t.matched for t in tried)
