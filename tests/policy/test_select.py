"""Choosing by predicted quality, and staying with a model: within the route, whatever is known, whoever is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.affinity import Pinned
from gateway.policy.compile import Policy
from gateway.policy.engine import FORCED, decide
from gateway.policy.explain import explain
from gateway.policy.model import Answer, Candidate, Denial, Facts, FactValue, Plan, SelectRule
from gateway.policy.select import choose
from tests.policy.sample import candidates, compiled, line_of, only_problem

TEXT = """version: 1
providers:
  near: {kind: fake}
  far: {kind: fake}
models:
  tiny: {provider: near, id: tiny-1, price: {input: 0.1, output: 0.2}, context: 2000}
  middle: {provider: far, id: middle-1, price: {input: 1, cached_input: 0.1, output: 2}}
  large: {provider: far, id: large-1, price: {input: 3, cached_input: 0.3, output: 15}}
  other: {provider: far, id: other-1, price: {input: 3, output: 15}}
classifier: {}
routes:
  - {name: private, when: {pii: true}, model: tiny}
  - {name: climb, when: {tag.way: climb}, cascade: [{model: tiny, accept: {min_chars: 1}}, {model: large}]}
  - name: stairs
    when: {tag.way: stairs}
    cascade:
      - {model: tiny, accept: {min_chars: 1}}
      - {model: middle, accept: {min_chars: 9}}
      - {model: large}
    fallback: [other]
  - {name: trial, when: {tag.way: trial}, split: [{model: middle, weight: 1}, {model: large, weight: 1}], fallback: [other]}
  - name: rest
    select: cheapest-above-quality
    models: [tiny, middle, large]
    quality: 0.9
    fallback: [other]
