"""`budgets:` and `alerts:` in a policy: what is understood, for whom it holds, and what contradicts itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.budgets.base import Account, Family
from gateway.budgets.rules import Rules
from gateway.policy.budgets import BudgetRule, Period
from tests.policy.sample import SAMPLE, compiled, line_of, only_problem, problems

PRICED = SAMPLE.replace("price: unknown", "price: {input: 1, output: 1}")
DAY = Period(86_400, "day")
USD = 10**9


def with_budgets(*rules: str, text: str = PRICED) -> str:
    return text + "budgets:\n" + "".join(f"  - {rule}\n" for rule in rules)


def test_without_budgets_there_are_none() -> None:
    policy = compiled(PRICED)
    assert (policy.budgets, policy.alerts) == ((), None)


def test_the_example_of_the_format_is_what_it_says() -> None:
    rules = "{per: team, usd: 50/day, at: 0.8, then: alert}", "{per: team, usd: 50/day, at: 1.0, then: {route: easy}}"
    first, second = compiled(with_budgets(*rules)).budgets
    assert first == BudgetRule(0, "team", None, 50 * USD, DAY, 0.8, "alert")
    assert second == BudgetRule(1, "team", None, 50 * USD, DAY, 1.0, "route", route="easy")
    assert (first.threshold_nusd, second.threshold_nusd) == (40 * USD, 50 * USD)
    assert [str(rule) for rule in (first, second)] == ["team: 50/day at 0.8 alert", "team: 50/day at 1 route easy"]


def test_what_is_not_said_is_refuse_at_all_of_it() -> None:
    text = with_budgets("{per: 'tag:app', usd: 0.25/12h, of: [web], free: allow, on_error: closed}")
    [rule] = compiled(text).budgets
    assert rule == BudgetRule(
        0, "tag", "app", USD // 4, Period(12 * 3600), 1.0, "refuse", keeps_free=True, of=frozenset({"web"}), on_error="closed"
    )
    assert (rule.kind, str(rule)) == ("tag:app", "tag:app of web: 0.25/12h at 1 refuse")


@pytest.mark.parametrize(
    ("text", "nusd", "period"),
    [
        ("1/week", USD, Period(7 * 86_400, "week")),
        ("1000/month", 1000 * USD, Period(31 * 86_400, "month")),
        ("0.000000001/24h", 1, Period(86_400)),
        ("999999999.999999999/999d", 10**18 - 1, Period(999 * 86_400)),
    ],
)
def test_money_in_a_time(text: str, nusd: int, period: Period) -> None:
    [rule] = compiled(with_budgets(f"{{per: key, usd: {text}}}")).budgets
    assert (rule.limit_nusd, rule.period) == (nusd, period)
    assert str(rule) == f"key: {text} at 1 refuse".replace("24h", "1d")


@pytest.mark.parametrize("text", ["50", "0/day", "-1/day", "1/year", "1/0h", "1e3/day", "$5/day", "1/1000h", "1/day/day", "[1]"])
def test_money_that_is_none_is_refused(text: str) -> None:
    assert "an amount of US dollars in a time is expected" in only_problem(with_budgets(f"{{per: key, usd: {text}}}"))


def test_a_budget_that_names_someone_takes_the_place_of_the_one_for_each() -> None:
    rules = compiled(
        with_budgets(
            "{per: key, usd: 1/day}", "{per: key, usd: 9/day, of: [big]}", "{per: tag:a, usd: 1/day}", "{per: tag:b, usd: 2/day}"
        )
    ).budgets
    held = Rules(rules)
    assert held.of(Account(Family("key", None, DAY), "big")) == [rules[1]]
    assert held.of(Account(Family("key", None, DAY), "small")) == [rules[0]]
    assert held.of(Account(Family("tag", "b", DAY), "x")) == [rules[3]]
    assert held.of(Account(Family("team", None, DAY), "big")) == ()


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (["{per: route, of: [esy], usd: 1/day}"], "route 'esy' is not defined; did you mean 'easy'?"),
        (["{per: team, of: [a, b, a], usd: 1/day}"], "team 'a' is in this list already; remove it"),
        (["{per: gateway, of: [a], usd: 1/day}"], "there is one gateway, so nobody is to be named; remove `of`"),
        (["{per: key, usd: 1/day, then: {route: esy}}"], "route 'esy' is not defined; did you mean 'easy'?"),
        (["{per: key, usd: 1/day, then: {route: talk}}"], "route 'talk' is a FAQ, which does not answer everything"),
        (["{per: route, of: [easy], usd: 1/day, then: {route: easy}}"], "requests of route 'easy' are there already"),
        (["{per: key, usd: 1/day, then: alert, free: allow}"], "this budget only says that the money is spent, so `free` does"),
        (["{per: key, usd: 1/day, then: {route: easy}, free: allow}"], "this budget refuses nobody, so `free` does nothing"),
        (["{per: key, usd: 1/day, then: alert, on_error: closed}"], "so it cannot be closed; remove it, or write `then: refuse`"),
        (["{per: model, usd: 1/day}"], "`budgets[0].per` is 'model'; it must be key, team, route, gateway, or tag:NAME"),
        (["{per: 'tag:', usd: 1/day}"], "it must be key, team, route, gateway, or tag:NAME for each value of a tag"),
        (["{per: key, usd: 1/day, at: 0}"], "greater than 0"),
        (["{per: key, usd: 1/day, at: 1.1}"], "less than or equal to 1"),
        (["{per: key, usd: 1/day}", "{per: key, usd: 2/day, at: 0.5}"], "budgets[0] gives the same money another `usd`"),
        (
            ["{per: key, usd: 1/day, of: [a, b]}", "{per: key, usd: 1/day, of: [b]}"],
            "budgets[0] does the same; remove one of them",
        ),
        (
            ["{per: key, usd: 1/day, at: 0.5}", "{per: key, usd: 1/day, then: alert}"],
            "never reached: budgets[0] refuses from 0.5 on",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(rules: list[str], said: str) -> None:
    assert said in only_problem(with_budgets(*rules))


@pytest.mark.parametrize(
    "rules",
    [
        ["{per: key, usd: 1/day, then: alert}", "{per: key, usd: 1/day}"],
        ["{per: key, usd: 1/day, at: 0.5, free: allow}", "{per: key, usd: 1/day}"],
        ["{per: key, usd: 1/day}", "{per: key, usd: 5/week}", "{per: team, usd: 2/day}", "{per: key, usd: 9/day, of: [a]}"],
        ["{per: tag:a, usd: 1/day}", "{per: tag:b, usd: 2/day}"],
        ["{per: route, of: [direct, easy], usd: 1/day, then: {route: easy}}"],
    ],
)
def test_what_goes_together_is_taken(rules: list[str]) -> None:
    assert len(compiled(with_budgets(*rules)).budgets) == len(rules)


def test_money_that_cannot_be_counted_cannot_be_held() -> None:
    text = with_budgets("{per: team, usd: 1/day}", "{per: key, usd: 1/day}", text=SAMPLE)
    said = only_problem(text)
    assert "model 'small' has `price: unknown`, and budgets[0] cannot hold money that cannot be counted; give its price" in said
    assert f":{line_of(text, 'small: {')}:" in said
    elsewhere = with_budgets("{per: route, of: [tools], usd: 1/day}", text=SAMPLE)
    assert len(compiled(elsewhere).budgets) == 1, "no request of that route is sent to it"
    assert len(problems(with_budgets("{per: route, of: [rest], usd: 1/day}", text=SAMPLE))) == 1
    assert len(problems(with_budgets("{per: route, of: [direct], usd: 1/day}", text=SAMPLE))) == 1


def test_alerts_have_their_address_and_headers_from_the_environment() -> None:
    text = PRICED + 'alerts: {webhook: "${HOOK}", headers: {authorization: "Bearer ${TOKEN}"}}\n'
    alerts = compiled(text, {"HOOK": "https://hooks.example/T0/secret", "TOKEN": "t0k"}).alerts
    assert alerts is not None and alerts.unavailable is None
    assert (alerts.webhook, alerts.headers) == ("https://hooks.example/T0/secret", {"authorization": "Bearer t0k"})
    assert "secret" not in repr(alerts) and "t0k" not in repr(alerts)
    for env, unset in (({}, "HOOK"), ({"HOOK": "https://h"}, "TOKEN")):
        alerts = compiled(text, env).alerts
        assert alerts is not None and (alerts.webhook, alerts.unavailable) == ("", f"{unset} is not set")


@pytest.mark.parametrize("webhook", ["hooks.example/secret", "ftp://hooks/secret", "https:///secret", "${HOOK}"])
def test_an_address_that_is_none_is_refused_and_not_repeated(webhook: str) -> None:
    env = {"HOOK": "file:///secret"}
    [said] = problems(PRICED + f'alerts: {{webhook: "{webhook}"}}\n', env)
    assert "it is not an http:// or https:// address" in said and "secret" not in said


def test_a_variable_that_cannot_be_read_is_refused() -> None:
    assert "cannot read the variable" in only_problem(PRICED + 'alerts: {webhook: "https://h/${A B}"}\n')


def test_the_example_of_the_docs_compiles() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/budgets.md").read_text()
    found = re.search(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(compiled(PRICED + found[1], {"SLACK_WEBHOOK": "https://h/x"}).budgets) == 5
