"""A trained intent classifier as the rest of the product sees it: load one, ask what a text wants."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers import store
from classifiers.errors import ArtifactError
from classifiers.intents.arrays import from_arrays, to_arrays
from classifiers.intents.model import Intent, IntentModel
from classifiers.text.embed import StaticEmbedder

TASK: Final = "intent"
SEEN: Final = "seen"


class IntentArtifact:
    """Safe to share between threads: nothing changes after construction."""

    def __init__(self, card: Mapping[str, Any], model: IntentModel, embedder: StaticEmbedder, seen: frozenset[int]) -> None:
        """seen: fingerprints of the texts it was trained on."""
        self.card: Final = card
        self.name: Final[str] = card["name"]
        self.version: Final[str] = card["version"]
        self.embedder: Final = embedder
        self.seen: Final = seen
        self._model = model

    @property
    def intents(self) -> tuple[str, ...]:
        """The intents it knows, `oos` not among them."""
        return self._model.intents

    def score(self, text: str) -> Intent:
        """The likeliest of its intents, and the calibrated probability that the text wants it."""
        return self._model.score(text)

    def predict(self, texts: Sequence[str]) -> list[Intent]:
        """`score` of each text, in order."""
        return self._model.score_many(texts)


def save_intents(
    path: Path, card: Mapping[str, Any], model: IntentModel, embedder: StaticEmbedder, seen: frozenset[int]
) -> IntentArtifact:
    """Write the directory `path` and return what `load_intents` would. card: must hold `name`."""
    parts, settings = to_arrays(model)
    arrays: dict[str, npt.NDArray[Any]] = {**parts, SEEN: np.array(sorted(seen), np.uint64)}
    whole = store.write(path, arrays, {**card, "task": TASK, "settings": settings}, embedder.name)
    return _made(whole, arrays, embedder, path)


def load_intents(path: Path, embedder: StaticEmbedder | None = None) -> IntentArtifact:
    """The intent classifier in the directory `path`. embedder: shared with others, or None to load the static one.

    Raises ArtifactError if a file is missing, damaged or changed, or was made for other vectors.
    """
    chosen = embedder if embedder is not None else StaticEmbedder.load()
    card, arrays = store.read(path, TASK, chosen.name)
    return _made(card, arrays, chosen, path)


def _made(card: Mapping[str, Any], arrays: store.Arrays, embedder: StaticEmbedder, path: Path) -> IntentArtifact:
    try:
        model = from_arrays(arrays, card["settings"], embedder)
        seen = frozenset(arrays[SEEN].tolist())
    except (ValueError, KeyError) as exc:
        raise ArtifactError(f"{path / store.WEIGHTS}: not the expected arrays ({exc}); {store.REMEDY}") from exc
    return IntentArtifact(card, model, embedder, seen)
