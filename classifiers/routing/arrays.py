"""A routing model as plain arrays and settings, and back, with every array checked. numpy only.

What is kept of the training texts is numbers: tables by hash bucket, trees, and the embeddings and feature values of
the landmarks. The large arrays are half precision; `routing_fit` rounds them before it measures anything.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.routing.forest import Forest
from classifiers.routing.kernel import Kernel
from classifiers.routing.lexical import Lexical
from classifiers.routing.model import RoutingModel, TokenEmbedder
from classifiers.routing.regressions import COUNT, Regressions
from classifiers.routing.views import BITS, HAND_NAMES

Array = npt.NDArray[Any]

FORMAT: Final = 2
# Each array's type on disk and its shape; letters stand for lengths that must agree.
SHAPES: Final[dict[str, tuple[type[np.generic], tuple[str | int, ...]]]] = {
    "char_idf": (np.float16, (2 ** BITS[0],)),
    "char_weights": (np.float16, (2 ** BITS[0], "outputs")),
    "token_idf": (np.float16, (2 ** BITS[1],)),
    "token_weights": (np.float16, (2 ** BITS[1], "outputs")),
    "lexical_bias": (np.float32, ("outputs",)),
    "feature_mean": (np.float32, (len(HAND_NAMES),)),
    "feature_scale": (np.float32, (len(HAND_NAMES),)),
    "embedding_mean": (np.float32, ("dimensions",)),
    "landmark_features": (np.float16, ("landmarks", len(HAND_NAMES))),
    "landmark_embeddings": (np.float16, ("landmarks", "dimensions")),
    "landmark_weights": (np.float32, ("landmarks", "outputs")),
    "kernel_bias": (np.float32, ("outputs",)),
    "directions": (np.float32, ("dimensions", "directions")),
    "node_feature": (np.int16, ("nodes",)),
    "node_threshold": (np.float32, ("nodes",)),
    "node_left": (np.int32, ("nodes",)),
    "node_right": (np.int32, ("nodes",)),
    "node_value": (np.float16, ("nodes", "outputs")),
    "roots": (np.int32, ("trees",)),
    "mix": (np.float32, ("outputs of all", "traits")),
    "trait_bias": (np.float32, ("traits",)),
    "trait_scale": (np.float32, ("traits",)),
    "effort_weight": (np.float32, (1,)),
    "calibration": (np.float64, ("knots", 2)),
    "quality_weights": (np.float64, ("models", "traits and offset")),
    "familiarity_steps": (np.float32, ("steps",)),
}


def to_arrays(model: RoutingModel) -> dict[str, Array]:
    """What `from_arrays` takes, beside `settings_of`; some 8 MB for 8,000 training rows."""
    parts = model.regressions
    lexical, kernel, forest = parts.lexical, parts.kernel, parts.forest
    arrays: dict[str, Array] = {
        "char_idf": lexical.idf[0],
        "char_weights": lexical.weights[0],
        "token_idf": lexical.idf[1],
        "token_weights": lexical.weights[1],
        "lexical_bias": lexical.bias,
        "feature_mean": kernel.feature_mean,
        "feature_scale": kernel.feature_scale,
        "embedding_mean": kernel.embedding_mean,
        "landmark_features": kernel.landmark_features,
        "landmark_embeddings": kernel.landmark_embeddings,
        "landmark_weights": kernel.weights,
        "kernel_bias": kernel.bias,
        "directions": parts.directions,
        "node_feature": forest.feature,
        "node_threshold": forest.threshold,
        "node_left": forest.left,
        "node_right": forest.right,
        "node_value": forest.value,
        "roots": forest.roots,
        "mix": model.mix,
        "trait_bias": model.trait_bias,
        "trait_scale": model.trait_scale,
        "effort_weight": model.effort_weight,
        "calibration": model.calibration,
        "quality_weights": model.quality_weights,
        "familiarity_steps": model.familiarity_steps,
    }
    return {name: arrays[name].astype(dtype) for name, (dtype, _) in SHAPES.items()}


def settings_of(model: RoutingModel) -> dict[str, Any]:
    """What is not an array, fit for JSON: format, names of models and of the features, the embedder."""
    return {
        "format": FORMAT,
        "models": list(model.models),
        "weak": model.weak,
        "strong": model.strong,
        "embedder": model.embedder.name,
        "feature_names": list(HAND_NAMES),
    }


def from_arrays(arrays: Mapping[str, Array], saved: Mapping[str, Any], embedder: TokenEmbedder) -> RoutingModel:
    """The model that `to_arrays` and `settings_of` came from.

    Raises ValueError, naming the array or the setting, if one is missing, misshapen, not finite, or made for another
    embedder or other features.
    """
    models = _models(saved, embedder)
    if missing := [name for name in SHAPES if name not in arrays]:
        raise ValueError(f"arrays missing: {', '.join(missing)}")
    checked = {name: _checked(name, arrays[name]) for name in SHAPES}
    _check_lengths(checked, len(models))
    _check_trees(checked)
    _check_values(checked)
    return RoutingModel(
        models=models,
        weak=saved["weak"],
        strong=saved["strong"],
        regressions=_regressions(checked),
        mix=checked["mix"],
        trait_bias=checked["trait_bias"],
        trait_scale=checked["trait_scale"],
        effort_weight=checked["effort_weight"],
        calibration=checked["calibration"],
        quality_weights=checked["quality_weights"],
        familiarity_steps=checked["familiarity_steps"],
        embedder=embedder,
    )


def _regressions(checked: Mapping[str, Array]) -> Regressions:
    return Regressions(
        Lexical(
            (checked["char_idf"].astype(np.float32), checked["token_idf"].astype(np.float32)),
            (checked["char_weights"].astype(np.float32), checked["token_weights"].astype(np.float32)),
            checked["lexical_bias"],
        ),
        Kernel(
            checked["feature_mean"],
            checked["feature_scale"],
            checked["embedding_mean"],
            checked["landmark_features"].astype(np.float32),
            checked["landmark_embeddings"].astype(np.float32),
            checked["landmark_weights"],
            checked["kernel_bias"],
        ),
        Forest(
            checked["node_feature"],
            checked["node_threshold"],
            checked["node_left"],
            checked["node_right"],
            checked["node_value"],
            checked["roots"],
        ),
        checked["directions"],
    )


def _models(saved: Mapping[str, Any], embedder: TokenEmbedder) -> tuple[str, ...]:
    if saved.get("format") != FORMAT:
        raise ValueError(f"setting format is {saved.get('format')!r}, this version reads {FORMAT}")
    if saved.get("embedder") != embedder.name:
        raise ValueError(f"setting embedder is {saved.get('embedder')!r}, this is '{embedder.name}'")
    if saved.get("feature_names") != list(HAND_NAMES):
        raise ValueError("setting feature_names is not what this version computes: train anew")
    models = saved.get("models")
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models) or len(set(models)) < len(models):
        raise ValueError("setting models must be a list of distinct names")
    for side in ("weak", "strong"):
        if saved.get(side) not in models:
            raise ValueError(f"setting {side} is {saved.get(side)!r}, which is not among models")
    return tuple(models)


def _checked(name: str, array: Array) -> Array:
    dtype, shape = SHAPES[name]
    if not np.can_cast(array.dtype, dtype, "same_kind") or array.ndim != len(shape):
        raise ValueError(f"array {name} is {array.dtype} of {array.ndim} axes, expected {dtype.__name__} of {len(shape)}")
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype)
    if not np.isfinite(cast).all():
        raise ValueError(f"array {name} holds numbers that are not finite")
    return cast


def _check_lengths(arrays: Mapping[str, Array], models: int) -> None:
    outputs, traits = len(arrays["lexical_bias"]), len(arrays["trait_bias"])
    lengths: dict[str | int, int] = {"outputs of all": COUNT * outputs, "traits and offset": 1 + traits, "models": models}
    for name, (_, shape) in SHAPES.items():
        for letter, found in zip(shape, arrays[name].shape, strict=True):
            expected = letter if isinstance(letter, int) else lengths.setdefault(letter, found)
            if found != expected or not found:
                raise ValueError(f"array {name} has shape {arrays[name].shape}; {letter} must be {max(expected, 1)}")


def _check_trees(arrays: Mapping[str, Array]) -> None:
    nodes, columns = len(arrays["node_left"]), len(HAND_NAMES) + arrays["directions"].shape[1]
    if not ((arrays["node_feature"] >= 0) & (arrays["node_feature"] < columns)).all():
        raise ValueError(f"array node_feature must be from 0 to {columns - 1}")
    for name in ("node_left", "node_right"):
        # A child before its parent could send a text in circles.
        if not ((arrays[name] >= np.arange(nodes)) & (arrays[name] < nodes)).all():
            raise ValueError(f"array {name} must point to the node itself or to one after it")
    if not ((arrays["roots"] >= 0) & (arrays["roots"] < nodes)).all():
        raise ValueError(f"array roots must be from 0 to {nodes - 1}")


def _check_values(arrays: Mapping[str, Array]) -> None:
    if not (arrays["trait_scale"] > 0).all():
        raise ValueError("array trait_scale must be above 0")
    for name in ("feature_scale", "char_idf", "token_idf"):
        if (arrays[name] < 0).any():
            raise ValueError(f"array {name} must not be below 0")
    if (np.diff(arrays["familiarity_steps"]) < 0).any():
        raise ValueError("array familiarity_steps must not descend")
    if (np.diff(arrays["calibration"], axis=0) < 0).any():
        raise ValueError("array calibration must not descend")
