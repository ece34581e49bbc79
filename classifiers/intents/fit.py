"""Fit an intent model to labelled texts. Training only: imports scikit-learn and scipy.

What is served is fitted on all rows. How far to trust it is read off models that lack a third of the rows, and some
whole intents: to those models the texts of the missing intents are out of scope, so refusing is learned without, or
beyond, labelled examples of what to refuse.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from classifiers.intents.model import OOS, Floats, IntentModel, Landmarks, Linear, evidence, in_scope
from classifiers.intents.scorers import Looked, fit_landmarks, fit_linear, fit_rarity
from classifiers.intents.views import IntentView, Rarity, WordEmbedder, view

Progress = Callable[[int, int, str], None]
Labels = npt.NDArray[np.str_]
Rows = npt.NDArray[np.intp]

FOLDS: Final = 3
INSIDE: Final = "inside"
MISSING: Final = "missing"
UNKNOWN_SHARE: Final = 0.1  # of the intents that a fold's model knows nothing of
MISSING_INTENTS_MIN: Final = 6  # with fewer intents all are needed
MISSING_ROWS_MAX: Final = 1_000  # a fold; more tell nothing new
# What ranks texts by trust sees this share of texts of each kind. More of what is to be refused than traffic has: the
# mistakes among known intents, which are many and alike, would drown it.
RANKED_SHARES: Final = {OOS: 0.3, MISSING: 0.1}
# What the confidence is calibrated for. Texts of missing intents are harder to refuse than those of users, since they come
# from the same set: they count only where nothing else is known. Labelled ones count as they come, within bounds.
OOS_SHARE: Final = (0.12, 0.5)
MISSING_SHARE: Final = 0.03
TRUST_C: Final = 1.0


def fit_intents(
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    embedder: WordEmbedder,
    progress: Progress | None = None,
) -> IntentModel:
    """A model that names the intent of a text and how likely it is right; the same for the same rows and seed.

    rows: `{text, intent}`; the intent `oos` is for texts that want none of the others, and may be absent. progress: told
    (steps done, steps in all, what comes next). About two minutes for 15,000 rows of 150 intents on one core.
    Raises ValueError, saying what is wrong, for rows that cannot be learned from.
    """
    tell = progress or (lambda done, total, what: None)
    labels = _labels(rows)
    total = FOLDS + 2
    tell(0, total, f"looking at {len(rows)} texts")
    views = [view(row["text"], embedder) for row in rows]
    if not any(len(seen.words) for seen in views):
        raise ValueError("there are no words in any of the texts")
    found: list[tuple[Floats, bool, str]] = []
    with threadpool_limits(1):
        for fold, (seen, held_out) in enumerate(_folds(labels, seed)):
            tell(1 + fold, total, f"fold {fold + 1} of {FOLDS}")
            scorers = _Scorers([views[i] for i in seen], labels[seen], embedder.dim, seed)
            found += [scorers.judged(views[i], str(labels[i])) for i in held_out]
        tell(1 + FOLDS, total, "all rows")
        trust = _trust(found, labels)
        scorers = _Scorers(views, labels, embedder.dim, seed)
    tell(total, total, "done")
    return IntentModel(scorers.classes, embedder, scorers.rarity, scorers.linear, scorers.landmarks, trust)


class _Scorers:
    """The two scorers, fitted to some rows."""

    def __init__(self, views: Sequence[IntentView], labels: Labels, dim: int, seed: int) -> None:
        self.classes: Final = tuple(sorted(set(labels.tolist()), key=lambda name: (name == OOS, name)))
        self.rarity: Final[Rarity] = fit_rarity(views)
        looked = Looked(views, np.stack([self.rarity.meaning(seen, dim)[0] for seen in views]))
        columns = np.array([self.classes.index(name) for name in labels.tolist()])
        self.linear: Final[Linear] = fit_linear(looked, columns, len(self.classes), seed)
        self.landmarks: Final[Landmarks] = fit_landmarks(looked.meanings, columns, len(self.classes), seed)

    def judged(self, seen: IntentView, label: str) -> tuple[Floats, bool, str]:
        """The evidence on a text, whether the best intent is right, and the text's kind: in scope, `oos` or missing."""
        meaning, known = self.rarity.meaning(seen, self.linear.meaning_weight.shape[0])
        kernel, likeness = self.landmarks.scores(meaning)
        intents = in_scope(self.classes)
        best, row = evidence(self.linear.scores(seen, meaning), kernel, likeness, known, len(intents))
        kind = INSIDE if label in intents else OOS if label == OOS else MISSING
        return row, intents[best] == label, kind


