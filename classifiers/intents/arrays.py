"""An intent model as plain arrays and settings, and back. No pickle, no text: n-grams are kept as hashes."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.intents.model import EVIDENCE, OOS, IntentModel, Landmarks, Linear, in_scope
from classifiers.intents.views import CHAR_SIZES, WORD_SIZES, Rarity, Singles, Vocabulary, WordEmbedder, checked
from classifiers.text.ngrams import Buckets

Arrays = Mapping[str, npt.NDArray[Any]]

LAYOUT: Final = {"words": list(WORD_SIZES), "chars": list(CHAR_SIZES), "evidence": list(EVIDENCE)}


def half(array: npt.NDArray[np.floating[Any]]) -> Singles:
    """The numbers as half precision keeps them, so that a model scores alike before and after it was stored."""
    return array.astype(np.float16).astype(np.float32)


def to_arrays(model: IntentModel) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Arrays and JSON-able settings that `from_arrays` takes. Large arrays in half precision."""
    linear, landmarks, rarity = model.linear, model.landmarks, model.rarity
    arrays: dict[str, npt.NDArray[Any]] = {
        "rarity_words": rarity.words,
        "rarity_weight": rarity.weight,
        "word_buckets": linear.words.buckets,
        "word_idf": linear.words.idf,
        "word_weight": linear.word_weight.astype(np.float16),
        "char_buckets": linear.chars.buckets,
        "char_idf": linear.chars.idf,
        "char_weight": linear.char_weight.astype(np.float16),
        "meaning_weight": linear.meaning_weight.astype(np.float16),
        "bias": linear.bias,
        "landmarks": landmarks.meanings.astype(np.float16),
        "landmark_weight": landmarks.weight,
        "trust": model.trust,
    }
    settings = {"classes": list(model.classes), "unknown": rarity.unknown, "width": landmarks.width, "layout": LAYOUT}
    return arrays, settings


def from_arrays(arrays: Arrays, settings: Mapping[str, Any], embedder: WordEmbedder) -> IntentModel:
    """The model that `to_arrays` took apart. embedder: the one it was fitted with.

    Raises ValueError naming the array or the setting that is missing, misshapen or out of bounds.
    """
    classes, unknown, width = _settings(settings)
    k, d = len(classes), embedder.dim
    words, chars = (_ascending(arrays, f"{kind}_buckets") for kind in ("word", "char"))
    known = _ascending(arrays, "rarity_words")
    landmarks = _singles(arrays, "landmarks", (None, d))
    if not len(landmarks):
        raise ValueError("array landmarks is empty")
    return IntentModel(
        classes=classes,
        embedder=embedder,
        rarity=Rarity(known, _singles(arrays, "rarity_weight", known.shape), unknown),
        linear=Linear(
            words=Vocabulary(words, _singles(arrays, "word_idf", words.shape)),
            chars=Vocabulary(chars, _singles(arrays, "char_idf", chars.shape)),
            word_weight=_singles(arrays, "word_weight", (len(words), k)),
            char_weight=_singles(arrays, "char_weight", (len(chars), k)),
            meaning_weight=_singles(arrays, "meaning_weight", (d, k)),
            bias=_singles(arrays, "bias", (k,)),
        ),
        landmarks=Landmarks(landmarks, _singles(arrays, "landmark_weight", (len(landmarks), k)), width),
        trust=checked(arrays, "trust", (len(EVIDENCE) + 1,)).astype(np.float64),
    )


def _settings(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], float, float]:
    if settings.get("layout") != LAYOUT:
        raise ValueError(f"setting layout is {settings.get('layout')!r}, this version reads {LAYOUT!r}")
    classes = settings.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or len(set(classes)) < len(classes):
        raise ValueError(f"setting classes is {classes!r}, expected different names")
    if OOS in classes[:-1] or not classes or len(in_scope(tuple(classes))) < 2:
        raise ValueError(f"setting classes has {classes!r}, expected two intents or more, and `{OOS}` last if at all")
    numbers = []
    for name in ("unknown", "width"):
        value = settings.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e3:
            raise ValueError(f"setting {name} is {value!r}, expected a number above 0")
        numbers.append(float(value))
    return tuple(classes), numbers[0], numbers[1]


def _singles(arrays: Arrays, name: str, shape: tuple[int | None, ...]) -> Singles:
    return np.ascontiguousarray(checked(arrays, name, shape), np.float32)


def _ascending(arrays: Arrays, name: str) -> Buckets:
    array = checked(arrays, name, (None,))
    if array.dtype != np.uint32:
        raise ValueError(f"array {name} has type {array.dtype}, expected uint32")
    if not (array[1:] > array[:-1]).all():
        raise ValueError(f"array {name} is not ascending")
    return array.astype(np.uint32)