"""
POLICY = compiled(TEXT)
POLICY = replace(
    POLICY,
    routes=tuple(replace(r, select=replace(r.select, bar=0.8)) if r.select is not None else r for r in POLICY.routes),
)
RULE = SelectRule(("tiny", "middle", "large"), bar=0.8)
GOOD = {"quality.tiny": 0.5, "quality.middle": 0.8, "quality.large": 0.9}


def plan(values: Mapping[str, FactValue], draw: float = 0.0, policy: Policy = POLICY, **away: str) -> Plan:
    found = decide(policy, Facts({"model": "auto", **values}), candidates(policy, away), draw)
    assert isinstance(found, Plan)
    return found


# Which one.


@pytest.mark.parametrize(
    ("tiny", "middle", "large", "model"),
    [
        (0.9, 0.9, 0.9, "tiny"),
        (0.72, 0.8, 0.9, "tiny"),
        (0.71, 0.8, 0.9, "middle"),
        (0.1, 0.2, 0.9, "large"),
        (0.9, 0.2, 0.1, "tiny"),
    ],
)
def test_the_cheapest_that_is_near_enough_to_the_best(tiny: float, middle: float, large: float, model: str) -> None:
    found = plan({"quality.tiny": tiny, "quality.middle": middle, "quality.large": large})
    assert found.targets == (model, "other")
    quality = {"tiny": tiny, "middle": middle, "large": large}[model]
    assert found.decided_by == f"quality:{model}@{quality:.2f}"
    assert found.wanted == model


def test_the_story_tells_the_predictions_and_what_is_enough() -> None:
    assert plan(GOOD).choice == "predicted quality tiny 0.50, middle 0.80, large 0.90; 0.72 is enough"


def test_one_that_is_away_drops_out_and_the_next_good_enough_one_is_asked() -> None:
    found = plan(GOOD, middle="KEY is not set")
    assert found.targets == ("large", "other")
    assert found.compromise == "middle is left out: KEY is not set"


def test_an_outage_lowers_no_bar() -> None:
    # Of those that are left, tiny would be near enough to the best; the best of the route is what counts.
    found = plan({"quality.tiny": 0.6, "quality.middle": 0.7, "quality.large": 0.9}, large="KEY is not set")
    assert found.targets == ("middle", "other")
    assert found.compromise == "large is left out: KEY is not set"


def test_a_model_that_cannot_hold_the_request_drops_out() -> None:
    found = plan({"quality.tiny": 0.9, "quality.middle": 0.9, "quality.large": 0.9, "tokens_in": 3_000})
    assert found.targets == ("middle", "other")
    assert "do not fit" in str(found.compromise)


def test_with_all_of_them_away_the_fallback_is_asked() -> None:
    found = plan(GOOD, tiny="down", middle="down", large="down")
    assert found.targets == ("other",)
    assert found.compromise == "middle is left out: down"


@pytest.mark.parametrize(("reason", "by"), [("timeout", "quality:large(timeout)"), (None, "quality:large(unknown)")])
def test_without_a_prediction_the_dearest_is_asked_and_says_so(reason: str | None, by: str) -> None:
    found = plan({"class_reason": reason} if reason else {})
    assert (found.targets[0], found.decided_by) == ("large", by)
    assert "the dearest, to be safe" in str(found.choice)
    assert plan({}, large="down").targets == ("middle", "other")


def test_a_forced_route_chooses_too_and_is_told_as_forced() -> None:
    found = plan({**GOOD, FORCED: "rest"})
    assert (found.targets[0], found.decided_by) == ("middle", "forced:rest")


@given(
    st.dictionaries(st.sampled_from(["quality.tiny", "quality.middle", "quality.large"]), st.floats(0, 1)),
    st.sets(st.sampled_from(["tiny", "middle", "large"])),
    st.floats(0, 1),
)
def test_the_choice_is_always_one_that_can_be_asked(qualities: dict[str, FactValue], askable: set[str], bar: float) -> None:
    found = choose(replace(RULE, bar=bar), Facts({"model": "auto", **qualities}), askable)
    assert found.model in (askable or RULE.models)
    assert found.quality == qualities.get(f"quality.{found.model}")


# Staying.


def pin(model: str, by: str = "session", cached: int = 0, new: int = 100, out: int = 100) -> dict[str, FactValue]:
    return Pinned(model, by, cached, new, out).facts()  # type: ignore[arg-type]


def test_a_session_stays_where_the_move_would_cost_its_cache() -> None:
    found = plan({**GOOD, **pin("large", cached=40_000)})
    assert (found.targets, found.decided_by) == (("large", "middle", "other"), "session:large")
    assert (found.wanted, found.compromise) == ("large", None)
    assert "40000 tokens still cached" in str(found.choice)


def test_a_session_moves_where_the_move_pays_or_quality_asks_for_it() -> None:
    assert plan({**GOOD, **pin("large", new=40_000)}).decided_by == "quality:middle@0.80"
    dearer = plan({**GOOD, **pin("tiny", cached=1_500)})
    assert dearer.decided_by == "quality:middle@0.80"
    assert "the policy wants the dearer one" in str(dearer.choice)


def test_a_pin_that_changes_nothing_is_not_named() -> None:
    assert plan({**GOOD, **pin("middle", cached=40_000)}).decided_by == "quality:middle@0.80"


@pytest.mark.parametrize("by", ["session", "tool-loop"])
def test_a_private_route_beats_the_pin(by: str) -> None:
    found = plan({"pii": True, **pin("large", by, cached=40_000)})
    assert (found.targets, found.decided_by) == (("tiny",), "rule:private")


@pytest.mark.parametrize("by", ["session", "tool-loop"])
def test_a_pinned_model_that_cannot_be_asked_holds_nothing(by: str) -> None:
    assert plan({**GOOD, **pin("large", by, cached=40_000)}, large="down").targets == ("middle", "other")
    long = plan({"quality.tiny": 0.1, "quality.middle": 0.9, "quality.large": 0.9, "tokens_in": 3_000, **pin("tiny", by)})
    assert long.targets[0] == "middle"


@pytest.mark.parametrize("draw", [0.1, 0.9])
def test_a_tool_loop_stays_with_its_model_in_a_split_and_the_arm_comes_next(draw: float) -> None:
    arm = "middle" if draw < 0.5 else "large"
    found = plan({"tag.way": "trial", **pin("other", "tool-loop")}, draw)
    assert (found.targets, found.decided_by) == (("other", arm), "tool-loop:other")


@pytest.mark.parametrize("model", ["tiny", "large"])
def test_a_tool_loop_does_not_climb(model: str) -> None:
    found = plan({"tag.way": "climb", **pin(model, "tool-loop")})
    assert (found.targets[0], found.decided_by) == (model, f"tool-loop:{model}")
    assert model not in found.accept
    assert plan({"tag.way": "climb"}).accept.keys() == {"tiny"}


def test_a_session_goes_on_at_its_rung_and_climbs_from_there() -> None:
    found = plan({"tag.way": "stairs", **pin("middle", cached=40_000, new=0, out=0)})
    assert (found.targets, found.decided_by) == (("middle", "large", "other", "tiny"), "session:middle")
    assert found.accept.keys() == {"tiny", "middle"}, "its answer is judged as before"
    assert found.rungs == ("middle", "large")
    top = plan({"tag.way": "stairs", **pin("large", "tool-loop")})
    assert top.targets == ("large", "other", "tiny", "middle")
    gone = plan({"tag.way": "stairs", **pin("middle", new=40_000)})
    assert (gone.targets[0], gone.decided_by) == ("tiny", "rule:stairs"), "cold, it begins at the bottom again"


def test_a_tool_loop_in_the_middle_of_a_cascade_is_not_judged_and_falls_upwards() -> None:
    found = plan({"tag.way": "stairs", **pin("middle", "tool-loop")})
    assert (found.targets, found.accept.keys(), found.rungs) == (("middle", "large", "other", "tiny"), {"tiny"}, ())


def test_a_model_named_outright_is_that_model_whatever_is_pinned() -> None:
    assert plan({"model": "tiny", **pin("large", "tool-loop")}).targets == ("tiny",)


# Whatever the facts.

NAMES = list(POLICY.models)
ANY_FACTS = st.fixed_dictionaries(
    {"model": st.sampled_from(["auto", "tiny", "nothing"])},
    optional={
        FORCED: st.sampled_from(["private", "climb", "trial", "rest", "nowhere"]),
        "pii": st.booleans(),
        "tag.way": st.sampled_from(["climb", "trial"]),
        "class_reason": st.sampled_from(["timeout", "unfamiliar"]),
        "tokens_in": st.integers(0, 4_000),
        "pinned": st.sampled_from([*NAMES, "gone"]),
        "pinned.by": st.sampled_from(["session", "tool-loop"]),
        "pinned.cached_tokens": st.integers(0, 100_000),
        "pinned.new_tokens": st.integers(0, 100_000),
        "pinned.output_tokens": st.integers(0, 10_000),
        **{f"quality.{name}": st.floats(0, 1) for name in NAMES},
    },
).map(Facts)
ANY_CANDIDATES = st.fixed_dictionaries(
    {
        m.name: st.builds(
            Candidate, st.just(m.name), st.just(m.provider), st.sampled_from([None, 1_000]), st.sampled_from([None, "down"])
        )
        for m in POLICY.models.values()
    }
)


@given(ANY_FACTS, ANY_CANDIDATES, st.floats(0, 1, exclude_max=True))
def test_every_request_gets_a_decision_within_its_route(facts: Facts, offered: dict[str, Candidate], draw: float) -> None:
    found = decide(POLICY, facts, offered, draw)
    assert found == decide(POLICY, Facts(dict(facts.values)), dict(offered), draw)
    marked = [t.route for t in explain(POLICY, facts) if t.matched]
    if isinstance(found, Denial):
        assert marked == []
        return
    assert not isinstance(found, Answer)
    asked, left_out = set(found.targets), {name for name, _ in found.left_out}
    assert len(asked) == len(found.targets)
    assert not asked & left_out
    assert found.wanted in asked | left_out
    assert all(offered[name].unavailable is None for name in found.targets)
    assert found.accept.keys() <= asked
    if found.route == "direct":
        assert (marked, asked) == ([], asked & {"tiny"})
    else:
        (route,) = [r for r in POLICY.routes if r.name == found.route]
        assert marked == [route.name]
        assert asked <= set(route.models)


# What the file must say.


def test_the_list_goes_from_the_cheapest_to_the_dearest() -> None:
    text = TEXT.replace("models: [tiny, middle, large]", "models: [tiny, large, middle]")
    line = line_of(text, "models: [tiny, large")
    assert only_problem(text) == (
        f"p.yaml:{line}: `models` goes from the cheapest to the dearest, but 'large' costs more than 'middle'; put it after"
    )


def test_a_list_names_each_model_once() -> None:
    assert "'tiny' is in this list already" in only_problem(TEXT.replace("[tiny, middle, large]", "[tiny, tiny, large]"))


@pytest.mark.parametrize("price", ["unknown", "{input: 2, output: 1}"])
def test_prices_that_do_not_say_which_is_cheaper_leave_the_order_to_the_file(price: str) -> None:
    text = TEXT.replace("price: {input: 1, cached_input: 0.1, output: 2}", f"price: {price}")
    assert compiled(
        text.replace("[tiny, middle, large]", "[middle, tiny, large]" if price == "unknown" else "[tiny, middle, large]")
    )
