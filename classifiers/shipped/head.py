"""The served model of the three classes: a softmax over n-grams, embedding and hand features of one text. numpy only.

It tells four parts apart, two of which are `small` together: a command to an assistant and a question have next to
nothing in common, and one hyperplane between both and small talk would be a compromise. `head_fit` makes a head,
`arrays` and `from_arrays` bring it to disk and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix, Probabilities, Vector
from classifiers.shipped.softmax import CLIP, softmax
from classifiers.text.features import FEATURE_NAMES, HEAD_CHARS, TAIL_CHARS, features
from classifiers.text.ngrams import Buckets, Counts, char_ngrams, token_ngrams
from classifiers.text.normalise import normalise

CLASSES: Final = ("skip", "small", "strong")
PARTS: Final = {"skip": "skip", "command": "small", "question": "small", "strong": "strong"}  # the class of each part
MEMBERSHIP: Final = np.array([[float(own == name) for name in CLASSES] for own in PARTS.values()])  # (parts, classes)
LEAST: Final = 1e-12  # a probability whose logarithm is taken
CHAR_SIZES: Final = (3, 4, 5)
TOKEN_SIZES: Final = (1, 2)
BITS: Final = 16
# Of more tokens these are looked at: what is wanted stands at the beginning or at the end.
HEAD_TOKENS: Final = 384
TAIL_TOKENS: Final = 128


class TokenEmbedder(Protocol):
    """What `StaticEmbedder` offers that a head needs."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def token_ids(self, text: str) -> list[int]: ...

    def encode_ids(self, ids: Sequence[int]) -> Vector:
        """(dim,) float32 of length 1; all zero for no tokens."""
        ...


@dataclass(frozen=True, slots=True)
class HeadView:
    """One text as the head sees it. n-grams: buckets and weights; the weights of a table have length 1 together."""

    embedding: Vector
    hand: Vector
    char_ngrams: tuple[Buckets, Counts]
    token_ngrams: tuple[Buckets, Counts]


def view(text: str, embedder: TokenEmbedder) -> HeadView:
    """The text as the head sees it: normalised, and of a long one its two ends. Any str, in bounded time."""
    seen = normalise(windowed(text))
    ids = embedder.token_ids(seen)
    if len(ids) > HEAD_TOKENS + TAIL_TOKENS:
        ids = ids[:HEAD_TOKENS] + ids[-TAIL_TOKENS:]
    return HeadView(
        embedding=embedder.encode_ids(ids),
        hand=features(seen),
        char_ngrams=_scaled(*char_ngrams(seen, CHAR_SIZES, BITS)),
        token_ngrams=_scaled(*token_ngrams(ids, TOKEN_SIZES, BITS)),
    )


def windowed(text: str) -> str:
    """The text, or the first HEAD_CHARS and last TAIL_CHARS characters of a longer one."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def _scaled(buckets: Buckets, counts: Counts) -> tuple[Buckets, Counts]:
    """Logarithms of the counts, brought to length 1 so that long texts do not shout."""
    weights = np.log1p(counts)
    length = np.sqrt(weights @ weights)
    return buckets, weights / length if length > 0 else weights


@dataclass(frozen=True, slots=True)
class HeadArrays:
    """p parts, k classes, d embedding dimensions, f hand features; all float32, the weights float16 on disk."""

    embedding_weight: Matrix  # (d, p)
    feature_weight: Matrix  # (f, p)
    char_weight: Matrix  # (2**BITS, p)
    token_weight: Matrix  # (2**BITS, p)
    bias: Vector  # (p,)
    feature_mean: Vector  # (f,)
    feature_scale: Vector  # (f,), all above 0
    sharpness: Vector  # (1,), above 0: calibration, times the logarithms of the classes' probabilities
    class_bias: Vector  # (k,): calibration, added to them


HALVED: Final = ("embedding_weight", "feature_weight", "char_weight", "token_weight")
POSITIVE: Final = ("feature_scale", "sharpness")


class Head:
    """Calibrated probabilities of `skip`, `small` and `strong`. Safe to share between threads."""

    classes: Final = CLASSES

    def __init__(self, arrays: HeadArrays, embedder: TokenEmbedder) -> None:
        """embedder: the one that the arrays were fitted with."""
        self.embedder: Final = embedder
        self._arrays = arrays

    @property
    def classes_(self) -> tuple[str, ...]:
        return CLASSES

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], embedder: TokenEmbedder) -> "Head":
        """The head of the arrays of HeadArrays' names. Raises ValueError naming one that is missing or does not fit."""
        names = [field.name for field in fields(HeadArrays)]
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"arrays missing: {', '.join(missing)}")
        p, f, table = len(PARTS), len(FEATURE_NAMES), 2**BITS
        expected = {
            "embedding_weight": (embedder.dim, p),
            "feature_weight": (f, p),
            "char_weight": (table, p),
            "token_weight": (table, p),
            "bias": (p,),
            "feature_mean": (f,),
            "feature_scale": (f,),
            "sharpness": (1,),
            "class_bias": (len(CLASSES),),
        }
        taken = {}
        for name in names:
            if arrays[name].dtype.kind != "f":
                raise ValueError(f"array {name} holds {arrays[name].dtype}, expected floating-point numbers")
            array = np.ascontiguousarray(arrays[name], np.float32)
            if array.shape != expected[name]:
                raise ValueError(f"array {name} has shape {array.shape}, expected {expected[name]}")
            if not np.isfinite(array).all():
                raise ValueError(f"array {name} holds numbers that are not finite")
            if name in POSITIVE and not (array > 0).all():
                raise ValueError(f"array {name} must be above 0")
            taken[name] = array
        return cls(HeadArrays(**taken), embedder)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` takes: weights in half precision, the rest in single."""
        whole = {field.name: getattr(self._arrays, field.name) for field in fields(HeadArrays)}
        return {name: array.astype(np.float16) if name in HALVED else array for name, array in whole.items()}

    def probabilities(self, text: str) -> Probabilities:
        """(3,) float64 in the order of CLASSES, summing to 1. Any str, in bounded time."""
        return self.probabilities_of(view(text, self.embedder))

    def probabilities_of(self, seen: HeadView) -> Probabilities:
        """`probabilities` of a text that has been looked at."""
        own = self._arrays
        hand = np.clip((seen.hand - own.feature_mean) / own.feature_scale, -CLIP, CLIP)
        logits = own.bias + seen.embedding @ own.embedding_weight + hand @ own.feature_weight
        for (buckets, weights), table in ((seen.char_ngrams, own.char_weight), (seen.token_ngrams, own.token_weight)):
            logits = logits + weights @ table.take(buckets, axis=0)
        shares = softmax(logits.astype(np.float64)) @ MEMBERSHIP
        return softmax(own.sharpness[0] * np.log(np.maximum(shares, LEAST)) + own.class_bias)

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        """(n,) texts to (n, 3) calibrated probabilities; rows sum to 1, columns as `classes_`."""
        rows = [self.probabilities(text) for text in X]
        return np.stack(rows) if rows else np.zeros((0, len(CLASSES)))
