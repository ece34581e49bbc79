"""The served model of the three classes: a softmax over n-grams, embedding and hand features of one text. numpy only.

It tells four parts apart, two of which are `small` together: a command to an assistant and a question have next to
nothing in common, and one hyperplane between both and small talk would be a compromise. `head_fit` makes a head,
`arrays` and `from_arrays` bring it to disk and back.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Ids, Matrix, Probabilities, Vector
from classifiers.shipped.softmax import CLIP, softmax_of
from classifiers.text.features import FEATURE_NAMES, features_of
from classifiers.text.ngrams import CHARS_MAX, Buckets, both_ngrams, bounded
from classifiers.text.normalise import flattened, normalise
from classifiers.text.scan import scan, windowed

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
# Logarithms of 1 + how often a place can be met: by each size of run once for each character, with a space at either end.
LOGS: Final[Vector] = np.log1p(np.arange(len(CHAR_SIZES) * (CHARS_MAX + 3), dtype=np.float32))


class TokenEmbedder(Protocol):
    """What `StaticEmbedder` offers that a head needs."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def token_ids(self, text: str) -> Ids: ...

    def encode_ids(self, ids: Ids) -> Vector:
        """(dim,) float32 of length 1; all zero for no tokens."""
        ...


class HeadView(NamedTuple):
    """One text as the head sees it.

    ngrams: places in the tables, characters' before tokens', and their weights; those of each table have length 1.
    """

    embedding: Vector
    hand: Vector
    ngrams: tuple[Buckets, Vector]


def view(text: str, embedder: TokenEmbedder) -> HeadView:
    """The text as the head sees it: normalised, and of a long one its two ends. Any str, in bounded time."""
    seen = normalise(windowed(text))
    ids = embedder.token_ids(seen)
    if len(ids) > HEAD_TOKENS + TAIL_TOKENS:
        ids = np.concatenate((ids[:HEAD_TOKENS], ids[-TAIL_TOKENS:]))
    own = scan(seen)
    flat = own.flat if own.seen == seen else flattened(bounded(seen))
    places, counts, of_chars = both_ngrams(flat, CHAR_SIZES, ids, TOKEN_SIZES, BITS)
    weights = LOGS.take(counts)
    _scale(weights[:of_chars])
    _scale(weights[of_chars:])
    return HeadView(embedder.encode_ids(ids), features_of(own), (places, weights))


def _scale(weights: Vector) -> None:
    """Bring them to length 1 in place, so that long texts do not shout."""
    length = math.sqrt(weights @ weights)
    if length > 0:
        weights /= np.float32(length)


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
        # Made of the arrays: what is the same for every text.
        self._ngram_weight: Matrix = np.concatenate((arrays.char_weight, arrays.token_weight))
        self._sharpness = float(arrays.sharpness[0])
        self._class_bias: list[float] = arrays.class_bias.tolist()

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
        return np.array(self.shares(view(text, self.embedder)))

    def shares(self, seen: HeadView) -> list[float]:
        """`probabilities` of a text that has been looked at."""
        own = self._arrays
        hand = np.minimum(np.maximum((seen.hand - own.feature_mean) / own.feature_scale, -CLIP), CLIP)
        places, weights = seen.ngrams
        logits = own.bias + seen.embedding @ own.embedding_weight + hand @ own.feature_weight
        logits += weights @ self._ngram_weight.take(places, axis=0)
        # Of so few numbers plain Python takes a fifth of numpy's time.
        skip, command, question, strong = softmax_of(logits.tolist())
        classes = (skip, command + question, strong)
        scaled = [self._sharpness * math.log(max(p, LEAST)) + bias for p, bias in zip(classes, self._class_bias, strict=True)]
        return softmax_of(scaled)

    def predict_proba(self, X: Sequence[str]) -> Probabilities:
        """(n,) texts to (n, 3) calibrated probabilities; rows sum to 1, columns as `classes_`."""
        rows = [self.probabilities(text) for text in X]
        return np.stack(rows) if rows else np.zeros((0, len(CLASSES)))
