"""The shipped classifier: it answers as the default policy expects, and its card tells the truth about itself."""

import hashlib
import json
import re

import pytest

from classifiers.card import render
from classifiers.shipped.sources import EXTRA, SMALL_TALK, SOURCES

ACCEPTANCE = [
    ("hi there!", "skip", 0.9),
    ("Prove that there are infinitely many primes of the form 4k+3.", "strong", 0.55),
    ("What is the capital of France?", "small", 0.55),
]
PARAPHRASES = [
    ("Hiya, you alright?", "skip", 0.55),
    ("hello there, friend", "skip", 0.55),
    ("heyyyyyy", "skip", 0.55),
    ("good morning :)", "skip", 0.55),
    ("thx a lot!!", "skip", 0.55),
    ("many thanks, bye!", "skip", 0.55),
    ("What's the capital of Kenya?", "small", 0.55),
    ("Translate 'good morning' to Spanish", "small", 0.55),
    ("Summarise this sentence: The train was late because of snow.", "small", 0.55),
    ("who wrote Pride and Prejudice?", "small", 0.55),
    ("I want to check my balance", "small", 0.55),
    ("Show that there are infinitely many primes of the form 6k+5.", "strong", 0.55),
    ("Design a lock-free hash map and explain its memory reclamation.", "strong", 0.55),
    ("Find the bug in this concurrent code: while(!ready); x = data;", "strong", 0.55),
    ("Derive the formula for the period of a pendulum without the small-angle approximation.", "strong", 0.55),
    ("Analyse whether this non-compete clause is enforceable under German law.", "strong", 0.55),
]
GREETED_TASKS = [
    "hi, prove that the sum of two even numbers is even",
    "Hi there! What is the capital of Portugal?",
    "hello, how do I cancel my order?",
    "good morning, my card was stolen",
    "thanks! and how far is the moon?",
    "hey, implement quicksort in Rust without recursion",
    "How are you? Please summarise the plot of Macbeth.",
    "thank you. now translate it to Polish",
]


@pytest.mark.parametrize(("text", "label", "confidence"), ACCEPTANCE + PARAPHRASES)
def test_acceptance_texts_and_paraphrases_get_the_right_class_with_confidence(shipped, text, label, confidence):
    scores = shipped.judge(text).classes
    assert max(scores, key=scores.__getitem__) == label
    assert scores[label] >= confidence


@pytest.mark.parametrize("text", GREETED_TASKS)
def test_a_greeting_before_a_task_is_not_small_talk(shipped, text):
    scores = shipped.judge(text).classes
    assert max(scores, key=scores.__getitem__) != "skip"
    assert scores["skip"] < 0.5


def _plain(text):
    return re.sub(r"[^a-z0-9 ]", "", text.casefold()).strip()


def test_none_of_these_texts_is_among_the_projects_own_training_rows():
    # The public sets cannot be checked here. One of them, CLINC150, does hold "hi there" among its greetings.
    rows = map(json.loads, EXTRA.read_text("utf-8").splitlines())
    trained = {_plain(row["text"]) for row in rows if row["split"] == "train"}
    tested = [text for text, *_ in ACCEPTANCE + PARAPHRASES] + GREETED_TASKS
    assert not trained & set(map(_plain, tested))


def test_the_projects_own_rows_are_unique_and_cover_each_class_in_both_splits():
    rows = [json.loads(line) for line in EXTRA.read_text("utf-8").splitlines()]
    assert len({row["text"].casefold() for row in rows}) == len(rows)
    assert {(row["label"], row["split"]) for row in rows} == {
        (label, split) for label in ("skip", "small", "strong") for split in ("train", "dev")
    }


def test_the_readable_card_is_the_card(default_path, shipped):
    assert (default_path / "card.md").read_text("utf-8") == render(shipped.card)
    assert shipped.version in (default_path / "card.md").read_text("utf-8")


def test_the_card_names_the_weights_that_lie_beside_it(default_path, shipped):
    content = (default_path / "weights.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == shipped.card["weights_sha256"]
    assert shipped.version == shipped.card["digest"][:12]
    assert len(content) < 1_100_000


def test_the_card_names_every_source_with_licence_and_hash(shipped):
    data = {row["name"]: row for row in shipped.card["data"]}
    assert set(data) == {source.name for source in SOURCES}
    for source in SOURCES:
        assert data[source.name]["licence"] == source.licence
        assert data[source.name]["weight"] == source.mass
        assert len(data[source.name]["sha256"]) == 64
        assert data[source.name]["train"] > data[source.name]["dev"] > 0
    assert sum(source.mass for source in SOURCES) == pytest.approx(1)
    assert data["own"]["sha256"] == hashlib.sha256(EXTRA.read_bytes()).hexdigest()


def test_the_cards_numbers_agree_with_one_another(shipped):
    metrics = shipped.card["metrics"]
    whole = metrics["all"]
    assert sum(map(sum, whole["confusion"])) == whole["rows"] == sum(row["dev"] for row in shipped.card["data"])
    assert [part["rows"] for part in whole["by_class"].values()] == [sum(row) for row in whole["confusion"]]
    for part in metrics["by_source"].values():
        right = sum(part["confusion"][i][i] for i in range(len(shipped.classes_)))
        assert part["accuracy"] == pytest.approx(right / part["rows"])
    assert shipped.card["comparison"][0]["accuracy"] == pytest.approx(whole["accuracy"], abs=1e-3)
    assert len(shipped.card["comparison"]) >= 2


def test_the_cards_numbers_for_the_projects_own_dev_rows_can_be_had_again(shipped):
    rows = [row for row in map(json.loads, EXTRA.read_text("utf-8").splitlines()) if row["split"] == "dev"]
    said = shipped.predict_proba([row["text"] for row in rows]).argmax(axis=1)
    right = sum(shipped.classes_[column] == row["label"] for column, row in zip(said, rows, strict=True))
    assert right / len(rows) == pytest.approx(shipped.card["metrics"]["by_source"]["own"]["accuracy"])


def test_it_is_calibrated_and_sure_small_talk_is_small_talk(shipped):
    metrics = shipped.card["metrics"]
    assert metrics["all"]["ece"] < 0.03
    assert set(metrics["ece_by_class"]) == set(shipped.classes_)
    assert max(metrics["ece_by_class"].values()) <= 0.03
    assert metrics["sure_skip"]["precision"] > 0.9


def test_answers_that_lean_on_the_turn_before_are_not_small_talk():
    assert not SMALL_TALK & {"yes", "no", "maybe", "cancel", "repeat"}