def _labels(rows: Sequence[Mapping[str, Any]]) -> Labels:
    """(n,) the intents. Raises ValueError for rows that cannot be learned from."""
    for number, row in enumerate(rows, 1):
        for key in ("text", "intent"):
            if not isinstance(row.get(key), str):
                raise ValueError(f"row {number}: `{key}` is {row.get(key)!r}, expected a text")
        if not row["intent"]:
            raise ValueError(f"row {number}: `intent` is empty; name it, or write `{OOS}` for none of the others")
    counts = Counter(row["intent"] for row in rows)
    inside = {name: count for name, count in counts.items() if name != OOS}
    if len(inside) < 2:
        known = ", ".join(sorted(inside)) or "none"
        raise ValueError(f"two intents or more are needed beside `{OOS}`; the rows have {known}")
    if few := sorted(name for name, count in inside.items() if count < 2):
        raise ValueError(f"two rows or more are needed of each intent; there is one of {', '.join(few)}")
    return np.array([row["intent"] for row in rows])


def _folds(labels: Labels, seed: int) -> list[tuple[Rows, Rows]]:
    """Rows to fit on and rows to judge, for each fold. Each intent is spread evenly; some are missing from the first."""
    rng = np.random.default_rng(seed)
    fold_of = np.zeros(len(labels), np.intp)
    intents = sorted(set(labels.tolist()) - {OOS})
    for name in (*intents, OOS):
        mine = rng.permutation(np.flatnonzero(labels == name))
        fold_of[mine] = np.arange(len(mine)) % FOLDS
    count = max(1, round(UNKNOWN_SHARE * len(intents))) if len(intents) >= MISSING_INTENTS_MIN else 0
    drawn = rng.permutation(np.array(intents))
    folds = []
    for fold in range(FOLDS):
        is_missing = np.isin(labels, drawn[fold * count : (fold + 1) * count])
        missing = rng.permutation(np.flatnonzero(is_missing))[:MISSING_ROWS_MAX]
        held_out = np.flatnonzero((fold_of == fold) & ~is_missing)
        folds.append((np.flatnonzero((fold_of != fold) & ~is_missing), np.concatenate((held_out, np.sort(missing)))))
    return folds


def _trust(found: Sequence[tuple[Floats, bool, str]], labels: Labels) -> Floats:
    """(len(EVIDENCE) + 1,) log odds that the best intent is right, linear in the evidence; the offset last.

    One logistic model weighs the evidence, so that it ranks; a second of its one number calibrates (Platt, 1999).
    """
    rows = np.stack([row for row, _, _ in found])
    is_right = np.array([right for _, right, _ in found])
    kinds = np.array([kind for _, _, kind in found])
    ranked = _shared(kinds, RANKED_SHARES)
    mean, scale = np.average(rows, axis=0, weights=ranked), rows.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    slope, offset = _logistic((rows - mean) / scale, is_right, ranked)
    low, high = OOS_SHARE
    expected = {OOS: float(np.clip((labels == OOS).mean(), low, high)), MISSING: 0.0}
    if not (kinds == OOS).any():
        expected[MISSING] = MISSING_SHARE
    (steepness,), level = _logistic((((rows - mean) / scale) @ slope + offset)[:, None], is_right, _shared(kinds, expected))
    weights = slope / scale
    return np.append(weights * steepness, (offset - weights @ mean) * steepness + level)


def _shared(kinds: Labels, shares: Mapping[str, float]) -> Floats:
    """(n,) weights that add up to n, so that each kind present has its share and known intents the rest."""
    present = {kind: share for kind, share in shares.items() if (kinds == kind).any()}
    weights = np.zeros(len(kinds))
    for kind, share in {**present, INSIDE: 1 - sum(present.values())}.items():
        weights[kinds == kind] = share * len(kinds) / max(1, (kinds == kind).sum())
    return weights


def _logistic(rows: Floats, is_right: npt.NDArray[np.bool_], weights: Floats) -> tuple[Floats, float]:
    """Slope and offset. A right and a wrong row at the mean are added (Laplace's rule of succession): sureness stays
    finite even where no held-out row is wrong."""
    model = LogisticRegression(C=TRUST_C, max_iter=1_000)
    mean = np.average(rows, axis=0, weights=weights)
    model.fit(np.vstack((rows, mean, mean)), np.append(is_right, (True, False)), np.append(weights, (1.0, 1.0)))
    return model.coef_[0], float(model.intercept_[0])
