"""Cascades in a policy: what is refused with its line, what a rung can save, and the plan that comes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.catalog import TokenPrice
from gateway.policy.compile import Policy
from gateway.policy.engine import decide
from gateway.policy.model import EXPECTED_TOKENS_OUT, AcceptRule, Agreement, Calibration, Facts, Plan, Saving
from tests.policy.sample import candidates, compiled, only_problem, problems

BASE = """version: 1
providers:
  near: {kind: fake}
  claude: {kind: anthropic, api_key: k}
models:
  tiny: {provider: near, id: t, price: {input: 1, output: 2}}
  middle: {provider: near, id: m, price: {input: 4, output: 8}}
  big: {provider: near, id: b, price: {input: 10, output: 20}, context: 1000}
  free: {provider: near, id: f, price: {input: 0, output: 0}}
  dark: {provider: near, id: d, price: unknown}
  haiku: {provider: claude, id: h, price: {input: 1, output: 5}}
routes:
"""
PLAIN = """  - name: rest
    cascade:
      - {model: tiny, accept: {confidence: ">=0.8", min_chars: 1}}
      - {model: big}
    fallback: [middle]
"""
WEIGHTS = {"mean_logprob": 1.5, "lowest_window": 0.5, "margin": 0, "log_tokens": -0.25}
MINE = json.dumps({"bias": 0.5, "weights": WEIGHTS, "card": {"made": "today"}}, indent=1)


def cascade(*rungs: str, more: str = "") -> str:
    return BASE + f"  - {{name: rest, cascade: [{', '.join(rungs)}]{more}}}\n"


def plan(policy: Policy, tokens_in: int = 10, **unavailable: str) -> Plan:
    decision = decide(policy, Facts({"model": "auto", "tokens_in": tokens_in}), candidates(policy, unavailable), 0.5)
    assert isinstance(decision, Plan)
    return decision


def test_a_cascade_becomes_a_plan() -> None:
    made = plan(compiled(BASE + PLAIN))
    assert made.targets == ("tiny", "big", "middle")
    assert made.rungs == ("tiny", "big")
    assert made.accept == {"tiny": AcceptRule(confidence=0.8, min_chars=1)}
    assert (made.wanted, made.left_out, made.compromise, made.decided_by) == ("tiny", (), None, "rule:rest")


def test_a_rung_that_cannot_be_asked_is_left_out_like_any_target() -> None:
    made = plan(compiled(BASE + PLAIN), tiny="KEY is not set")
    assert (made.targets, made.rungs, made.accept) == (("big", "middle"), ("big",), {})
    assert made.left_out == (("tiny", "KEY is not set"),)
    assert made.compromise == "tiny is left out: KEY is not set"


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        (["{model: tiny}", "{model: big}"], "'tiny' has no `accept`, so what follows is never asked"),
        (["{model: tiny, accept: {}}", "{model: big, accept: {}}"], "'big' is the last rung, its answer always stands"),
        (["{model: tiny, accept: {}}", "{model: tiny}"], "model 'tiny' is in this cascade already"),
        (["{model: tiny, accept: {}}", "{model: bigg}"], "model 'bigg' is not defined; did you mean 'big'?"),
        (["{model: haiku, accept: {margin: \">=1\"}}", "{model: big}"], "kind `anthropic`, whose API gives no log-probabilities"),
        (["{model: tiny, accept: {min_chars: 9, max_chars: 8}}", "{model: big}"], "no answer has at least 9 and at most 8"),
        (["{model: tiny, accept: {calibration: mine.json}}", "{model: big}"], "no effect without `confidence`"),
        (["{model: tiny, accept: {confidence: \">=0.8\", calibration: no.json}}", "{model: big}"],
         "cannot read calibration file 'no.json': No such file or directory"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_line(rungs: list[str], said: str) -> None:
    (found,) = problems(cascade(*rungs), files={"mine.json": MINE})
    assert found.startswith("p.yaml:13: ")
    assert said in found


def test_agreement_needs_no_log_probabilities() -> None:
    assert problems(cascade("{model: haiku, accept: {agreement: {samples: 2}}}", "{model: big}")) == []


def test_a_calibration_file_is_read_and_part_of_the_hash() -> None:
    text = cascade('{model: tiny, accept: {confidence: ">=0.8", calibration: mine.json}}', "{model: big}")
    policy = compiled(text, files={"mine.json": MINE})
    rule = policy.routes[0].cascade[0][1]
    assert rule is not None
    assert rule.calibration == Calibration("mine.json", (1.5, 0.5, 0.0, -0.25), 0.5)
    assert policy.routes[0].calibrations == ("mine.json",)
    curved = json.dumps({**json.loads(MINE), "curve": [[-1, 0.1], [2.5, 0.9]]})
    rule = compiled(text, files={"mine.json": curved}).routes[0].cascade[0][1]
    assert rule is not None and rule.calibration is not None
    assert rule.calibration.curve == ((-1, 0.1), (2.5, 0.9))
    other = compiled(text, files={"mine.json": MINE.replace("today", "yesterday")})
    assert other.hash != policy.hash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bias": "x"}, "mine.json:1: `bias`"),
        ({"weights": {}}, "mine.json:"),
        ({"weights": {**WEIGHTS, "margin": float("inf")}}, "mine.json:"),
        ({"slope": 1}, "mine.json:"),
        ({"curve": [[0, 0.5, 1]]}, "mine.json:"),
        ({"curve": [[0, 0.5], [1, 0.4]]}, "mine.json:"),
        ({"curve": [[1, 0.5], [0, 0.6]]}, "mine.json:"),
        ({"curve": [[0, 0.5], [1, 1.4]]}, "mine.json:"),
    ],
)
def test_a_calibration_file_that_is_none_is_refused_with_its_line(change: dict[str, Any], said: str) -> None:
    text = cascade('{model: tiny, accept: {confidence: ">=0.8", calibration: mine.json}}', "{model: big}")
    found = problems(text, files={"mine.json": json.dumps({**json.loads(MINE), **change})})
    assert found and all(p.startswith(said) for p in found)


def test_a_confidence_that_the_calibration_never_says_is_refused() -> None:
    text = cascade('{model: tiny, accept: {confidence: ">=0.95", calibration: mine.json}}', "{model: big}")
    curved = json.dumps({**json.loads(MINE), "curve": [[-1, 0.1], [2.5, 0.9]]})
    (found,) = problems(text, files={"mine.json": curved})
    assert found == "p.yaml:13: no answer reaches 0.95: by 'mine.json' 0.9 is the highest"
    assert problems(text.replace("0.95", "0.9"), files={"mine.json": curved}) == []


def test_a_rule_reads_as_in_the_policy() -> None:
    rule = AcceptRule(confidence=0.8, margin=1.5, min_chars=1, agreement=Agreement(3, 0.6), valid_json=False)
    assert str(rule) == "confidence >= 0.8, margin >= 1.5, min_chars 1, agreement 0.6 of 3, no_refusal, no_repetition"
    assert str(AcceptRule(valid_json=False, no_refusal=False, no_repetition=False)) == "ends well"


# What it costs.


def test_savings_are_against_the_last_rung_by_the_token() -> None:
    three = "{model: tiny, accept: {agreement: {samples: 3}}}"
    policy = compiled(cascade(three, "{model: middle, accept: {}}", "{model: big}"))
    tiny, middle, big = (policy.models[name].price for name in ("tiny", "middle", "big"))
    assert isinstance(tiny, TokenPrice) and isinstance(middle, TokenPrice) and isinstance(big, TokenPrice)
    assert policy.routes[0].savings == {"tiny": Saving(tiny, big, 3), "middle": Saving(middle, big, 1)}


@pytest.mark.parametrize(
    ("rungs", "asked"),
    [
        (["{model: tiny, accept: {}}", "{model: big}"], ("tiny", "big")),
        (["{model: middle, accept: {agreement: {samples: 2}}}", "{model: big}"], ("middle", "big")),
        (["{model: middle, accept: {agreement: {samples: 3}}}", "{model: big}"], ("big",)),
        (["{model: big, accept: {}}", "{model: tiny}"], ("tiny",)),
        (["{model: big, accept: {}}", "{model: free}"], ("big", "free")),
        (["{model: free, accept: {agreement: {samples: 5}}}", "{model: tiny}"], ("free", "tiny")),
        (["{model: big, accept: {}}", "{model: dark}"], ("big", "dark")),
        (["{model: dark, accept: {}}", "{model: tiny}"], ("dark", "tiny")),
    ],
)
def test_a_rung_that_cannot_save_anything_is_left_out(rungs: list[str], asked: tuple[str, ...]) -> None:
    made = plan(compiled(cascade(*rungs)))
    assert made.targets == asked
    assert made.wanted == asked[0]
    assert made.compromise is None  # nobody misses it
    if len(asked) == 1:
        assert made.left_out[0][1] == f"asking it costs as much as '{asked[0]}' for this request, so it cannot save anything"


def test_without_the_last_rung_a_dear_one_is_asked_all_the_same() -> None:
    policy = compiled(cascade("{model: middle, accept: {agreement: {samples: 3}}}", "{model: big}"))
    assert plan(policy, big="KEY is not set").targets == ("middle",)


def test_which_is_dearer_may_depend_on_the_length_of_the_request() -> None:
    # Cheaper to read, dearer to write.
    text = BASE.replace("{input: 4, output: 8}", "{input: 1, output: 30}")
    policy = compiled(text + "  - {name: rest, cascade: [{model: middle, accept: {}}, {model: big}]}\n")
    assert plan(policy, tokens_in=10).targets == ("big",)
    assert plan(policy, tokens_in=900).targets == ("middle", "big")
    assert "tokens_in" in policy.needs


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(1, 5), st.integers(0, 10**6))
def test_a_saving_is_what_is_left_of_the_last_rungs_price(read: int, write: int, last: int, times: int, tokens_in: int) -> None:
    rung, dear = TokenPrice(read, write, read, read, "test"), TokenPrice(last, last, last, last, "test")
    left = (last - times * read) * tokens_in + (last - times * write) * EXPECTED_TOKENS_OUT
    assert Saving(rung, dear, times).is_any(tokens_in) == (left > 0)


def test_a_saving_knows_what_long_requests_cost() -> None:
    text = BASE.replace(
        "price: {input: 4, output: 8}", "price: {input: 4, output: 8, tiers: [{above: 500, input: 40, output: 80}]}"
    )
    policy = compiled(text + "  - {name: rest, cascade: [{model: middle, accept: {}}, {model: big}]}\n")
    assert plan(policy, tokens_in=500).targets == ("middle", "big")
    assert plan(policy, tokens_in=501).targets == ("big",)


def test_one_problem_is_told_once() -> None:
    assert "accept.confidence" in only_problem(cascade("{model: tiny, accept: {confidence: 2}}", "{model: big}"))
