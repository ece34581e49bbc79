"""The routing model: it learns, it is the same after saving, it takes any text and refuses what it cannot learn from."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.measure.routing_metrics import apgr
from classifiers.routing.arrays import from_arrays, settings_of, to_arrays
from classifiers.routing.calibrate_gain import calibrate_gain, probability
from classifiers.routing.fit import fit_routing
from classifiers.routing.model import RoutingModel, add_model
from classifiers.routing.near_duplicates import group_near_duplicates
from classifiers.text.difficulty import DIFFICULTY_NAMES, difficulty
from classifiers.text.embed import StaticEmbedder

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)  # lone surrogates included
THINGS = "apples lanterns kettles maps ropes coins tiles drums".split()
PLACES = "harbour orchard library mill station meadow".split()
# Chance that each model answers well, by whether the prompt takes steps and whether it is code.
SKILL = {
    "tiny": {"chat": 0.9, "steps": 0.1, "code": 0.1},
    "mid": {"chat": 0.9, "steps": 0.1, "code": 0.95},
    "large": {"chat": 0.9, "steps": 0.9, "code": 0.9},
}


def prompts(seed: int) -> Iterator[tuple[str, str]]:
    """Endless (kind, prompt): small talk, word problems and code."""
    draw = random.Random(seed)
    while True:
        thing, place, n = draw.choice(THINGS), draw.choice(PLACES), draw.randint(2, 90)
        kind = draw.choice(("chat", "steps", "code"))
        if kind == "chat":
            yield kind, f"Tell me something nice about {thing} at the {place} number {n}."
        elif kind == "steps":
            yield (
                kind,
                f"If the {place} has {n} {thing} and each day {n % 7 + 1} more are sold than bought, how many are left "
                f"after {n % 5 + 2} days, unless half of the rest are lost before?",
            )
        else:
            yield kind, f"Write a python function count_{thing}(x) that returns {n} when the {place} list is empty."


def rows_of(count: int, seed: int, names: tuple[str, ...] = ("tiny", "mid", "large")) -> list[dict[str, Any]]:
    draw = random.Random(seed + 1)
    return [
        {"prompt": prompt, "q": {name: float(draw.random() < SKILL[name][kind]) for name in names}}
        for kind, prompt in islice(prompts(seed), count)
    ]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder.load()


@pytest.fixture(scope="module")
def model(embedder: StaticEmbedder) -> RoutingModel:
    return fit_routing(rows_of(150, 1), "tiny", "large", seed=3, embedder=embedder).model


def test_prompts_that_gain_rank_first(model: RoutingModel) -> None:
    rows = rows_of(200, 50)
    found = model.score_many([row["prompt"] for row in rows])
    weak, strong = (np.array([row["q"][name] for row in rows]) for name in ("tiny", "large"))
    assert apgr(np.array([one.gain_rank for one in found]), weak, strong) > 0.62  # knowing the kinds gives about 0.66
    likely = np.array([one.p_strong for one in found])
    assert abs(likely.mean() - (strong > weak).mean()) < 0.1


def test_probability_rises_with_the_rank(model: RoutingModel) -> None:
    found = sorted(model.score_many([row["prompt"] for row in rows_of(80, 51)]), key=lambda one: one.gain_rank)
    likely = [one.p_strong for one in found]
    assert likely == sorted(likely) and 0 < likely[0] < likely[-1] < 1


def test_one_text_scores_as_in_a_batch(model: RoutingModel, embedder: StaticEmbedder) -> None:
    texts = [row["prompt"] for row in rows_of(20, 52)]
    assert model.score_many(texts) == [model.score(text) for text in texts]


def test_saved_and_loaded_it_scores_the_same(model: RoutingModel, embedder: StaticEmbedder) -> None:
    loaded = from_arrays(to_arrays(model), json.loads(json.dumps(settings_of(model))), embedder)
    texts = [row["prompt"] for row in rows_of(20, 53)]
    assert loaded.score_many(texts) == model.score_many(texts)


def test_same_rows_and_seed_give_the_same_arrays(model: RoutingModel, embedder: StaticEmbedder) -> None:
    again = to_arrays(fit_routing(rows_of(150, 1), "tiny", "large", seed=3, embedder=embedder).model)
    for name, array in to_arrays(model).items():
        assert np.array_equal(array, again[name]), name


@settings(max_examples=40, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_gets_finite_scores(model: RoutingModel, text: str) -> None:
    (found,) = model.score_many([text])
    assert np.isfinite(found.gain_rank) and 0 < found.p_strong < 1 and 0 <= found.familiarity <= 1
    assert set(found.quality) == set(SKILL) and all(0 <= value <= 1 for value in found.quality.values())


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT, ids=st.lists(st.integers(0, 31_999), max_size=30))
def test_every_text_has_finite_difficulty(text: str, ids: list[int]) -> None:
    row = difficulty(text, ids)
    assert row.shape == (len(DIFFICULTY_NAMES),) and np.isfinite(row).all()


def test_prompts_like_the_training_rows_are_familiar(model: RoutingModel) -> None:
    own = [one.familiarity for one in model.score_many([row["prompt"] for row in rows_of(60, 54)])]
    odd = [one.familiarity for one in model.score_many(["", "Ω≈ç√∫ 𝔘𝔫𝔦", "</html>\n" * 200, "SELECT 1;"])]
    assert np.median(own) > 0.25 > 0.05 > max(odd)


def test_longer_conditional_prompts_rank_higher_where_all_are_strange(model: RoutingModel) -> None:
    short = "Capital of Peru"
    long = (
        "The tenant may not sublet unless the owner agrees. If the owner does not answer, consent is never implied. "
        "Suppose she would agree after a delay, but not before. When could the tenant act without a breach, and until when?"
    )
    few, many = model.score_many([short, long])
    assert max(few.familiarity, many.familiarity) < 0.1
    assert many.gain_rank > few.gain_rank


def test_quality_is_near_what_each_model_reaches(model: RoutingModel) -> None:
    rows = rows_of(300, 55)
    found = model.score_many([row["prompt"] for row in rows])
    for name in SKILL:
        expected = np.mean([row["q"][name] for row in rows])
        assert abs(np.mean([one.quality[name] for one in found]) - expected) < 0.1, name


def test_cheapest_good_enough_model_does_not_collapse_to_one(model: RoutingModel) -> None:
    """Asked for 85 % of the best, small talk stays cheap, code goes to the middle and steps to the top."""
    by_kind: dict[str, list[str]] = {"chat": [], "steps": [], "code": []}
    for kind, prompt in islice(prompts(56), 150):
        quality = model.score_many([prompt])[0].quality
        bar = 0.85 * max(quality.values())
        by_kind[kind].append(next(name for name in SKILL if quality[name] >= bar))
    common = {kind: max(set(chosen), key=chosen.count) for kind, chosen in by_kind.items()}
    assert common == {"chat": "tiny", "steps": "large", "code": "mid"}


def test_newcomer_joins_from_a_handful_of_answers(model: RoutingModel) -> None:
    newcomer = [{"prompt": row["prompt"], "q": {"new": row["q"]["mid"]}} for row in rows_of(40, 57)]
    joined = add_model(model, newcomer, "new")
    assert joined.models == (*model.models, "new")
    rows = rows_of(200, 58)
    before, after = (one.score_many([row["prompt"] for row in rows]) for one in (model, joined))
    for old, new in zip(before, after, strict=True):
        assert new.gain_rank == old.gain_rank and new.p_strong == old.p_strong
        assert {name: new.quality[name] for name in old.quality} == pytest.approx(old.quality)
    guessed = np.array([one.quality["new"] for one in after])
    known = np.array([one.quality["mid"] for one in after])
    assert np.abs(guessed - known).mean() < 0.15
    assert np.corrcoef(guessed, known)[0, 1] > 0.7


def test_joining_again_replaces_the_weights(model: RoutingModel) -> None:
    poor = [{"prompt": row["prompt"], "q": {"mid": 0.0}} for row in rows_of(50, 59)]
    again = add_model(model, poor, "mid")
    assert sorted(again.models) == sorted(model.models)
    assert again.score_many(["Tell me a joke"])[0].quality["mid"] < 0.3


def test_newcomer_without_answers_is_refused(model: RoutingModel) -> None:
    with pytest.raises(ValueError, match="no row grades 'new'"):
        add_model(model, rows_of(5, 60), "new")


def test_topics_and_odd_rows_are_learned_from(embedder: StaticEmbedder) -> None:
    rows = [row | {"subject": "long" if len(row["prompt"]) > 90 else "short"} for row in rows_of(60, 61, ("tiny", "large"))]
    rows += [
        {"prompt": "", "q": {"tiny": 0.0, "large": 1.0}},
        {"prompt": "word " * 200_000, "q": {"tiny": 0.25, "large": 0.5}},
        {"prompt": "graded for one only", "q": {"large": 1.0}},
        {"prompt": "\ud800", "q": {"tiny": 0, "large": True}},
    ]
    told: list[tuple[int, int]] = []
    said = lambda done, total, what: told.append((done, total))  # noqa: E731
    fitted = fit_routing(rows, "tiny", "large", embedder=embedder, progress=said).model
    assert fitted.models == ("large", "tiny")
    assert told[0][0] == 0 and told[-1][0] == told[-1][1] and told == sorted(told)


def odd(**changed: Any) -> list[dict[str, Any]]:
    return [*rows_of(30, 62), {"prompt": "p", "q": {"tiny": 0, "large": 1}} | changed]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row grades both 'tiny' and 'large'; models graded: none"),
        (rows_of(30, 63, ("tiny", "mid")), "models graded: mid, tiny"),
        (rows_of(19, 64), "19 rows grade both"),
        ([row | {"q": {"tiny": 1, "large": 1}} for row in rows_of(30, 65)], "nowhere better"),
        (odd(q={"tiny": float("nan"), "large": 1}), "row 31: quality nan of 'tiny'"),
        (odd(q={"tiny": 0, "large": 1.5}), "row 31: quality 1.5 of 'large'"),
        (odd(q={"tiny": 0, "large": "1"}), "row 31: quality '1' of 'large'"),
        (odd(q=[1, 2]), "row 31: 'q' must map"),
        (odd(prompt=None), "row 31: 'prompt' must be a text"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(rows: list[dict[str, Any]], message: str, embedder: StaticEmbedder) -> None:
    with pytest.raises(ValueError, match=message):
        fit_routing(rows, "tiny", "large", embedder=embedder)


def test_one_model_twice_is_refused(embedder: StaticEmbedder) -> None:
    with pytest.raises(ValueError, match="both 'tiny'"):
        fit_routing(rows_of(30, 66), "tiny", "tiny", embedder=embedder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("roots", None, "arrays missing: roots"),
        ("landmark_weights", np.zeros((3, 1), np.float32), "landmark_weights has shape"),
        ("trait_bias", np.full(2, np.nan, np.float32), "trait_bias holds numbers that are not finite"),
        ("trait_scale", 0, "trait_scale must be above 0"),
        ("node_left", 0, "node_left must point"),
        ("node_feature", 30_000, "node_feature must be from 0"),
        ("roots", -1, "roots must be from 0"),
        ("calibration", -1, "calibration must not descend"),
        ("char_idf", -1, "char_idf must not be below 0"),
        ("mix", np.zeros(3, np.float32), "mix is float32 of 1 axes"),
    ],
)
def test_damaged_arrays_are_refused_by_name(model: RoutingModel, name: str, value: Any, message: str) -> None:
    arrays = to_arrays(model)
    if value is None:
        del arrays[name]
    elif isinstance(value, int):
        arrays[name] = arrays[name].copy()
        arrays[name][...] = value if name != "calibration" else np.arange(0, -arrays[name].size, -1).reshape(-1, 2)
    else:
        arrays[name] = value
    with pytest.raises(ValueError, match=message):
        from_arrays(arrays, settings_of(model), model.embedder)


@pytest.mark.parametrize("name", ["format", "embedder", "feature_names", "models", "weak"])
def test_other_settings_are_refused_by_name(model: RoutingModel, name: str) -> None:
    with pytest.raises(ValueError, match=f"setting {name}"):
        from_arrays(to_arrays(model), settings_of(model) | {name: "other"}, model.embedder)


def test_no_training_text_is_kept(model: RoutingModel) -> None:
    kept = b"".join(array.tobytes() for array in to_arrays(model).values()) + json.dumps(settings_of(model)).encode()
    assert b"lanterns" not in kept and b"orchard" not in kept
    assert all(array.dtype.kind in "fiu" for array in to_arrays(model).values())


def test_calibration_follows_a_bend_and_never_falls() -> None:
    draw = np.random.default_rng(4)
    gain = draw.uniform(-1, 1, 4_000)
    truth = np.where(gain > 0.2, 0.7, 0.1)  # no logistic curve has this step
    knots = calibrate_gain(gain, draw.random(4_000) < truth)
    found = [probability(knots, at) for at in np.linspace(-3, 3, 200)]
    assert found == sorted(found)
    assert abs(probability(knots, -0.5) - 0.1) < 0.06 and abs(probability(knots, 0.7) - 0.7) < 0.06


def test_calibration_of_noise_gives_the_mean() -> None:
    draw = np.random.default_rng(5)
    knots = calibrate_gain(draw.normal(size=50), draw.random(50) < 0.3)
    assert 0.1 < probability(knots, 0.0) < 0.55


def test_near_duplicates_share_a_group() -> None:
    base = list(range(100, 160))
    twin = [*base[:30], 7, *base[31:]]
    group = group_near_duplicates([base, twin, list(range(500, 560)), [], [], [3]])
    assert group[0] == group[1]
    assert len(set(group.tolist())) == 5


def test_a_changed_weight_changes_the_score(model: RoutingModel) -> None:
    moved = replace(model, trait_bias=model.trait_bias + np.float32(1))
    assert moved.score_many(["Hello"])[0].gain_rank == pytest.approx(model.score_many(["Hello"])[0].gain_rank + 1, abs=1e-5)


def test_serving_imports_no_training_library() -> None:
    code = "import sys, classifiers.routing.arrays; print(*[m for m in ('sklearn', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
