"""From log-probabilities to a probability, and fitting what turns one into the other."""

import json
import math
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.cascade.confidence import (
    LOGPROB_MIN,
    ConfidenceModel,
    Measures,
    TokenChance,
    bounded,
    measure,
    read_model,
    read_off,
    shipped_model,
)
from classifiers.cascade.confidence_fit import fit_confidence
from classifiers.errors import ArtifactError


def chances(*logprobs: float, lead: float | None = 1.0) -> list[TokenChance]:
    return [TokenChance(logprob, lead) for logprob in logprobs]


def test_measures_of_a_few_tokens() -> None:
    found = measure([TokenChance(-0.1, 3.0), TokenChance(-0.3, 1.0), TokenChance(-0.2, None)])
    assert found is not None
    assert found.mean_logprob == pytest.approx(-0.2)
    assert found.lowest_window == pytest.approx(-0.2)  # fewer tokens than a window
    assert found.margin == pytest.approx(2.0)
    assert found.tokens == 3


def test_the_lowest_window_finds_a_doubtful_place_in_a_fluent_answer() -> None:
    found = measure(chances(*[0.0] * 20, -5.0, -5.0, *[0.0] * 20))
    assert found is not None
    assert found.lowest_window == pytest.approx(-2.0)
    assert found.mean_logprob == pytest.approx(-10 / 42)


def test_no_tokens_are_no_measures_and_no_alternatives_no_margin() -> None:
    assert measure([]) is None
    found = measure(chances(-1.0, lead=None))
    assert found is not None and found.margin is None
    assert shipped_model().confidence(found) is None


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40))
def test_whatever_a_server_writes_the_measures_are_finite(logprobs: list[float]) -> None:
    found = measure([TokenChance(p, 0.5) for p in logprobs])
    assert found is not None
    assert all(LOGPROB_MIN - 1e-9 <= x <= 1e-9 for x in (found.lowest_window, found.mean_logprob))
    confidence = shipped_model().confidence(found)
    assert confidence is not None and 0 <= confidence <= 1


def test_bounds_of_a_logprob() -> None:
    assert [bounded(x) for x in (-9999.0, -3.4e38, -math.inf, math.nan, 0.1, -1.5)] == [LOGPROB_MIN] * 4 + [0.0, -1.5]


def test_shipped_model_trusts_likely_answers_more_than_unlikely_ones() -> None:
    sure, unsure = Measures(-0.05, -0.15, 5.0, 8), Measures(-2.0, -3.5, 0.5, 8)
    model = shipped_model()
    high, low = model.confidence(sure), model.confidence(unsure)
    assert high is not None and low is not None
    assert high > 0.75 and low < 0.3


def test_extreme_odds_do_not_overflow() -> None:
    model = ConfidenceModel((1e6, 0.0, 0.0, 0.0), 0.0)
    assert model.confidence(Measures(-20.0, -20.0, 0.0, 1)) == 0.0
    assert ConfidenceModel((0.0, 0.0, 1e6, 0.0), 0.0).confidence(Measures(0.0, 0.0, 20.0, 1)) == 1.0


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"bias": 1, "weights": {}}', '{"bias": "x", "weights": {"mean_logprob": 1}}', "nonsense", '{"bias": NaN}'],
)
def test_what_is_no_model_is_refused_by_name(text: str) -> None:
    with pytest.raises(ArtifactError, match="mine"):
        read_model(text, "mine.json")


def test_weights_that_are_not_finite_are_refused() -> None:
    weights = {"mean_logprob": 1, "lowest_window": 1, "margin": 1, "log_tokens": float("nan")}
    with pytest.raises(ArtifactError, match="finite"):
        read_model(json.dumps({"bias": 0, "weights": weights}), "mine.json")


