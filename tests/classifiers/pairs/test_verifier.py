"""The shipped verifier: what it must serve, what it must not, and that nothing sent to it does harm."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import ArtifactError
from classifiers.pairs import store
from classifiers.pairs.blocks import static_embedder
from classifiers.pairs.model import NEVER
from classifiers.pairs.rules import CHARS_MAX
from classifiers.pairs.verifier import ARTIFACTS, VETOED, Verifier, shipped

ROOT = Path(__file__).resolve().parents[3]
BUDGET = 0.01
MUST_SERVE = [
    ("What are good walks near Bath?", "what are good walks near bath"),
    ("How do I prune a fig tree?", "HOW DO I PRUNE A FIG TREE?"),
    ("How do I prune a fig tree?", "How do I prune fig tree?"),
    ("How do I prune a fig tree?", "How do I prune the fig tree ?"),
    ("What is the melting point of tin?", "What's the melting point of tin?"),
    ("What is the melting point of tin?", "Hello! What is the melting point of tin?"),
    ("What is the melting point of tin?", "Tell me what is the melting point of tin?"),
    ("Which ferries go to Orkney in winter?", "Which ferries go to Orkney in winter? Thank you in advance."),
    ("Which ferries go to Orkney in winter?", "Which ferries go to Orkney in winter? Thanks!"),
    ("Why do swallows migrate every autumn?", "Quick question - why do swallows migrate every autumn?"),
    ("Why do swallows migrate every autumn?", "Why do swallows mirgate every autumn?"),
    ("What is the difference between a loch and a lake?", "What is the difference between a lake and a loch?"),
    ("Can I return a jacket without the receipt?", "can i return a jacket without the receipt"),
    ("Please cancel my order 4711", "please cancel my order 4711!"),
]
MUST_NOT_SERVE = [
    # number, unit, date
    ("Convert 30 miles to km", "Convert 31 miles to km"),
    ("Phones under 300 euros", "Phones under 3000 euros"),
    ("What happened in 1848?", "What happened in 1849?"),
    ("Is 5 mg of melatonin safe?", "Is 5 g of melatonin safe?"),
    # name
    ("What is the population of Peru?", "What is the population of Chile?"),
    ("How do I install Rust on Debian?", "How do I install Rust on Fedora?"),
    ("Who wrote Emma?", "Who wrote Persuasion?"),
    # negation
    ("Why should I not freeze cream?", "Why should I freeze cream?"),
    ("Which birds fly?", "Which birds don't fly?"),
    # opposites, comparatives
    ("How do I increase the font size?", "How do I decrease the font size?"),
    ("What is the cheapest way to Malta?", "What is the most expensive way to Malta?"),
    ("Is copper heavier than zinc?", "Is copper lighter than zinc?"),
    # order of arguments
    ("How far is it from Turin to Genoa?", "How much is a flight from Genoa to Turin?"),
    ("Convert euros to yen", "Convert yen to euros"),
    ("Is Anna taller than Berta?", "Is Berta taller than Anna?"),
    ("Did the fox chase the dog?", "Did the dog chase the fox?"),
    # another question of the same thing
    ("What is a mortgage?", "Why is a mortgage refused?"),
    ("Where is the Louvre?", "When does the Louvre open?"),
    ("How do I open an account?", "How do I delete an account?"),
    ("What does a heat pump cost?", "How does a heat pump work?"),
    # code, courtesy, other scripts
    ("How do I use os.path.join?", "How do I use os.path.split?"),
    ("Thanks", "Hello"),
    ("Hi, can you help me?", "Who are you?"),
    ("今天天气怎么样", "明天天气怎么样"),
    ("Wie alt ist Rom?", "Wie groß ist Rom?"),
]  # fmt: skip
HOSTILE = [
    "", " ", "?", "\x00", "\ud800", "\udfff" * 50, "a" * 4_000, "a " * 2_000, "😀" * 300, "'" * 500, "-" * 900, "1" * 3_000,
    "what's " * 500, "é\u0301" * 700, "𝕳𝖔𝖜", "<script>", "今天" * 400, "not " * 300, '"' * 801,
]  # fmt: skip


def score(a: str, b: str) -> float:
    embedder = static_embedder()
    (found,) = shipped("wordllama").scores(a, [b], [float(embedder.encode(a) @ embedder.encode(b))])
    return found


@pytest.mark.parametrize(("a", "b"), MUST_SERVE)
def test_a_harmless_rewording_is_served_at_the_default_budget(a: str, b: str) -> None:
    assert score(a, b) >= shipped("wordllama").bar(BUDGET)


@pytest.mark.parametrize(("a", "b"), MUST_NOT_SERVE)
def test_another_question_is_not_served_even_at_a_large_budget(a: str, b: str) -> None:
    assert score(a, b) < shipped("wordllama").bar(0.05)


def test_a_veto_stays_below_every_bar_and_keeps_the_order() -> None:
    verifier = shipped("wordllama")
    near, far = score("Flats in Ulm under 900 euros", "Flats in Ulm under 950 euros"), score("Flats in Ulm under 900 euros", "7")
    assert far < near <= VETOED < verifier.bar(0.5)


def test_scores_are_the_same_both_ways_again_and_in_any_company() -> None:
    verifier = shipped("wordllama")
    kept = [text for pair in MUST_SERVE[:5] for text in pair]
    cosines = [0.5 + 0.04 * i for i in range(len(kept))]
    asked = "How do I prune a fig tree?"
    together = verifier.scores(asked, kept, cosines)
    assert together == verifier.scores(asked, kept, cosines)
    for text, cosine, found in zip(kept, cosines, together, strict=True):
        assert verifier.scores(asked, [text], [cosine])[0] == pytest.approx(found, abs=1e-6)
        assert verifier.scores(text, [asked], [cosine])[0] == pytest.approx(found, abs=1e-6)
    assert verifier.scores(asked, [], []) == []


def test_the_same_text_is_certain() -> None:
    assert score("How do I prune a fig tree?", "How do I prune a fig tree?") == 1.0
    long = "word " * CHARS_MAX
    assert score(long, long.replace(" ", "  ")) == 1.0
    assert score(long, long + "more") < 0.01


def test_scores_tell_apart_what_they_rank() -> None:
    pairs = [*MUST_SERVE, *MUST_NOT_SERVE]
    scores = [score(a, b) for a, b in pairs]
    assert len({*scores}) > 0.9 * len(pairs)
    assert min(scores[: len(MUST_SERVE)]) > max(scores[len(MUST_SERVE) :]) + 0.2


def test_the_bar_rises_as_the_budget_falls() -> None:
    verifier = shipped("wordllama")
    bars = [verifier.bar(budget) for budget in (0.3, 0.1, 0.05, 0.03, 0.01, 0.0001)]
    assert bars == sorted(bars)
    assert verifier.bar(0.01) <= 1
    assert verifier.bar(0.0) == verifier.bar(float("nan")) == NEVER > 1


@pytest.mark.parametrize("a", HOSTILE)
def test_a_hostile_text_gets_a_score_in_bounded_time(a: str) -> None:
    began = time.thread_time()
    for b in (*HOSTILE, a + "x", "x " + a):
        assert 0 <= score(a, b) <= 1
    assert time.thread_time() - began < 5


def test_a_megabyte_is_not_read() -> None:
    began = time.thread_time()
    for text in ("x" * 1_000_000, "how " * 250_000):
        assert score(text, "How do I prune a fig tree?") < 0.01
        assert score(text, text + "!") < 0.01
    assert time.thread_time() - began < 2


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_have_a_score(a: str, b: str) -> None:
    assert 0 <= score(a, b) <= 1


def test_threads_may_share_it() -> None:
    pairs = [*MUST_SERVE, *MUST_NOT_SERVE] * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda pair: score(*pair), pairs)) == [score(a, b) for a, b in pairs]


def test_an_artifact_survives_being_written_again(tmp_path: Path) -> None:
    first = shipped("wordllama")
    card, arrays = store.read(ARTIFACTS / "pairs-wordllama")
    kept = {name: value for name, value in card.items() if name not in ("digest", "version", "format", "weights_sha256")}
    store.write(tmp_path / "again", arrays, kept, "wordllama")
    again = Verifier.load(tmp_path / "again")
    asked, kept_text = MUST_SERVE[0]
    assert again.scores(asked, [kept_text], [0.9]) == first.scores(asked, [kept_text], [0.9])
    assert (again.name, again.bar(0.03)) == (first.name, first.bar(0.03))
    card["name"] = "other"
    store.write(tmp_path / "other", arrays, {k: v for k, v in card.items() if k in (*kept, "name")}, "wordllama")
    assert Verifier.load(tmp_path / "other").name != first.name


def test_a_damaged_artifact_says_so(tmp_path: Path) -> None:
    card, arrays = store.read(ARTIFACTS / "pairs-wordllama")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Verifier.load(tmp_path)
    for broken, words in (
        ({name: array for name, array in arrays.items() if name != "line"}, "not the arrays of a verifier"),
        (arrays | {"line": arrays["line"][1:]}, "other columns"),
        (arrays | {"line": arrays["line"] * np.nan}, "no finite numbers"),
    ):
        store.write(tmp_path, broken, {"name": "x", "columns": card["columns"]}, "wordllama")
        with pytest.raises(ArtifactError, match=words):
            Verifier.load(tmp_path)
    whole = json.loads((tmp_path / "card.json").read_text("utf-8"))
    (tmp_path / "card.json").write_text(json.dumps(whole | {"name": "y"}), "utf-8")
    with pytest.raises(ArtifactError, match="digest"):
        Verifier.load(tmp_path)
    with pytest.raises(ArtifactError, match="made for"):
        Verifier.load(ARTIFACTS / "default")


def test_serving_needs_numpy_alone() -> None:
    code = (
        "import sys; from classifiers.pairs.verifier import shipped; shipped('wordllama').scores('a b', ['a c'], [0.5]);"
        "print(*[m for m in ('sklearn', 'scipy', 'joblib', 'onnxruntime', 'wordllama') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_the_artifact_holds_no_text() -> None:
    _, arrays = store.read(ARTIFACTS / "pairs-wordllama")
    assert {array.dtype.kind for array in arrays.values()} <= set("fiu")
