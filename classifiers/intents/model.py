"""What does a text want, and is it one of the things we know? A fitted model, numpy only: a request runs this.

Two scorers look at a text: a linear one on tf-idf of its n-grams and its meaning, and a kernel one on its meaning alone
(likeness to landmarks among the training texts). Their mean ranks the intents. A logistic model on how sure they are, how
far the second intent lies behind and how familiar the text is tells how likely the first is right.
`intent_fit` makes these models, `intent_arrays` turns them into plain arrays and back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Vector
from classifiers.intents.views import IntentView, Rarity, Singles, Vocabulary, WordEmbedder, view

Floats = npt.NDArray[np.float64]

OOS: Final = "oos"  # the intent of texts that want none of the others
# Turn each scorer's raw scores, near -1..1 and 0..1, into logarithms of probabilities of like sharpness.
LINEAR_SHARPNESS: Final = 5.0
KERNEL_SHARPNESS: Final = 7.0
ODDS_MAX: Final = 30.0  # keeps confidences off 0 and 1
EVIDENCE: Final = (
    "log_share",  # of the best intent, against all classes
    "lead",  # of that over the second intent's
    "lead_over_oos",  # and over the out-of-scope class's; 0 without one
    "likeness",  # cosine to the nearest landmark
    "known_words",  # share of the words
)


@dataclass(frozen=True, slots=True)
class Intent:
    """What one text wants.

    intent: the likeliest of the known intents, never `oos`. confidence: calibrated probability that this intent is
    right, near 0 for a text out of scope: a caller bounds it from below, and so chooses what to refuse.
    """

    intent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Linear:
    """One linear score for each of k classes; float32. What support vector machines, one against the rest, learned."""

    words: Vocabulary
    chars: Vocabulary
    word_weight: Singles  # (len(words), k)
    char_weight: Singles  # (len(chars), k)
    meaning_weight: Singles  # (d, k)
    bias: Singles  # (k,)

    def scores(self, seen: IntentView, meaning: Vector) -> Singles:
        """(k,) raw scores, most below -0.5 and the right one above 0."""
        scores: Singles = meaning @ self.meaning_weight + self.bias
        for vocabulary, weight, ngrams in (
            (self.words, self.word_weight, seen.word_ngrams),
            (self.chars, self.char_weight, seen.char_ngrams),
        ):
            at, value = vocabulary.weigh(ngrams)
            scores = scores + value @ weight.take(at, axis=0)
        return scores


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Kernel ridge regression of the classes on likeness to m landmarks; float32. No text is kept, only meanings."""

    meanings: Singles  # (m, d), of length 1
    weight: Singles  # (m, k)
    width: float  # of the kernel exp(width * (cosine - 1))

    def scores(self, meaning: Vector) -> tuple[Singles, float]:
        """(k,) raw scores, about 1 for the right class and 0 for others; and the cosine to the nearest landmark."""
        cosine = self.meanings @ meaning
        return np.exp(self.width * (cosine - 1)) @ self.weight, float(cosine.max())


@dataclass(frozen=True, slots=True)
class IntentModel:
    """Safe to share between threads: nothing changes after construction.

    classes: all k of them, `oos` last if there is one. trust: (len(EVIDENCE) + 1,) weights of the evidence and, last,
    the offset, in log odds.
    """

    classes: tuple[str, ...]
    embedder: WordEmbedder
    rarity: Rarity
    linear: Linear
    landmarks: Landmarks
    trust: Floats

    @property
    def intents(self) -> tuple[str, ...]:
        """The intents that `score` may name."""
        return in_scope(self.classes)

    def score(self, text: str) -> Intent:
        """What the text wants. Any str; about a millisecond, whatever its length."""
        linear, kernel, likeness, known = self._looked(text)
        best, row = evidence(linear, kernel, likeness, known, len(self.intents))
        odds = float(np.clip(row @ self.trust[:-1] + self.trust[-1], -ODDS_MAX, ODDS_MAX))
        return Intent(self.classes[best], float(1 / (1 + np.exp(-odds))))

    def log_odds(self, text: str, group: Collection[str]) -> float:
        """How much likelier it is that the text wants one of the group than anything else; ranks, is not calibrated.

        For questions such as "is it small talk?", where it does not matter which of the group it is. In nats, within
        ODDS_MAX of 0. Raises ValueError if the group names no class, an unknown one, or all.
        """
        is_one = np.array([name in group for name in self.classes])
        if unknown := sorted(set(group) - set(self.classes)):
            raise ValueError(f"no such intent: {', '.join(unknown)}; known: {', '.join(self.classes)}")
        if is_one.all() or not is_one.any():
            raise ValueError("the group must hold some of the classes and not all of them")
        linear, kernel, _, _ = self._looked(text)
        powers = np.exp(_shares(linear, kernel))
        return float(np.clip(np.log(powers[is_one].sum() / powers[~is_one].sum()), -ODDS_MAX, ODDS_MAX))

    def score_many(self, texts: Sequence[str]) -> list[Intent]:
        """What `score` says of each text."""
        return [self.score(text) for text in texts]

    def _looked(self, text: str) -> tuple[Singles, Singles, float, float]:
        """Linear and kernel scores, (k,) each; cosine to the nearest landmark; share of known words."""
        seen = view(text, self.embedder)
        meaning, known = self.rarity.meaning(seen, self.embedder.dim)
        kernel, likeness = self.landmarks.scores(meaning)
        return self.linear.scores(seen, meaning), kernel, likeness, known


def in_scope(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes without `oos`, which is last if it is there."""
    return classes[:-1] if classes[-1] == OOS else classes


def evidence(linear: Singles, kernel: Singles, likeness: float, known: float, intents: int) -> tuple[int, Floats]:
    """Column of the best intent, and what tells how far to trust it, as EVIDENCE.

    linear, kernel: (k,) raw scores; the first `intents` columns are intents, a further one is out of scope.
    """
    shares = _shares(linear, kernel)
    inside = shares[:intents]
    best = int(inside.argmax())
    share = inside[best]
    second = np.partition(inside, -2)[-2]
    over_oos = share - shares[intents] if len(shares) > intents else 0.0
    return best, np.array([share, share - second, over_oos, likeness, known], np.float64)


def _shares(linear: Singles, kernel: Singles) -> Floats:
    """(k,) mean of the two scorers' logarithms of probabilities."""
    return (_log_shares(linear, LINEAR_SHARPNESS) + _log_shares(kernel, KERNEL_SHARPNESS)) / 2


def _log_shares(scores: Singles, sharpness: float) -> Floats:
    logits = sharpness * scores.astype(np.float64)
    logits -= logits.max()
    shares: Floats = logits - np.log(np.exp(logits).sum())
    return shares
