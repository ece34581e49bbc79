"""The intent model: learns toy intents, refuses what it does not know, and scores alike before and after it was stored."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.intents.arrays import from_arrays, to_arrays
from classifiers.intents.fit import fit_intents
from classifiers.intents.model import EVIDENCE, OOS, IntentModel
from classifiers.intents.views import Vocabulary, find, view
from classifiers.text.embed import StaticEmbedder

THINGS = ("parcel", "order", "package", "delivery", "box", "shipment", "letter", "envelope")
PEOPLE = ("plumber", "gardener", "painter", "roofer", "carpenter", "tiler", "cleaner", "locksmith")
FRAMES = {
    "track": [f"where is my {thing} now" for thing in THINGS] + [f"has the {thing} left the depot" for thing in THINGS],
    "return": [f"send the {thing} back for a refund" for thing in THINGS] + [f"how do i return a {thing}" for thing in THINGS],
    "book": [f"book a {who} for monday" for who in PEOPLE] + [f"i need a {who} to come by" for who in PEOPLE],
    "price": [f"what does a {who} charge per hour" for who in PEOPLE] + [f"how dear is a {who}" for who in PEOPLE],
    "thanks": ["thanks a lot", "thank you so much", "cheers mate", "many thanks", "that was kind, thanks", "great, thank you"],
    "hello": ["hello there", "hi", "hey you", "good morning", "hello again", "hi there friend"],
    "bye": ["goodbye", "bye for now", "see you later", "bye bye", "so long, goodbye", "farewell then"],
}
ROWS = [{"text": text, "intent": intent} for intent, texts in FRAMES.items() for text in texts]
OUTSIDE = (
    "who won the cup in ninety eight", "write a poem on rivers", "is the moon made of rock", "sort these numbers",
    "why do cats purr", "the capital of peru", "name a noble gas", "explain compound interest", "how tall are giraffes",
)  # fmt: skip


@pytest.fixture(scope="module")
def model(embedder: StaticEmbedder) -> IntentModel:
    return fit_intents(ROWS, seed=3, embedder=embedder)


@pytest.fixture(scope="module")
def refusing(embedder: StaticEmbedder) -> IntentModel:
    return fit_intents([*ROWS, *({"text": text, "intent": OOS} for text in OUTSIDE)], seed=3, embedder=embedder)


def test_names_the_intents_without_the_out_of_scope_class(model: IntentModel, refusing: IntentModel) -> None:
    assert model.intents == refusing.intents == tuple(sorted(FRAMES))
    assert refusing.classes == (*sorted(FRAMES), OOS)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("where is my parcel at the moment", "track"),
        ("please send this box back, I want a refund", "return"),
        ("book me an electrician for tuesday", "book"),
        ("what would a roofer charge", "price"),
        ("thank you very much", "thanks"),
    ],
)
def test_texts_it_never_saw_get_their_intent(model: IntentModel, text: str, intent: str) -> None:
    assert model.score(text).intent == intent


@pytest.mark.parametrize(
    "text", ["WHERE IS MY PARCEL NOW", "where  is\nmy parcel now???", "ｗｈｅｒｅ is my parcel now", "Where is my parcel now."]
)
def test_case_spacing_and_punctuation_change_nothing(model: IntentModel, text: str) -> None:
    assert model.score(text) == model.score("where is my parcel now")


def test_an_out_of_scope_text_is_trusted_less_and_never_named_oos(refusing: IntentModel) -> None:
    inside = [refusing.score(text).confidence for texts in FRAMES.values() for text in texts[:4]]
    outside = [refusing.score(text) for text in ("who invented the radio", "write a poem on mountains", "name a rare metal")]
    assert max(one.confidence for one in outside) < np.quantile(inside, 0.25)
    assert all(one.intent != OOS for one in outside)


def test_refusing_is_learned_without_out_of_scope_rows(model: IntentModel) -> None:
    known = np.mean([model.score(text).confidence for text in ("where is the letter now", "i need a tiler to come by")])
    foreign = np.mean([model.score(text).confidence for text in OUTSIDE])
    assert foreign < known - 0.2


def test_fits_the_same_for_the_same_rows_and_seed(model: IntentModel, embedder: StaticEmbedder) -> None:
    ours, settings_ours = to_arrays(model)
    again, settings_again = to_arrays(fit_intents(ROWS, seed=3, embedder=embedder))
    assert settings_ours == settings_again
    assert all(np.array_equal(ours[name], again[name]) for name in ours)


def test_scores_alike_after_it_was_stored(refusing: IntentModel, embedder: StaticEmbedder) -> None:
    arrays, stored = to_arrays(refusing)
    back = from_arrays(arrays, json.loads(json.dumps(stored)), embedder)
    texts = [*(row["text"] for row in ROWS), *OUTSIDE, "", "never seen at all"]
    assert back.score_many(texts) == refusing.score_many(texts)


def test_many_texts_score_as_each_of_them(model: IntentModel) -> None:
    texts = [*OUTSIDE, "", "hello there"]
    assert model.score_many(texts) == [model.score(text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_has_a_finite_score(model: IntentModel, text: str) -> None:
    one = model.score(text)
    assert one.intent in model.intents
    assert 0 < one.confidence < 1


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\ud800", "a\udfffb", "x" * 1_000_000, "word " * 200_000, "▁▁ ▁", "'", "日本語 のテキスト"]
)
def test_odd_texts_have_a_score(model: IntentModel, text: str) -> None:
    assert 0 < model.score(text).confidence < 1


@pytest.mark.parametrize(
    "text", ["hello, could you please tell me where is my parcel now? thanks", "Where is my parcel now, please"]
)
def test_courtesies_do_not_change_the_intent(model: IntentModel, text: str) -> None:
    assert model.score(text).intent == "track"


def test_a_group_of_intents_has_the_odds_of_all_its_members(model: IntentModel) -> None:
    talk = ("thanks", "hello", "bye")
    rest = [name for name in model.intents if name not in talk]
    assert model.log_odds("hello and thank you", talk) > 1 > -1 > model.log_odds("where is my parcel now", talk)
    assert model.log_odds("hi there", rest) == pytest.approx(-model.log_odds("hi there", talk))


@pytest.mark.parametrize(
    ("group", "message"), [((), "some of the classes"), (tuple(FRAMES), "not all"), (("fly",), "no such intent: fly")]
)
def test_a_group_that_makes_no_question_is_refused(model: IntentModel, group: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.log_odds("hello", group)


def test_a_model_of_two_intents_tells_them_apart(embedder: StaticEmbedder) -> None:
    rows = [row for row in ROWS if row["intent"] in ("thanks", "bye")]
    two = fit_intents(rows, embedder=embedder)
    assert [two.score(text).intent for text in ("thanks again", "bye then")] == ["thanks", "bye"]


def test_rows_and_progress_are_told_to_the_end(embedder: StaticEmbedder) -> None:
    told: list[tuple[int, int, str]] = []
    fit_intents(ROWS[:24], embedder=embedder, progress=lambda done, total, what: told.append((done, total, what)))
    assert [done for done, _, _ in told] == list(range(told[-1][1] + 1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "two intents or more"),
        ([{"text": "a", "intent": "x"}, {"text": "b", "intent": "x"}, {"text": "c", "intent": OOS}], "the rows have x"),
        ([*ROWS, {"text": "a", "intent": "lonely"}], "there is one of lonely"),
        ([*ROWS, {"text": 3, "intent": "track"}], r"row \d+: `text` is 3"),
        ([*ROWS, {"text": "a"}], "`intent` is None"),
        ([*ROWS, {"text": "a", "intent": ""}], "`intent` is empty"),
        ([{"text": " ", "intent": name} for name in "aabb"], "no words"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(
    embedder: StaticEmbedder, rows: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_intents(rows, embedder=embedder)


def _damaged(arrays: dict[str, np.ndarray], name: str) -> list[tuple[str, np.ndarray]]:
    array = arrays[name]
    damages = [("shape", array[:-1] if array.ndim == 1 else array[:, :-1])]
    if array.dtype.kind == "f":
        damages.append(("not finite", np.full_like(array, np.nan)))
    return damages


def test_damaged_arrays_are_refused_by_name(model: IntentModel, embedder: StaticEmbedder) -> None:
    arrays, stored = to_arrays(model)
    partner = {"rarity_words": "rarity_weight", "word_buckets": "word_", "char_buckets": "char_"}
    for name in arrays:
        with pytest.raises(ValueError, match=f"array {name} is missing"):
            from_arrays({key: value for key, value in arrays.items() if key != name}, stored, embedder)
        for reason, damaged in _damaged(arrays, name):
            # A shortened list of hashes is as good as another; then the arrays beside it no longer fit.
            with pytest.raises(ValueError, match=f"array {partner.get(name, name)}.*{reason}"):
                from_arrays({**arrays, name: damaged}, stored, embedder)
    with pytest.raises(ValueError, match="array word_buckets is not ascending"):
        from_arrays({**arrays, "word_buckets": arrays["word_buckets"][::-1]}, stored, embedder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", ["a", "a"]),
        ("classes", ["a", OOS]),
        ("classes", [OOS, "a", "b"]),
        ("width", 0),
        ("unknown", None),
        ("layout", {}),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    model: IntentModel, embedder: StaticEmbedder, name: str, value: object
) -> None:
    arrays, stored = to_arrays(model)
    with pytest.raises(ValueError, match=f"setting {name}"):
        from_arrays(arrays, {**stored, name: value}, embedder)


def test_no_word_of_the_training_texts_is_in_the_settings_and_no_array_holds_text(model: IntentModel) -> None:
    arrays, stored = to_arrays(model)
    assert "parcel" not in json.dumps(stored)
    assert {array.dtype.kind for array in arrays.values()} <= {"f", "u"}
    assert len(arrays["trust"]) == len(EVIDENCE) + 1


def test_known_ngrams_are_found_and_others_are_not() -> None:
    known = np.array([2, 5, 9], np.uint32)
    at, is_known = find(known, np.array([9, 3, 2, 10], np.uint32))
    assert at.tolist() == [2, 0]
    assert is_known.tolist() == [True, False, True, False]
    vocabulary = Vocabulary(known, np.ones(3, np.float32))
    at, weight = vocabulary.weigh((np.array([2, 3, 9], np.uint32), np.ones(3, np.float32)))
    assert at.tolist() == [0, 2]
    assert weight == pytest.approx([0.5**0.5] * 2)


def test_each_word_has_one_vector_however_often_it_is_said(embedder: StaticEmbedder) -> None:
    seen = view("Row, row, row your boat: GENTLY rebooking!", embedder)
    assert seen.vectors.shape == (5, embedder.dim)
    assert np.allclose(seen.vectors[3], embedder.encode("gently"), atol=1e-6)


def test_serving_imports_no_training_library() -> None:
    code = "import sys, classifiers.intents.arrays; print(*[m for m in ('sklearn', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
