"""The learned "same question?" of the semantic cache: a probability for each neighbour, and the bar for a false-hit budget.

The rules of classifiers/pairs/rules.py keep their veto over numbers, negations, opposites, names and code: the learned part
never serves what they object to there. Called by the semantic cache; numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.errors import ArtifactError
from classifiers.pairs import store
from classifiers.pairs.blocks import MINILM, Arrays, Featurizer, featurizer_of
from classifiers.pairs.model import Curve, PairModel, bar_of, curves_of
from classifiers.pairs.rules import CHARS_MAX
from classifiers.pairs.screen import VETOES, excluded
from classifiers.pairs.view import WORDS_MAX

ARTIFACTS: Final = Path(__file__).parents[1] / "artifacts"
VETOED: Final = 0.5
"""The most that a veto leaves of a probability: below every bar."""
SPARED: Final = 0.45
"""A probability that a veto leaves as it is; what is above keeps its order below VETOED."""
UNREAD: Final = 1e-3
"""The most that texts too long to be compared are given, by their cosine, unless they are the same."""


class Verifier:
    """Whether two texts are the same question. Safe to share between threads.

    name: changes when the artifact does. embedder: whose vectors it reads and whose cosines it is given. is_quick: a few
    short pairs take less than 1.5 ms, so that an event loop may score them itself.
    """

    def __init__(
        self, name: str, embedder: str, featurizer: Featurizer, model: PairModel, curves: Sequence[Curve], arrays: Arrays
    ) -> None:
        """arrays: all that `load` found, of which the others are made."""
        self.name: Final = name
        self.embedder: Final = embedder
        self.is_quick: Final = embedder != MINILM
        self.model: Final = model
        self.curves: Final = tuple(curves)
        self.featurizer: Final = featurizer
        self.arrays: Final = arrays
        self._bars: Final[dict[float, float]] = {}  # a policy has few budgets

    @classmethod
    def load(cls, folder: Path, embedder: Any = None) -> Verifier:
        """The verifier in a folder that `classifiers.pairs.store.write` wrote. Raises ArtifactError.

        embedder: in place of the installed one.
        """
        card, arrays = store.read(folder)
        try:
            featurizer = featurizer_of(card["embedder_kind"], arrays, embedder)
            model = PairModel.from_arrays(arrays)
            curves = curves_of(arrays)
        except (KeyError, ValueError, TypeError) as exc:
            raise ArtifactError(f"{folder}: not the arrays of a verifier ({exc}); {store.REMEDY}") from exc
        if list(featurizer.names) != card["columns"] or len(model.line) != len(featurizer.names):
            raise ArtifactError(f"{folder}: learned from other columns than this version computes; {store.REMEDY}")
        return cls(f"{card['name']}-{card['version']}", card["embedder_kind"], featurizer, model, curves, arrays)

    def scores(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> list[float]:
        """For each text of kept the calibrated probability that it is the question asked, from 0 to 1.

        cosines: of the embedder's vectors, one for each of kept. The same text is 1.0. Texts over CHARS_MAX characters are
        not read: they are the same but for white space, or not.
        """
        out = [0.0] * len(kept)
        read_at = []
        for i, (text, cosine) in enumerate(zip(kept, cosines, strict=True)):
            if text == asked:
                out[i] = 1.0
            elif max(len(text), len(asked)) > CHARS_MAX:
                is_same = text.split() == asked.split()
                out[i] = 1.0 if is_same else UNREAD * min(max(float(cosine), 0.0), 1.0)
            else:
                read_at.append(i)
        if read_at:
            rows = self.featurizer.rows(asked, [kept[i] for i in read_at], [float(cosines[i]) for i in read_at])
            for i, p in zip(read_at, self.judge(rows), strict=True):
                out[i] = float(p)
        return out

    def excluded(self, asked: str, kept: Sequence[str]) -> list[bool]:
        """For each text of kept whether its score is no more than VETOED, below every bar: known without it, and sooner."""
        return excluded(asked, kept)

    def judge(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(n,) probabilities of the pairs whose columns are known, vetoes applied."""
        p = self.model.probability(rows)
        return veto(p, vetoed(rows, self.featurizer.names))

    def bar(self, false_hit_budget: float) -> float:
        """The score from which a pair may be served so that wrong hits stay within the budget's share of all hits.

        It rises as the budget falls; over 1 if no bar keeps it.
        """
        if false_hit_budget not in self._bars:
            self._bars[false_hit_budget] = bar_of(self.curves, false_hit_budget)
        return self._bars[false_hit_budget]


def vetoed(rows: npt.NDArray[np.float32], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n,) whether the rules' objection to a pair stands whatever was learned. rows: (n, d), columns as names.

    Of another language, of courtesies alone and of texts without a word of content every objection stands, for there
    nothing learned knows better.
    """
    plain, kinds = _columns_of(tuple(names))
    objects, is_english, is_courtesy, terms, tokens = rows[:, plain].T
    of_kind = rows[:, kinds].any(axis=1)
    found: npt.NDArray[np.bool_] = (objects > 0) & (
        of_kind | (is_english == 0) | (is_courtesy > 0) | (terms == 0) | (tokens >= WORDS_MAX)
    )
    return found


@lru_cache(maxsize=4)
def _columns_of(names: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Where the columns are that a veto depends on: in general, and the kinds of objection."""
    plain = ("objects", "is_english", "is_courtesy", "terms_min", "tokens_max")
    kinds = [f"objects_{kind.replace(' ', '_')}" for kind in VETOES]
    return [names.index(name) for name in plain], [names.index(name) for name in kinds]


def veto(p: npt.NDArray[np.float64], vetoed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n,) probabilities with those of vetoed pairs brought below VETOED, in the same order."""
    return np.where(vetoed & (p > SPARED), SPARED + (VETOED - SPARED) * (p - SPARED) / (1 - SPARED), p)


@lru_cache(maxsize=2)
def shipped(embedder: str) -> Verifier:
    """The verifier that comes with the package, for `wordllama` or `minilm`. Raises ArtifactError."""
    return Verifier.load(ARTIFACTS / f"pairs-{embedder}")
