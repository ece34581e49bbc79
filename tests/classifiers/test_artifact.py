"""Artifacts: what is saved is what is loaded; anything damaged, changed or made for something else is refused."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.artifact import load_artifact, save_artifact
from classifiers.errors import ArtifactError
from classifiers.intents.artifact import load_intents
from classifiers.shipped.head import Head
from classifiers.store import CARD, CARD_TEXT, WEIGHTS
from classifiers.text.features import FEATURE_NAMES

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.fixture
def head(shipped) -> Head:
    return shipped.head


@pytest.fixture
def saved(tmp_path, head, embedder):
    save_artifact(tmp_path / "mine", {"name": "mine"}, head, embedder)
    return tmp_path / "mine"


def test_what_is_saved_is_what_is_loaded(tmp_path, head, embedder):
    made = save_artifact(tmp_path / "mine", {"name": "mine"}, head, embedder)
    loaded = load_artifact(tmp_path / "mine", embedder)
    texts = ["hello", "x = 1", ""]
    assert (loaded.name, loaded.version, loaded.classes_) == ("mine", made.version, ("skip", "small", "strong"))
    assert loaded.card == made.card
    assert (loaded.graded, loaded.weak, loaded.strong, loaded.seen) == ((), None, None, frozenset())
    assert np.array_equal(loaded.predict_proba(texts), made.predict_proba(texts))


def test_saving_twice_gives_the_same_bytes(tmp_path, saved, head, embedder):
    save_artifact(tmp_path / "again", {"name": "mine"}, head, embedder)
    for name in (WEIGHTS, CARD, CARD_TEXT):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_an_artifact_loads_its_own_embedder_if_none_is_given(saved, embedder):
    assert load_artifact(saved).embedder.name == embedder.name


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_probabilities_of_any_text_sum_to_one(shipped, text):
    scores = shipped.judge(text).classes
    assert tuple(scores) == shipped.classes_
    assert sum(scores.values()) == pytest.approx(1, abs=1e-9)
    assert all(0 <= score <= 1 for score in scores.values())


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_one_text_and_many_are_scored_alike(shipped, texts):
    rows = shipped.predict_proba(texts)
    assert rows.shape == (len(texts), len(shipped.classes_))
    for text, row in zip(texts, rows, strict=True):
        assert list(shipped.judge(text).classes.values()) == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped"])
def test_a_damaged_file_is_refused_by_name(saved, embedder, name, damage):
    path, content = saved / name, (saved / name).read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": content[:-20], "flipped": flipped}[damage])
    with pytest.raises(ArtifactError, match=rf"{name}.*(restore|train)"):
        load_artifact(saved, embedder)


def _rewrite(saved, **changes):
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(
    "changes",
    [{"made": "1999-01-01"}, {"classes": ["a", "b", "c"]}, {"weights_sha256": "0" * 64}, {"digest": "x"}, {"version": "x"}],
)
def test_a_changed_card_is_refused(saved, embedder, changes):
    _rewrite(saved, **changes)
    with pytest.raises(ArtifactError, match="digest"):
        load_artifact(saved, embedder)


def test_weights_of_another_artifact_are_refused(saved, tmp_path, head, embedder):
    other = Head.from_arrays({**head.arrays(), "bias": head.arrays()["bias"] + 1}, embedder)
    save_artifact(tmp_path / "other", {"name": "mine"}, other, embedder)
    shutil.copy(tmp_path / "other" / WEIGHTS, saved / WEIGHTS)
    with pytest.raises(ArtifactError, match="SHA-256"):
        load_artifact(saved, embedder)


def test_an_artifact_for_another_task_is_refused(saved, embedder):
    with pytest.raises(ArtifactError, match="made for routing, needed here is one for intent"):
        load_intents(saved, embedder)


def test_another_format_is_refused(saved, embedder):
    _rewrite(saved, format=99)
    with pytest.raises(ArtifactError, match="format 99"):
        load_artifact(saved, embedder)


def test_an_artifact_for_another_embedder_is_refused(saved, embedder):
    class Other:
        name, dim = "other-1", 256
        encode, encode_many = embedder.encode, embedder.encode_many

    with pytest.raises(ArtifactError, match=f"'{embedder.name}'.*'other-1'"):
        load_artifact(saved, Other())


def test_an_artifact_for_other_features_is_refused(saved, embedder, monkeypatch):
    monkeypatch.setattr("classifiers.store.FEATURE_NAMES", (*FEATURE_NAMES, "log_novelty"))
    with pytest.raises(ArtifactError, match="log_novelty"):
        load_artifact(saved, embedder)


def test_arrays_that_do_not_fit_are_refused_with_the_file(saved, embedder, monkeypatch):
    monkeypatch.setattr("classifiers.shipped.head.BITS", 15)
    with pytest.raises(ArtifactError, match=r"weights\.npz.*char_weight"):
        load_artifact(saved, embedder)


def test_a_card_that_is_nested_beyond_reading_is_refused(saved, embedder):
    (saved / CARD).write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="not JSON"):
        load_artifact(saved, embedder)


def test_pickled_arrays_are_never_read(tmp_path, saved, embedder):
    np.savez(saved / WEIGHTS, **{"head.bias": np.array([{}], dtype=object)})
    _sign(saved)
    with pytest.raises(ArtifactError, match="allow_pickle"):
        load_artifact(saved, embedder)


def _sign(saved):
    """A card that vouches for whatever weights lie beside it."""
    card = json.loads((saved / CARD).read_text())
    card["weights_sha256"] = hashlib.sha256((saved / WEIGHTS).read_bytes()).hexdigest()
    signed = {key: value for key, value in card.items() if key not in ("digest", "version")}
    card["digest"] = hashlib.sha256(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    card["version"] = card["digest"][:12]
    (saved / CARD).write_text(json.dumps(card))


def test_serving_imports_neither_the_trainer_nor_wordllama(default_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom classifiers.artifact import load_artifact\n"
        f"artifact = load_artifact(Path({str(default_path)!r}))\n"
        "artifact.judge('hello')\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    loaded = set(run.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"sklearn", "scipy", "joblib", "wordllama", "onnxruntime", "torch", "pandas", "gateway"}
