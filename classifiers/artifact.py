"""A router's trained classifier as the rest of the product sees it: load one, ask it about a text.

Every artifact has a head that tells skip, small and strong apart. One that was trained on graded answers also has a model
of how well each graded model would do; there, whether the strong one is worth it is that model's word, and the head's
only word is `skip`. `store.py` knows the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers import store
from classifiers.base import Probabilities, Verdict
from classifiers.errors import ArtifactError
from classifiers.routing.arrays import from_arrays, settings_of, to_arrays
from classifiers.routing.model import Routing, RoutingModel
from classifiers.shipped.head import CLASSES, Head, view
from classifiers.text.embed import StaticEmbedder

TASK: Final = "routing"
HEAD: Final = "head."
GRADED: Final = "graded."
SEEN: Final = "seen"
SMALL_TALK_CHARS_MAX: Final = 400
PREDICTED, TRUE = "held_out.predicted", "held_out.true"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Many texts at once. gain: higher means the strong model; p_strong: probability that it answers better; both (n,).

    quality: (n, m) predicted, columns as `models`. familiarity: (n,), from 0 to 1.
    """

    models: tuple[str, ...]
    gain: Floats
    p_strong: Floats
    quality: Floats
    familiarity: Floats

    def of(self, rows: npt.NDArray[np.bool_]) -> "Scores":
        """The scores of some of the texts. rows: (n,)."""
        return Scores(self.models, self.gain[rows], self.p_strong[rows], self.quality[rows], self.familiarity[rows])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Qualities of training rows, as predicted when they were left out, and as graded; both (n, m), nan where not graded."""

    predicted: Floats
    true: Floats


@dataclass(frozen=True, slots=True)
class Graded:
    """What an artifact knows from graded answers. seen: fingerprints of the prompts."""

    model: RoutingModel
    held_out: HeldOut
    seen: frozenset[int]


class Artifact:
    """Safe to share between threads: nothing changes after construction."""

    def __init__(self, card: Mapping[str, Any], head: Head, embedder: StaticEmbedder, graded: Graded | None = None) -> None:
        """card: as `save_artifact` wrote it. embedder: the one the card names."""
        self.card: Final = card
        self.name: Final[str] = card["name"]
        self.version: Final[str] = card["version"]
        self.embedder: Final = embedder
        self.head: Final = head
        self._graded = graded

    @property
    def classes_(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def graded(self) -> tuple[str, ...]:
        """The models whose quality it predicts."""
        return self._graded.model.models if self._graded else ()

    @property
    def weak(self) -> str | None:
        """The pair it was trained for; None for an artifact without grades."""
        return self._graded.model.weak if self._graded else None

    @property
    def strong(self) -> str | None:
        return self._graded.model.strong if self._graded else None

    @property
    def seen(self) -> frozenset[int]:
        """Fingerprints of the graded prompts it was trained on."""
        return self._graded.seen if self._graded else frozenset()

    def judge(self, text: str) -> Verdict:
        """All it says of one text. Any str, of any length; some 0.3 ms for a page, 0.8 with graded answers."""
        if self._graded is None:
            skip, small, strong = self.head.shares(view(text, self.embedder))
            return Verdict({"skip": skip, "small": small, "strong": strong}, {}, 1.0)
        # Small talk is short: of a longer text the head need not be asked.
        skip = self.head.shares(view(text, self.embedder))[0] if len(text) <= SMALL_TALK_CHARS_MAX else 0.0
        found = self._graded.model.score(text)
        classes = {"skip": skip, "small": (1 - skip) * (1 - found.p_strong), "strong": (1 - skip) * found.p_strong}
        return Verdict(classes, found.quality, found.familiarity)

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        """(n,) texts to (n, 3) calibrated probabilities; rows add up to 1, columns as `classes_`."""
        rows = [list(self.judge(text).classes.values()) for text in X]
        return np.array(rows, np.float64).reshape(len(rows), len(CLASSES))

    def scores(self, texts: Sequence[str]) -> Scores:
        """What it says of many texts between its two models, small talk or not. About a millisecond a text."""
        if self._graded is None:
            classes = self.predict_proba(texts)
            p_strong = classes[:, 2] / np.maximum(classes[:, 1] + classes[:, 2], 1e-12)
            return Scores((), p_strong, p_strong, np.zeros((len(texts), 0)), np.ones(len(texts)))
        found = self._graded.model.score_many(texts)
        return Scores(
            models=self.graded,
            gain=_column(found, "gain_rank"),
            p_strong=_column(found, "p_strong"),
            quality=np.array([list(one.quality.values()) for one in found]).reshape(len(found), len(self.graded)),
            familiarity=_column(found, "familiarity"),
        )

    def bar_for(self, models: Sequence[str], quality: float) -> float:
        """From which share of the best predicted quality a cheaper model is good enough, in [0, 1].

        Choosing for each prompt the first of `models` (cheapest first) whose predicted quality reaches that share of the
        best one's keeps `quality` of the best model's mean quality, on rows held out in training. models: of `graded`.
        Raises ArtifactError if no row grades them all.
        """
        if self._graded is None:
            raise ArtifactError(f"'{self.name}' was not trained on graded answers; train one with `turnout train`")
        columns = [self.graded.index(model) for model in models]
        held = self._graded.held_out
        predicted, true = held.predicted[:, columns], held.true[:, columns]
        whole = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
        if not whole.any():
            raise ArtifactError(
                f"'{self.name}' has no held-out row that grades all of {', '.join(models)}; train it on such rows"
            )
        return _bar(predicted[whole], true[whole], quality)

    def with_newcomer(self, model: RoutingModel, seen: frozenset[int]) -> Graded:
        """What it knows with a newcomer among its models, which no held-out row grades. Only for a graded artifact."""
        assert self._graded is not None
        held = self._graded.held_out
        none = np.full((len(held.true), 1), np.nan)
        order = [self.graded.index(name) if name in self.graded else -1 for name in model.models]
        extended = HeldOut(np.hstack((held.predicted, none))[:, order], np.hstack((held.true, none))[:, order])
        return Graded(model, extended, self._graded.seen | seen)

    @property
    def model(self) -> RoutingModel:
        """The model of graded answers. Only for an artifact that has one."""
        assert self._graded is not None
        return self._graded.model


def save_artifact(
    path: Path, card: Mapping[str, Any], head: Head, embedder: StaticEmbedder, graded: Graded | None = None
) -> Artifact:
    """Write the directory `path` and return what `load_artifact` would. card: must hold `name`."""
    arrays: dict[str, npt.NDArray[Any]] = {HEAD + name: array for name, array in head.arrays().items()}
    whole: dict[str, Any] = {"classes": list(CLASSES), **card, "task": TASK}
    if graded is not None:
        arrays |= {GRADED + name: array for name, array in to_arrays(graded.model).items()}
        arrays[SEEN] = np.array(sorted(graded.seen), np.uint64)
        arrays[PREDICTED] = graded.held_out.predicted.astype(np.float16)
        arrays[TRUE] = graded.held_out.true.astype(np.float16)
        whole |= {"graded": settings_of(graded.model), "weak": graded.model.weak, "strong": graded.model.strong}
    return _made(store.write(path, arrays, whole, embedder.name), arrays, embedder, path)


def load_artifact(path: Path, embedder: StaticEmbedder | None = None) -> Artifact:
    """The classifier in the directory `path`. embedder: shared with others, or None to load the static one.

    Raises ArtifactError if a file is missing, damaged or changed, or was made for other features or vectors.
    """
    chosen = embedder if embedder is not None else StaticEmbedder.load()
    card, arrays = store.read(path, TASK, chosen.name)
    return _made(card, arrays, chosen, path)


def _made(card: Mapping[str, Any], arrays: store.Arrays, embedder: StaticEmbedder, path: Path) -> Artifact:
    weights = path / store.WEIGHTS
    try:
        head = Head.from_arrays(_below(HEAD, arrays), embedder)
        graded = _graded(card, arrays, embedder) if "graded" in card else None
    except ValueError as exc:
        raise ArtifactError(f"{weights}: not the expected arrays ({exc}); {store.REMEDY}") from exc
    return Artifact(card, head, embedder, graded)


def _graded(card: Mapping[str, Any], arrays: store.Arrays, embedder: StaticEmbedder) -> Graded:
    model = from_arrays(_below(GRADED, arrays), card["graded"], embedder)
    if missing := [name for name in (SEEN, PREDICTED, TRUE) if name not in arrays]:
        raise ValueError(f"arrays missing: {', '.join(missing)}")
    predicted, true = arrays[PREDICTED].astype(np.float64), arrays[TRUE].astype(np.float64)
    if predicted.shape != true.shape or true.ndim != 2 or true.shape[1] != len(model.models):
        raise ValueError(f"arrays {PREDICTED} {predicted.shape} and {TRUE} {true.shape} must be (n, {len(model.models)})")
    return Graded(model, HeldOut(predicted, true), frozenset(arrays[SEEN].tolist()))


def _below(prefix: str, arrays: store.Arrays) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _column(found: Sequence[Routing], name: str) -> Floats:
    return np.array([getattr(one, name) for one in found], np.float64)


def _bar(predicted: Floats, true: Floats, quality: float) -> float:
    """The least bar that keeps the quality. predicted, true: (n, m), the cheapest model first."""
    ratio = predicted / np.maximum(predicted.max(axis=1, keepdims=True), 1e-9)
    wanted = quality * true.mean(axis=0).max()
    bars = np.linspace(0.0, 1.0, 201)
    for bar in bars:
        chosen = (ratio >= bar - 1e-12).argmax(axis=1)  # the first that reaches it; the best one always does
        if true[np.arange(len(true)), chosen].mean() >= wanted - 1e-12:
            return float(bar)
    return 1.0