def test_a_curve_is_read_off_between_its_points_and_level_beyond() -> None:
    curve = ((-1.0, 0.2), (0.0, 0.4), (2.0, 0.9))
    found = [read_off(curve, z) for z in (-9.0, -1.0, -0.5, 0.0, 1.0, 2.0, 9.0)]
    assert found == pytest.approx([0.2, 0.2, 0.3, 0.4, 0.65, 0.9, 0.9])
    model = ConfidenceModel((1.0, 0.0, 0.0, 0.0), 0.0, curve)
    assert model.confidence(Measures(-0.5, -0.5, 1.0, 3)) == pytest.approx(0.3)


@pytest.mark.parametrize("curve", [[[0, 0.5], [0, 0.6]], [[0, 0.5], [1, 0.4]], [[0, 1.5]], [[float("nan"), 0.5]]])
def test_a_curve_that_does_not_rise_is_refused(curve: list[list[float]]) -> None:
    fields = {"bias": 0, "weights": dict.fromkeys(("mean_logprob", "lowest_window", "margin", "log_tokens"), 0), "curve": curve}
    with pytest.raises(ArtifactError, match="curve"):
        read_model(json.dumps(fields), "mine.json")


def test_serving_needs_neither_numpy_nor_sklearn() -> None:
    code = "import sys, classifiers.cascade.confidence as c; c.shipped_model(); print(*{'numpy', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# Fitting.


def graded(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Answers that are right with a probability that their mean decides."""
    draw = random.Random(seed)
    rows = []
    for n in range(count):
        mean = -draw.expovariate(1.0)
        row = {
            "mean_logprob": mean,
            "lowest_window": mean - draw.random(),
            "margin": draw.uniform(0, 4),
            "tokens": draw.randint(1, 90),
            "right": int(draw.random() < 1 / (1 + math.exp(-(2 + 3 * mean)))),
            "group": n // 2,
        }
        rows.append(row)
    return rows


def test_a_fit_finds_what_the_answers_were_made_by() -> None:
    fit = fit_confidence(graded(2000))
    assert fit.rows == 2000
    assert fit.ece < 0.05
    assert fit.auc > 0.75
    sure = fit.model.confidence(Measures(-0.01, -0.3, 2.0, 20))
    unsure = fit.model.confidence(Measures(-2.0, -2.3, 2.0, 20))
    assert sure == pytest.approx(1 / (1 + math.exp(-1.97)), abs=0.08)
    assert unsure is not None and unsure < 0.1


@pytest.mark.parametrize(("rows", "has_curve"), [(200, False), (300, True)])
def test_what_is_fitted_is_read_back(rows: int, has_curve: bool) -> None:
    fit = fit_confidence(graded(rows))
    assert bool(fit.model.curve) is has_curve
    read = read_model(json.dumps({**fit.as_json(), "card": {"purpose": "a test"}}), "mine.json")
    seen = Measures(-0.4, -1.0, 1.5, 12)
    assert read.confidence(seen) == pytest.approx(fit.model.confidence(seen), abs=1e-4)


def test_the_same_rows_and_seed_give_the_same_fit() -> None:
    assert fit_confidence(graded(200), seed=3) == fit_confidence(graded(200), seed=3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"right": 2}, "row 1: `right` is 2"),
        ({"right": None}, "row 1: `right`"),
        ({"margin": None}, "row 1: mean_logprob"),
        ({"mean_logprob": float("nan")}, "row 1: mean_logprob"),
        ({"mean_logprob": "-1"}, "row 1: mean_logprob"),
        ({"tokens": 0}, "tokens 1 or more"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(change: dict[str, Any], said: str) -> None:
    rows = graded(100)
    with pytest.raises(ValueError, match=said):
        fit_confidence([{**rows[0], **change}, *rows[1:]])


def test_too_little_to_learn_from_is_said() -> None:
    with pytest.raises(ValueError, match="at least 40 rows"):
        fit_confidence(graded(30))
    all_right = [{**row, "right": 1} for row in graded(100)]
    with pytest.raises(ValueError, match="100 rows, 100 of them right"):
        fit_confidence(all_right)
    one_question = [{**row, "group": row["right"]} for row in graded(100)]
    with pytest.raises(ValueError, match="grade answers to more questions"):
        fit_confidence(one_question)
