"""Save and load a trained classifier without pickle, and score texts with it.

An artifact is a directory: `weights.npz` (plain arrays), `card.json` (what it is, what it learned from, how it
measures) and `card.md` (the same to read). One digest covers weights and card, so neither changes unnoticed.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Embedder, Probabilities, Vector
from classifiers.card import render
from classifiers.embed import StaticEmbedder
from classifiers.errors import ArtifactError
from classifiers.features import FEATURE_NAMES, features
from classifiers.linear import LinearModel

FORMAT: Final = 1
WEIGHTS: Final = "weights.npz"
CARD: Final = "card.json"
CARD_TEXT: Final = "card.md"
VERSION_CHARS: Final = 12
UNSIGNED: Final = frozenset(("digest", "version"))
REMEDY: Final = "restore the directory or train it anew with python -m classifiers.train"


class Artifact:
    """A fitted classifier with its card. Safe to share between threads: nothing changes after construction."""

    def __init__(self, model: LinearModel, card: dict[str, Any], embedder: Embedder) -> None:
        """card: as `save_artifact` wrote it. embedder: the one the card names."""
        self.card: Final = card
        self.name: Final[str] = card["name"]
        self.version: Final[str] = card["version"]
        self.classes: Final[tuple[str, ...]] = tuple(card["classes"])
        self.embedder: Final = embedder
        self._model = model

    @property
    def classes_(self) -> tuple[str, ...]:
        return self.classes

    def score(self, text: str, embedding: Vector) -> dict[str, float]:
        """Calibrated probability of each class, summing to 1. embedding: (256,), what `embedder.encode(text)` gave."""
        probabilities = self._model.probabilities(embedding, features(text))
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        """(n,) texts to (n, k) calibrated probabilities; rows sum to 1, columns as `classes`."""
        if not len(X):
            return np.zeros((0, len(self.classes)))
        return self._model.probabilities(self.embedder.encode_many(X), np.stack([features(text) for text in X]))


def save_artifact(path: Path, model: LinearModel, card: dict[str, Any], embedder: Embedder) -> Artifact:
    """Write the directory `path` (made if missing) and return what `load_artifact` would.

    card: must hold `name` and `classes`; format, feature names, embedder, hashes and version are added here.
    """
    path.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **model.arrays())
    weights = buffer.getvalue()
    whole = {
        **json.loads(json.dumps(card, allow_nan=False)),
        "format": FORMAT,
        "feature_names": list(FEATURE_NAMES),
        "embedder": embedder.name,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    digest = _digest(whole)
    whole |= {"digest": digest, "version": digest[:VERSION_CHARS]}
    (path / WEIGHTS).write_bytes(weights)
    (path / CARD).write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (path / CARD_TEXT).write_text(render(whole), "utf-8")
    return Artifact(model, whole, embedder)


def load_artifact(path: Path, embedder: Embedder | None = None) -> Artifact:
    """The classifier in the directory `path`. embedder: shared with others, or None to load the static one.

    Raises ArtifactError if a file is missing, damaged or changed, or was made for other features or vectors.
    """
    card = _read_card(path / CARD)
    model = _read_weights(path / WEIGHTS, card)
    chosen = embedder if embedder is not None else StaticEmbedder.load()
    if card["embedder"] != chosen.name:
        raise ArtifactError(
            f"{path / CARD}: trained on embedder '{card['embedder']}', this is '{chosen.name}'; "
            "install the wordllama it was trained with, or train anew with python -m classifiers.train"
        )
    shape = (len(model.embedding_weight), len(model.feature_mean), len(model.bias))
    expected = (chosen.dim, len(FEATURE_NAMES), len(card["classes"]))
    if shape != expected:
        raise ArtifactError(f"{path / WEIGHTS}: (dimensions, features, classes) {shape}, expected {expected}; {REMEDY}")
    return Artifact(model, card, chosen)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ArtifactError(f"{path}: cannot be read ({exc.strerror}); {REMEDY}") from exc


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(_read(path))
    except ValueError as exc:
        raise ArtifactError(f"{path}: not JSON ({exc}); {REMEDY}") from exc
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ArtifactError(f"{path}: format {found!r}, this version reads format {FORMAT}; {REMEDY}")
    if (digest := _digest(card)) != card.get("digest") or digest[:VERSION_CHARS] != card.get("version"):
        raise ArtifactError(f"{path}: digest {card.get('digest')!r} but the content has {digest!r}; {REMEDY}")
    if card.get("feature_names") != list(FEATURE_NAMES):
        odd = set(card.get("feature_names", ())) ^ set(FEATURE_NAMES)
        detail = f"differing: {', '.join(sorted(odd))}" if odd else "in another order"
        raise ArtifactError(f"{path}: trained on other hand features ({detail}); {REMEDY}")
    if missing := [key for key in ("name", "classes", "embedder", "weights_sha256") if key not in card]:
        raise ArtifactError(f"{path}: lacks {', '.join(missing)}; {REMEDY}")
    return card


def _read_weights(path: Path, card: dict[str, Any]) -> LinearModel:
    content = _read(path)
    if (found := hashlib.sha256(content).hexdigest()) != card["weights_sha256"]:
        raise ArtifactError(f"{path}: SHA-256 {found}, the card says {card['weights_sha256']}; {REMEDY}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return LinearModel.from_arrays(arrays)
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile) as exc:
        raise ArtifactError(f"{path}: not the expected arrays ({exc}); {REMEDY}") from exc


def _digest(card: dict[str, Any]) -> str:
    """SHA-256 of the card, and through `weights_sha256` of the weights; the digest itself left out."""
    signed = {key: value for key, value in card.items() if key not in UNSIGNED}
    return hashlib.sha256(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
