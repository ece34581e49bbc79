"""Graded prompts as arrays: which rows the routing model can learn from, and a refusal by name of those it cannot."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS_MIN: Final = 20
# A column that names what a prompt is about; used in training only, as a hint where gains are alike.
TOPIC_COLUMNS: Final = ("subject", "topic", "category", "task")

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Graded:
    """n rows that have an answer of both models. quality: (n, len(models)), NaN where a model gave no answer."""

    prompts: list[str]
    models: tuple[str, ...]
    quality: Floats
    topics: list[str | None]

    def of(self, model: str) -> Floats:
        """(n,) the model's quality, NaN where it gave no answer."""
        column: Floats = self.quality[:, self.models.index(model)]
        return column


def graded(rows: Sequence[Row], weak: str, strong: str) -> Graded:
    """The rows that have both models' quality, all their models with them.

    Raises ValueError, with the row's number, for a row that is not `{prompt, q: {model: 0..1}}`, and if fewer than
    ROWS_MIN rows remain or the strong model is never better than the weak one.
    """
    if weak == strong:
        raise ValueError(f"weak and strong are both '{weak}': name two models")
    read = [(row, _qualities(row, number)) for number, row in enumerate(rows, 1)]
    kept = [(row, q) for row, q in read if weak in q and strong in q]
    if not kept:
        known = ", ".join(sorted({model for _, q in read for model in q})) or "none"
        raise ValueError(f"no row grades both '{weak}' and '{strong}'; models graded: {known}")
    if len(kept) < ROWS_MIN:
        raise ValueError(f"{len(kept)} rows grade both '{weak}' and '{strong}'; at least {ROWS_MIN} are needed")
    if not any(q[strong] > q[weak] for _, q in kept):
        raise ValueError(f"'{strong}' is nowhere better than '{weak}' in {len(kept)} rows: there is nothing to learn")
    models = tuple(sorted({model for _, q in kept for model in q}))
    quality = np.array([[q.get(model, math.nan) for model in models] for _, q in kept])
    return Graded([row["prompt"] for row, _ in kept], models, quality, [_topic(row) for row, _ in kept])


def answer(row: Row, model: str, number: int) -> tuple[str, float | None]:
    """The row's prompt and one model's quality, None if it was not graded. Raises ValueError as `graded` does."""
    quality = _qualities(row, number).get(model)
    return str(row["prompt"]), quality


def _qualities(row: Row, number: int) -> dict[str, float]:
    if not isinstance(row.get("prompt"), str):
        raise ValueError(f"row {number}: 'prompt' must be a text, not {type(row.get('prompt')).__name__}")
    q = row.get("q")
    if not isinstance(q, Mapping):
        raise ValueError(f"row {number}: 'q' must map models to quality, not {type(q).__name__}")
    for model, value in q.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:  # false for NaN
            raise ValueError(f"row {number}: quality {value!r} of '{model}' must be a number from 0 to 1")
    return {str(model): float(value) for model, value in q.items()}


def _topic(row: Row) -> str | None:
    for column in TOPIC_COLUMNS:
        if isinstance(row.get(column), str):
            return f"{column}={row[column]}"
    return None
