"""Which budgets hold for whom: the index says what the definition does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.base import KEY_ALONE, Account, Family
from gateway.budgets.rules import Rules
from gateway.policy.budgets import BudgetRule, Period

PERIODS = Period(86_400, "day"), Period(86_400), Period(7 * 86_400, "week")
KINDS = ("key", None), ("team", None), ("tag", "a"), ("tag", "b")
NAMES = ("x", "y", "z")

RULE = st.builds(
    lambda kind, period, of, at: BudgetRule(0, kind[0], kind[1], 10**9, period, at, "refuse", of=frozenset(of)),
    st.sampled_from(KINDS),
    st.sampled_from(PERIODS),
    st.sets(st.sampled_from(NAMES[:2]), max_size=2),
    st.sampled_from([0.5, 1.0]),
)


@given(st.lists(RULE, max_size=8), st.sampled_from(KINDS), st.sampled_from(PERIODS), st.sampled_from(NAMES))
def test_those_that_name_the_holder_or_else_those_that_name_nobody(
    rules: list[BudgetRule], kind: tuple[str, str | None], period: Period, name: str
) -> None:
    per, tag = kind
    of_kind = [rule for rule in rules if (rule.per, rule.tag) == kind]
    holds = [rule for rule in of_kind if name in rule.of] or [rule for rule in of_kind if not rule.of]
    found = Rules(rules).of(Account(Family(per, tag, period), name))  # type: ignore[arg-type]
    assert list(found) == [rule for rule in holds if rule.period == period]


def test_a_key_without_a_team_is_found_by_its_name() -> None:
    [rule] = rules = [BudgetRule(0, "team", None, 10**9, PERIODS[0], 1.0, "refuse", of=frozenset({"x"}))]
    family = Family("team", None, PERIODS[0])
    assert Rules(rules).families == (family,)
    assert Rules(rules).of(Account(family, KEY_ALONE + "x")) == [rule]
