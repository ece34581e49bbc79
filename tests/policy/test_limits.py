"""`limits:` in a policy: what is understood, for whom it holds, and what is refused because it would count twice."""

from __future__ import annotations

import pytest

from gateway.policy.limits import LimitRule, Rate, rules_for
from tests.policy.sample import SAMPLE, compiled, line_of, only_problem, problems


def with_limits(*rules: str) -> str:
    return SAMPLE + "limits:\n" + "".join(f"  - {rule}\n" for rule in rules)


def test_without_limits_there_are_none() -> None:
    assert compiled(SAMPLE).limits == ()


def test_a_rule_is_what_it_says() -> None:
    first, second = compiled(
        with_limits(
            "{per: key, requests: 600/min, tokens: 200000/min}", "{per: model, of: [small], tokens: 5/10s, on_error: closed}"
        )
    ).limits
    assert first == LimitRule(0, "key", Rate(600, 60), Rate(200_000, 60))
    assert second == LimitRule(1, "model", None, Rate(5, 10), frozenset({"small"}), "closed")
    assert first.rates == (("requests", Rate(600, 60)), ("tokens", Rate(200_000, 60)))
    assert second.rates == (("tokens", Rate(5, 10)),)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/s", Rate(1, 1)),
        ("10/min", Rate(10, 60)),
        ("7/h", Rate(7, 3600)),
        ("9/day", Rate(9, 86_400)),
        ("5/15min", Rate(5, 900)),
    ],
)
def test_a_rate_is_so_many_in_a_time(text: str, rate: Rate) -> None:
    assert compiled(with_limits(f"{{per: key, requests: {text}}}")).limits[0].requests == rate


@pytest.mark.parametrize("text", ["600", "0/min", "1.5/s", "-1/s", "5/week", "5/", "/min", "5 / min", "5/0s", "[5/s]", "5/min/h"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    found = only_problem(with_limits(f"{{per: key, requests: {text}}}"))
    assert '`limits[0].requests`: a number in a time is expected, such as "600/min"' in found


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{per: key}", "limits nothing; give `requests` or `tokens`"),
        ("{requests: 1/s}", "limits[0]: `per` is missing; add it"),
        ("{per: route, requests: 1/s}", "`limits[0].per` is 'route'; it must be 'key', 'team' or 'model'"),
        ("{per: key, of: [], requests: 1/s}", "at least 1 item"),
        ("{per: key, requests: 1/s, on_error: maybe}", "it must be 'open' or 'closed'"),
        ("{per: model, of: [smal], requests: 1/s}", "model 'smal' is not defined; did you mean 'small'?"),
        ("{per: key, of: [a, b, a], requests: 1/s}", "key 'a' is in this list already; remove it"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_with_its_line(rule: str, said: str) -> None:
    text = with_limits(rule)
    found = only_problem(text)
    assert said in found
    assert found.startswith(f"p.yaml:{line_of(text, rule)}: ")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("{per: key, requests: 5/s}", "{per: key, requests: 6/s, tokens: 1/s}", "the requests of each key"),
        ("{per: key, tokens: 5/min}", "{per: key, tokens: 6/60s}", "the tokens of each key"),
        ("{per: team, of: [x, y], tokens: 5/h}", "{per: team, of: [y, z], tokens: 6/h}", "the tokens of team 'y'"),
    ],
)
def test_what_would_count_twice_is_refused(one: str, other: str, said: str) -> None:
    text = with_limits(one, other)
    found = only_problem(text)
    assert f"{said} in this time are limited in limits[0] already; remove one of them" in found
    assert found.startswith(f"p.yaml:{line_of(text, other)}: ")


def test_what_differs_in_anything_may_stand_beside_each_other() -> None:
    rules = (
        *("{per: key, requests: 5/s}", "{per: key, requests: 5/min}", "{per: key, tokens: 5/s}", "{per: team, requests: 5/s}"),
        *("{per: key, of: [a], requests: 9/s}", "{per: key, of: [b], requests: 9/s}"),
    )
    assert problems(with_limits(*rules)) == []


def test_the_rules_that_name_someone_take_the_place_of_those_for_each() -> None:
    named = "{per: key, of: [vip, ops], requests: 50/s}"
    general = ("{per: key, requests: 5/s}", "{per: key, requests: 9/h}")
    rules = compiled(with_limits(*general, named, "{per: team, tokens: 1/s}")).limits

    def places(per: str, name: str) -> list[int]:
        return [rule.place for rule in rules_for(rules, per, name)]  # type: ignore[arg-type]

    assert [places("key", name) for name in ("anyone", "vip", "ops")] == [[0, 1], [2], [2]]
    assert (places("team", "vip"), places("model", "vip")) == ([3], [])
