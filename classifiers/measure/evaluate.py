"""How good an artifact is on labelled rows: numbers with intervals, beside what needs no learning, and where it is weak.

Rows that the artifact was trained on are left out of every number, known by their fingerprints.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import Artifact
from classifiers.errors import DataError
from classifiers.intents.artifact import IntentArtifact
from classifiers.intents.model import Intent
from classifiers.labelled import GradedPrompt, IntentText, fingerprint
from classifiers.measure.metrics import expected_calibration_error
from classifiers.measure.routing_metrics import Curve, Floats, curve, interval, routing_metrics
from classifiers.measure.slices import language

OOS: Final = "oos"
NEIGHBOURS: Final = 25
BINS: Final = 10
SLICE_ROWS_MIN: Final = 40
UNSEEN_MIN: Final = 20
KEEP: Final = 0.95  # of the in-scope texts, where out-of-scope recall is read

Mask = npt.NDArray[np.bool_]


class Graded:
    """The rows that grade both models as arrays, all (n,), with the artifact's scores of them. every: all rows given."""

    def __init__(self, artifact: Artifact, rows: Sequence[GradedPrompt], weak: str, strong: str) -> None:
        """Raises DataError if no row has both models."""
        has_both = np.array([weak in row.q and strong in row.q for row in rows], np.bool_)
        self.every: Final = rows
        self.rows: Final = [row for row, is_graded in zip(rows, has_both, strict=True) if is_graded]
        if not self.rows:
            known = sorted({model for row in rows for model in row.q})
            raise DataError(f"no row grades both '{weak}' and '{strong}'; models graded there: {', '.join(known) or 'none'}")
        texts = [row.prompt for row in self.rows]
        self._scored = artifact.scores([row.prompt for row in rows])
        self.scores: Final = self._scored.of(has_both)
        self.weak: Final = np.array([row.q[weak] for row in self.rows])
        self.strong: Final = np.array([row.q[strong] for row in self.rows])
        self.unseen: Final[Mask] = np.array([fingerprint(text) not in artifact.seen for text in texts])

    def lines(self) -> list[dict[str, Any]]:
        """What `--scores` writes: a line for each row given, in order, whether it grades both models or not."""
        scored = zip(self.every, self._scored.gain, self._scored.p_strong, strict=True)
        return [{"id": row.id, "score": float(gain), "p_strong": float(p)} for row, gain, p in scored]

    def measured(self) -> Mask:
        """The rows that numbers are taken from: those not trained on. Raises DataError if there are too few."""
        if self.unseen.sum() < UNSEEN_MIN:
            raise DataError(
                f"{int(self.unseen.sum())} of {len(self.rows)} rows were not trained on, too few to measure by; "
                "give other rows (--data, --split)"
            )
        return self.unseen


def evaluate_routing(artifact: Artifact, graded: Graded, weak: str, strong: str) -> tuple[dict[str, Any], dict[str, Curve]]:
    """The report as JSON, and the curves for its picture, ours first."""
    kept = graded.measured()
    rows = [row for row, is_kept in zip(graded.rows, kept, strict=True) if is_kept]
    low, high = graded.weak[kept], graded.strong[kept]
    beside = {"this artifact": graded.scores.gain[kept], **_rivals(artifact, rows, low, high)}
    measured = {name: _measured(score, low, high) for name, score in beside.items()}
    p_strong, is_better = graded.scores.p_strong[kept], high > low
    report = {
        "task": "routing",
        "artifact": {"name": artifact.name, "version": artifact.version},
        "weak": weak,
        "strong": strong,
        "trained_for": [artifact.weak, artifact.strong] if artifact.weak else None,
        "rows": len(rows),
        "seen_in_training": int(len(kept) - kept.sum()),
        "quality": {"weak": float(low.mean()), "strong": float(high.mean())},
        "metrics": measured.pop("this artifact"),
        "beside": measured,
        "calibration": {
            "of": f"P({strong} is better than {weak})",
            "ece": expected_calibration_error(p_strong, is_better, np.ones(len(rows))),
            "base_rate": float(is_better.mean()),
            "bins": _bins(p_strong, is_better),
        },
        "models": _per_model(graded, kept),
        "slices": _slices(rows, lambda mine: _slice(graded.scores.gain[kept][mine], low[mine], high[mine])),
    }
    return report, {name: curve(score, low, high) for name, score in beside.items()}


def intent_lines(rows: Sequence[IntentText], said: Sequence[Intent]) -> list[dict[str, Any]]:
    """What `--scores` writes, a line for each row."""
    return [
        {"id": row.id, "text": row.text, "intent": one.intent, "confidence": one.confidence}
        for row, one in zip(rows, said, strict=True)
    ]


