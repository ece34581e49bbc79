"""What a caller may use: no plan holds a model that is not allowed, and no restriction makes another route match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.compile import DIRECT, Policy
from gateway.policy.engine import decide
from gateway.policy.model import NOT_ALLOWED, Answer, Candidate, Decision, Denial, Facts, FactValue, Plan
from gateway.policy.permit import ANYTHING, NOTHING, Permit
from tests.policy import facts as sampled
from tests.policy import test_select as selecting
from tests.policy.sample import candidates, compiled

SPREAD = compiled("""version: 1
providers: {near: {kind: fake}}
models:
  a: {provider: near, id: a-1, price: {input: 1, output: 2}}
  b: {provider: near, id: b-1, price: {input: 1, output: 2}}
  c: {provider: near, id: c-1, price: {input: 1, output: 2}}
  d: {provider: near, id: d-1, price: {input: 1, output: 2}}
routes:
  - {name: even, when: {tag.way: even}, balance: [{model: a}, {model: b}], fallback: [c]}
  - {name: split, split: [{model: a, weight: 50}, {model: b, weight: 30}, {model: c, weight: 20}]}
""")
GLOBS = st.one_of(
    st.none(), st.lists(st.sampled_from(["*", "s*", "small", "strong", "backup", "a", "[bc]", "tiny", "m*", "nobody"]))
)
ROUTES = st.one_of(st.none(), st.lists(st.sampled_from(["*", DIRECT, "rest", "t*", "private", "climb", "even", "split"])))


def tuples(globs: list[str] | None) -> tuple[str, ...] | None:
    return None if globs is None else tuple(globs)


PERMITS = st.builds(Permit, GLOBS.map(tuples), ROUTES.map(tuples))
WAYS = st.sampled_from([{}, {"tag.way": "even"}])


def check(policy: Policy, facts: Facts, offered: dict[str, Candidate], draw: float, permit: Permit) -> None:
    free = decide(policy, facts, offered, draw)
    found = decide(policy, facts, offered, draw, permit=permit)
    if isinstance(found, Plan):
        assert all(permit.may_ask(model) for model in found.targets)
        assert permit.may_take(found.route)
        assert isinstance(free, Plan) and free.route == found.route, "the route is the one that it would be for anybody"
        assert set(found.accept) | set(found.rungs) <= set(found.targets)
        assert {model for model, why in found.left_out if why == NOT_ALLOWED} == {
            model for model, _ in found.left_out if not permit.may_ask(model)
        }
    elif isinstance(found, Answer):
        assert found == free and permit.may_take(found.route)
    elif found.status == 404:
        assert isinstance(free, Denial) and free.code == found.code
    else:
        assert permit != ANYTHING
        assert isinstance(free, Plan | Answer)


@given(sampled.FACTS, sampled.CANDIDATES, sampled.DRAWS, PERMITS)
def test_no_plan_holds_what_the_caller_may_not_use(
    facts: Facts, offered: dict[str, Candidate], draw: float, permit: Permit
) -> None:
    check(sampled.POLICY, facts, offered, draw, permit)


@given(selecting.ANY_FACTS, selecting.ANY_CANDIDATES, sampled.DRAWS, PERMITS)
def test_nor_one_of_a_cascade_a_choice_by_quality_or_a_conversation_that_is_held(
    facts: Facts, offered: dict[str, Candidate], draw: float, permit: Permit
) -> None:
    check(selecting.POLICY, facts, offered, draw, permit)


@given(st.sampled_from(["auto", "a", "d"]), WAYS, st.floats(0, 9), sampled.DRAWS, PERMITS)
def test_nor_one_that_spreads_requests(model: str, way: dict[str, FactValue], load: float, draw: float, permit: Permit) -> None:
    offered = {name: Candidate(name, "near", load=load * n) for n, name in enumerate(SPREAD.models)}
    check(SPREAD, Facts({"model": model, **way}), offered, draw, permit)


def decision(permit: Permit, policy: Policy = sampled.POLICY, draw: float = 0.0, **values: FactValue) -> Decision:
    facts: dict[str, FactValue] = {"model": "auto", **{name.replace("__", "."): value for name, value in values.items()}}
    return decide(policy, Facts(facts), candidates(policy), draw, permit=permit)


def test_a_model_that_is_not_allowed_is_left_out_as_one_that_is_away() -> None:
    found = decision(Permit(models=("small",)), has_tools=False, **{"class": "small"}, confidence=0.9)
    assert isinstance(found, Plan)
    assert (found.targets, found.left_out) == (("small",), (("strong", NOT_ALLOWED),))
    fallen = decision(Permit(models=("backup",)), has_tools=True)
    assert isinstance(fallen, Plan) and fallen.targets == ("backup",)
    assert fallen.compromise == f"strong is left out: {NOT_ALLOWED}"


def test_a_model_named_outright_that_is_not_allowed_is_refused_and_what_may_be_named_is_told() -> None:
    found = decision(Permit(models=("small", "b*")), model="strong")
    assert found == Denial("model_not_allowed", "your key may not use model 'strong'; it may name: auto, small, backup", "model")
    assert found.status == 403


def test_a_model_that_there_is_not_is_no_secret_and_the_others_are() -> None:
    found = decision(Permit(models=("small",)), model="no-such")
    assert isinstance(found, Denial) and found.code == "model_not_found"
    assert found.message.endswith("known: auto, small")


def test_a_route_with_no_model_that_is_allowed_is_refused() -> None:
    found = decision(Permit(models=("strong",)), pii=True)
    assert isinstance(found, Denial) and (found.code, found.status) == ("model_not_allowed", 403)
    assert found.message == "this request goes by route 'private', none of whose models your key may use"


def test_a_request_that_would_go_by_a_route_that_is_not_allowed_goes_by_no_other() -> None:
    """What `private` keeps at home must not go out because a key may not take `private`."""
    found = decision(Permit(routes=("tools", "rest")), pii=True, has_tools=True)
    assert isinstance(found, Denial) and (found.code, found.status) == ("route_not_allowed", 403)
    assert found.message == "this request goes by route 'private', which your key may not take"
    allowed = decision(Permit(routes=("tools", "rest")), pii=False, has_tools=True)
    assert isinstance(allowed, Plan) and allowed.route == "tools"


def test_a_forced_route_must_be_allowed() -> None:
    refused = decision(Permit(routes=("rest",)), forced_route="tools")
    assert isinstance(refused, Denial) and (refused.code, refused.status) == ("route_not_allowed", 403)
    taken = decision(Permit(routes=("rest",)), forced_route="rest")
    assert isinstance(taken, Plan) and taken.route == "rest"
    unknown = decision(Permit(routes=("rest",)), forced_route="nowhere")
    assert isinstance(unknown, Denial) and unknown.message.endswith("known: rest")


def test_naming_a_model_outright_is_a_route_too() -> None:
    refused = decision(Permit(routes=("rest",)), model="small")
    assert isinstance(refused, Denial) and (refused.code, refused.status) == ("route_not_allowed", 403)
    taken = decision(Permit(routes=(DIRECT,)), model="small")
    assert isinstance(taken, Plan) and taken.targets == ("small",)


def test_the_arms_that_are_allowed_share_the_requests_as_they_did() -> None:
    drawn = [decision(Permit(models=("b", "c")), SPREAD, (n + 0.5) / 1000) for n in range(1000)]
    first = [plan.targets[0] for plan in drawn if isinstance(plan, Plan)]
    assert (first.count("b"), first.count("c")) == (600, 400)
    last = decision(Permit(models=("b", "c")), SPREAD, 0.9999999999999999)
    assert isinstance(last, Plan) and last.targets == ("c",)


def test_of_equal_models_only_those_that_are_allowed_are_drawn() -> None:
    found = [decision(Permit(models=("b", "c")), SPREAD, n / 10, tag__way="even") for n in range(10)]
    assert {plan.targets for plan in found if isinstance(plan, Plan)} == {("b", "c")}


@pytest.mark.parametrize(
    ("permit", "model", "is_allowed"),
    [
        (ANYTHING, "x", True),
        (NOTHING, "x", False),
        (Permit(models=("gpt-*",)), "gpt-4o", True),
        (Permit(models=("gpt-*",)), "GPT-4o", False),
        (Permit(models=("a", "b")), "ab", False),
        (Permit(models=("a?",)), "ab", True),
        (Permit(models=("[ab]",)), "b", True),
        (Permit(models=("a.c",)), "abc", False),
    ],
)
def test_globs_are_those_of_conditions(permit: Permit, model: str, is_allowed: bool) -> None:
    assert permit.may_ask(model) is is_allowed
