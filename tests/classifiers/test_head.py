"""The head: what is stored is what answers, whatever it is asked, and arrays that do not fit are refused by name."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.shipped.calibrate import Calibration
from classifiers.shipped.head import BITS, CLASSES, PARTS, Head, view
from classifiers.shipped.head_fit import HashedLogistic, Table
from classifiers.text.features import FEATURE_NAMES, features
from classifiers.text.ngrams import char_ngrams, token_ngrams
from classifiers.text.normalise import normalise
from classifiers.text.scan import windowed

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(3)
    p, f = len(PARTS), len(FEATURE_NAMES)
    return {
        "embedding_weight": rng.normal(size=(256, p)).astype(np.float16),
        "feature_weight": (rng.normal(size=(f, p)) / 10).astype(np.float16),
        "char_weight": rng.normal(size=(2**BITS, p)).astype(np.float16),
        "token_weight": rng.normal(size=(2**BITS, p)).astype(np.float16),
        "bias": rng.normal(size=p).astype(np.float32),
        "feature_mean": rng.normal(size=f).astype(np.float32),
        "feature_scale": rng.uniform(0.5, 2, f).astype(np.float32),
        "sharpness": np.array([0.7], np.float32),
        "class_bias": np.array([0.2, -0.1, -0.1], np.float32),
    }


@pytest.fixture(scope="module")
def head(arrays, embedder):
    return Head.from_arrays(arrays, embedder)


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_any_text_gets_probabilities_that_sum_to_one(head, text):
    found = head.probabilities(text)
    assert found.shape == (3,)
    assert found.dtype == np.float64
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert (found >= 0).all()


def test_what_is_stored_is_what_answers(head, embedder):
    again = Head.from_arrays(head.arrays(), embedder)
    for text in ("", "hello", "x = 1\n" * 900, "ｆｕｌｌ width"):
        assert np.array_equal(again.probabilities(text), head.probabilities(text))
    assert {name: array.dtype for name, array in again.arrays().items()} == {
        name: array.dtype for name, array in head.arrays().items()
    }


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def unit(counts):
    weights = np.log1p(counts)
    return weights / max(np.linalg.norm(weights), 1e-12)


@pytest.mark.parametrize(
    "text", ["", "Hi!", "Prove that 7 is prime:\n- by hand\n- heyyy", "é ٣ ²", "the river. " * 250, "²" * 3_001]
)
def test_it_answers_what_its_arrays_say(head, arrays, embedder, text):
    seen = normalise(windowed(text))
    ids = embedder.token_ids(seen)
    ids = np.concatenate((ids[:384], ids[-128:])) if len(ids) > 512 else ids
    hand = np.clip((features(seen) - arrays["feature_mean"]) / arrays["feature_scale"], -4, 4)
    logits = arrays["bias"] + embedder.encode_ids(ids) @ arrays["embedding_weight"] + hand @ arrays["feature_weight"]
    for (buckets, counts), table in (
        (char_ngrams(seen, (3, 4, 5), BITS), arrays["char_weight"]),
        (token_ngrams(ids, (1, 2), BITS), arrays["token_weight"]),
    ):
        logits = logits + unit(counts) @ table[buckets].astype(np.float64)
    skip, command, question, strong = softmax(logits)
    classes = np.array([skip, command + question, strong])
    expected = softmax(arrays["sharpness"] * np.log(np.maximum(classes, 1e-12)) + arrays["class_bias"])
    assert head.probabilities(text) == pytest.approx(expected, abs=2e-5)


def test_many_texts_get_what_each_gets_alone(head):
    texts = ["hi", "", "prove it"]
    assert np.array_equal(head.predict_proba(texts), np.stack([head.probabilities(text) for text in texts]))
    assert head.predict_proba([]).shape == (0, 3)


def test_form_that_a_reader_does_not_see_changes_nothing(head):
    assert np.array_equal(head.probabilities("Is  THIS one\u200b text?"), head.probabilities("is this one text?"))


def test_the_end_of_a_long_text_counts_and_its_middle_does_not(head):
    filler = "the river is wide and slow. " * 2_000
    whole = head.probabilities(filler)
    assert not np.array_equal(head.probabilities(filler + "Now prove Fermat's last theorem."), whole)
    middle = len(filler) // 2
    assert np.array_equal(head.probabilities(f"{filler[:middle]}{'lemma ' * 14}{filler[middle + 84 :]}"), whole)


def test_a_text_of_megabytes_costs_no_more_than_one_of_pages(head):
    for unit in ("word ", "é", "a\u0301\u0323", "\ud800", "　"):
        text = unit * (2_000_000 // len(unit))
        begun = time.thread_time()
        head.probabilities(text)
        assert time.thread_time() - begun < 0.1, unit


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("bias", np.full(len(PARTS), np.nan, np.float32)),
        ("bias", np.zeros(len(PARTS), np.int64)),
        ("feature_scale", np.zeros(len(FEATURE_NAMES), np.float32)),
        ("sharpness", np.zeros(1, np.float32)),
        ("char_weight", np.zeros((2**BITS, 3), np.float16)),
        ("token_weight", np.full((2**BITS, len(PARTS)), np.inf, np.float16)),
        ("embedding_weight", np.zeros((255, len(PARTS)), np.float16)),
        ("class_bias", np.zeros(4, np.float32)),
    ],
)
def test_unusable_arrays_are_refused_by_name(arrays, embedder, name, array):
    with pytest.raises(ValueError, match=name):
        Head.from_arrays({**arrays, name: array}, embedder)


def test_a_missing_array_is_named(arrays, embedder):
    with pytest.raises(ValueError, match="missing: token_weight"):
        Head.from_arrays({name: array for name, array in arrays.items() if name != "token_weight"}, embedder)


def test_what_was_fitted_is_what_is_served_and_it_learned_the_parts(embedder):
    taught = {
        "skip": [f"good {time} friend number {n}" for n in range(12) for time in ("morning", "night")],
        "command": [f"turn on lamp {n} in the {room}" for n in range(12) for room in ("hall", "attic")],
        "question": [f"what is the capital of {land} {n}" for n in range(12) for land in ("Peru", "Chad")],
        "strong": [f"prove lemma {n} about {what}" for n in range(12) for what in ("rings", "groups")],
    }
    texts = [text for mine in taught.values() for text in mine]
    table = Table.of([view(text, embedder) for text in texts])
    learner = HashedLogistic(C=10).fit(table, [part for part, mine in taught.items() for _ in mine])
    calibration = Calibration(0.8, np.array([0.1, 0.0, -0.1]))
    head = learner.head(calibration, embedder)
    wanted = calibration.apply(np.log(learner.predict_proba(table)))
    assert head.predict_proba(texts) == pytest.approx(wanted, abs=5e-3)  # weights are stored in half precision
    unseen = {"good evening friend": "skip", "turn on lamp 40": "small", "what is the capital of Oman": "small",
              "prove lemma 90 about fields": "strong"}  # fmt: skip
    for text, label in unseen.items():
        assert CLASSES[head.probabilities(text).argmax()] == label


def test_serving_a_head_imports_no_trainer():
    code = "import sys, classifiers.shipped.head\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert not set(run.stdout.split()) & {"sklearn", "scipy", "wordllama", "gateway"}