def evaluate_intents(artifact: IntentArtifact, rows: Sequence[IntentText], said: Sequence[Intent]) -> dict[str, Any]:
    """The report as JSON. said: what the artifact says of each row."""
    unseen = np.array([fingerprint(row.text) not in artifact.seen for row in rows])
    if unseen.sum() < UNSEEN_MIN:
        raise DataError(f"{int(unseen.sum())} of {len(rows)} rows were not trained on, too few to measure by; give other rows")
    kept = [i for i, is_unseen in enumerate(unseen) if is_unseen]
    confidence = np.array([said[i].confidence for i in kept])
    in_scope = np.array([rows[i].intent != OOS for i in kept])
    is_right = np.array([said[i].intent == rows[i].intent for i in kept])

    def numbers(drawn: npt.NDArray[np.intp]) -> dict[str, float]:
        return _intent_numbers(confidence[drawn], in_scope[drawn], is_right[drawn])

    values = numbers(np.arange(len(kept)))
    intervals = interval(numbers, len(kept))
    return {
        "task": "intent",
        "artifact": {"name": artifact.name, "version": artifact.version},
        "rows": len(kept),
        "out_of_scope_rows": int((~in_scope).sum()),
        "seen_in_training": len(rows) - len(kept),
        "metrics": {name: _with_interval(value, intervals[name]) for name, value in values.items()},
        "calibration": {
            "of": "P(the intent is right; for an out-of-scope text it never is)",
            "ece": expected_calibration_error(confidence, is_right & in_scope, np.ones(len(kept))),
            "bins": _bins(confidence, is_right & in_scope),
        },
        "slices": _slices(
            [rows[i] for i in kept],
            lambda mine: {"rows": int(mine.sum()), **_finite(numbers(np.flatnonzero(mine)))},
        ),
    }


def _intent_numbers(confidence: Floats, in_scope: Mask, is_right: Mask) -> dict[str, float]:
    """Larson et al., "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction" (2019)."""
    inside, outside = confidence[in_scope], confidence[~in_scope]
    # nan, not left out: some draws of the bootstrap have no text out of scope even if the rows have a few.
    has_both = len(inside) > 0 and len(outside) > 0
    return {
        "in_scope_accuracy": float(is_right[in_scope].mean()) if len(inside) else float("nan"),
        "oos_recall_at_95": float((outside < np.quantile(inside, 1 - KEEP)).mean()) if has_both else float("nan"),
    }


def _rivals(artifact: Artifact, rows: Sequence[GradedPrompt], weak: Floats, strong: Floats) -> dict[str, Floats]:
    """What needs no learning or cheats: the length, the neighbours among these rows, and one that knows the outcome."""
    texts = [row.prompt for row in rows]
    return {
        "length": np.array([float(len(text)) for text in texts]),
        f"{NEIGHBOURS} nearest neighbours": _neighbours(artifact.embedder.encode_many(texts), strong - weak),
        "random": np.zeros(len(rows)),
        "oracle": strong - weak,
    }


def _neighbours(embeddings: npt.NDArray[np.float32], gain: Floats) -> Floats:
    """Mean gain of the nearest other rows, (n,)."""
    n = len(gain)
    k = min(NEIGHBOURS, n - 1)
    out = np.empty(n)
    for start in range(0, n, 1024):
        near = embeddings[start : start + 1024] @ embeddings.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf  # not itself
        out[start : start + 1024] = gain[np.argpartition(-near, k - 1, axis=1)[:, :k]].mean(axis=1)
    return out


def _measured(score: Floats, weak: Floats, strong: Floats) -> dict[str, Any]:
    values = routing_metrics(score, weak, strong)
    intervals = interval(lambda drawn: routing_metrics(score[drawn], weak[drawn], strong[drawn]), len(score))
    return {name: _with_interval(value, intervals[name]) for name, value in values.items()}


def _with_interval(value: float, bounds: tuple[float, float]) -> dict[str, Any]:
    return {"value": _number(value), "interval": [_number(bound) for bound in bounds]}


def _bins(said: Floats, came_true: Mask) -> list[dict[str, Any]]:
    """Reliability: equally many rows in each bin."""
    parts = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(said)))
    return [
        {"said": float(said[part].mean()), "came_true": float(came_true[part].mean()), "rows": len(part)}
        for part in parts
        if len(part)
    ]


def _per_model(graded: Graded, kept: Mask) -> dict[str, Any]:
    """For each graded model, predicted beside true quality."""
    found = {}
    for column, model in enumerate(graded.scores.models):
        mine = kept & np.array([model in row.q for row in graded.rows])
        if mine.any():
            true = np.array([row.q[model] for row, is_mine in zip(graded.rows, mine, strict=True) if is_mine])
            said = graded.scores.quality[mine, column]
            found[model] = {"rows": len(true), "quality": float(true.mean()), "predicted": float(said.mean())}
    return found


def _slices(
    rows: Sequence[GradedPrompt] | Sequence[IntentText], numbers: Callable[[Mask], dict[str, Any]]
) -> list[dict[str, Any]]:
    keys = {"language": [language(row.text) for row in rows], "topic": [row.topic for row in rows]}
    found = []
    for by, values in keys.items():
        array = np.array(values)
        for value in sorted(set(values) - {""}):
            mine = array == value
            if mine.sum() >= SLICE_ROWS_MIN:
                found.append({"by": by, "value": value, **numbers(mine)})
    return found


def _slice(score: Floats, weak: Floats, strong: Floats) -> dict[str, Any]:
    found = routing_metrics(score, weak, strong)
    return {
        "rows": len(score),
        "weak": float(weak.mean()),
        "strong": float(strong.mean()),
        "apgr": _number(found["apgr"]),
        "cost_saved_at_q": _number(found["cost_saved_at_q"]),
    }


def _finite(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in numbers.items()}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
