"""From labelled files to a written artifact with its card: what `turnout train` does. Needs scikit-learn."""

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn import __version__ as sklearn_version

from classifiers import store
from classifiers.artifact import Graded, HeldOut, load_artifact, save_artifact
from classifiers.errors import DataError
from classifiers.intents.artifact import save_intents
from classifiers.intents.fit import fit_intents
from classifiers.labelled import GradedPrompt, IntentText, fingerprint, read_graded, read_intents
from classifiers.measure.metrics import expected_calibration_error
from classifiers.measure.routing_metrics import interval, routing_metrics
from classifiers.routing.fit import Fitted, fit_routing
from classifiers.routing.model import add_model
from classifiers.shipped.sources import sha256_of
from classifiers.text.embed import StaticEmbedder

Progress = Callable[[float, str], None]
DEFAULT: Final = Path(__file__).parent / "artifacts" / "default"
NEWCOMER_ROWS_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class Order:
    """What to train on, and where to put it. command: for the card."""

    files: Sequence[Path]
    split: str
    out: Path
    name: str
    seed: int
    command: str


@dataclass(frozen=True, slots=True)
class Made:
    """What was trained. summary: for people, how it measured on rows held out in turn."""

    name: str
    version: str
    summary: str


def train_routing(order: Order, weak: str | None, strong: str | None, progress: Progress) -> Made:
    """Train a router's classifier. weak, strong: None to tell them by their mean quality. Raises DataError, OSError."""
    rows = read_graded(order.files, order.split)
    if weak is None or strong is None:
        weak, strong = _pair(rows, weak, strong)
    _check_order(rows, weak, strong)
    base = load_artifact(DEFAULT)
    try:
        fitted = fit_routing(
            [{"prompt": row.prompt, "q": row.q, "topic": row.topic or None} for row in rows],
            weak,
            strong,
            seed=order.seed,
            embedder=base.embedder,
            progress=lambda done, whole, what: progress(done / whole, what),
        )
    except ValueError as exc:
        raise DataError(f"{_names(order)}: {exc}") from exc
    measured = _held_out(fitted, weak, strong)
    card = _card(order) | {
        "purpose": f"Tells for a prompt how much better {strong} would answer than {weak}, and how well each graded model would.",
        "model": "mean of ridge regression on hashed n-grams, kernel ridge regression on hand features, and randomised trees",
        "calibration": "Platt's, on predictions for rows held out in turn",
        "data": _data(order, rows),
        "held_out": measured,
        "limits": [
            "It knows prompts like those it was trained on; `familiarity` says how like them a text is.",
            f"`small` and `skip`: the head that tells small talk apart is that of the shipped {base.name} {base.version}.",
            "Held-out numbers are for rows of the same kind as these. Measure on fresh ones with `turnout evaluate`.",
        ],
    }
    seen = frozenset(fingerprint(prompt) for prompt in fitted.prompts)
    graded = Graded(fitted.model, HeldOut(fitted.predicted, fitted.true), seen)
    made = save_artifact(order.out, card, base.head, base.embedder, graded)
    return Made(made.name, made.version, _told(measured, weak, strong))


def train_intents(order: Order, progress: Progress) -> Made:
    """Train an intent classifier. Raises DataError, OSError."""
    rows = read_intents(order.files, order.split)
    embedder = StaticEmbedder.load()
    try:
        fitted = fit_intents(
            [{"text": row.text, "intent": row.intent} for row in rows],
            seed=order.seed,
            embedder=embedder,
            progress=lambda done, whole, what: progress(done / whole, what),
        )
    except ValueError as exc:
        raise DataError(f"{_names(order)}: {exc}") from exc
    counts = Counter(row.intent for row in rows)
    card = _card(order) | {
        "purpose": f"Names which of {len(fitted.intents)} intents a text has, and how likely that is; refuses what has none.",
        "model": "mean of linear support vector machines on n-grams and meaning, and kernel ridge regression on meaning",
        "calibration": "logistic, on texts held out in turn, those of intents that the model was not told of among them",
        "data": _data(order, rows),
        "rows_by_intent": dict(sorted(counts.items())),
        "limits": [
            "It names the likeliest of its intents for any text: refuse what is below a confidence (`intent_above`).",
            "Texts of a kind that nobody labelled may be taken for an intent that they resemble.",
        ],
    }
    seen = frozenset(fingerprint(row.text) for row in rows)
    made = save_intents(order.out, card, fitted, embedder, seen)
    inside = len(rows) - counts["oos"]
    return Made(made.name, made.version, f"{inside:,} texts of {len(made.intents)} intents, {counts['oos']:,} out of scope")


def join(order: Order, base: Path, name: str, progress: Progress) -> Made:
    """The artifact `base` with the model `name` among those it grades. Raises DataError, ArtifactError, OSError."""
    artifact = load_artifact(base)
    if not artifact.graded:
        raise DataError(f"{base} was not trained on graded answers, so no model can join it; train one with `turnout train`")
    rows = [row for row in read_graded(order.files, order.split) if name in row.q]
    if len(rows) < NEWCOMER_ROWS_MIN:
        raise DataError(
            f"{_names(order)}: {len(rows)} rows grade '{name}'; give {NEWCOMER_ROWS_MIN} or more, 50 are a good start"
        )
    progress(0.0, f"looking at {len(rows)} prompts")
    model = add_model(artifact.model, [{"prompt": row.prompt, "q": row.q} for row in rows], name)
    graded = artifact.with_newcomer(model, frozenset(fingerprint(row.prompt) for row in rows))
    others = [known for known in artifact.graded if known != name]
    joined = {"model": name, "rows": len(rows), "mean_quality": float(np.mean([row.q[name] for row in rows]))}
    earlier = [one for one in artifact.card.get("joined", ()) if one["model"] != name]
    card = {key: value for key, value in artifact.card.items() if key not in store.ADDED}
    card["data"] = [*card.get("data", ()), *_data(order, rows)]
    card |= {**_card(order), "joined": [*earlier, joined], "base": artifact.version}
    made = save_artifact(order.out, card, artifact.head, artifact.embedder, graded)
    return Made(made.name, made.version, f"{name} joins {', '.join(others)} by {len(rows)} graded answers")


def _pair(rows: Sequence[GradedPrompt], weak: str | None, strong: str | None) -> tuple[str, str]:
    """Which two models, where at least one was left out."""
    models = sorted({model for row in rows for model in row.q})
    rest = [model for model in models if model not in (weak, strong)]
    if weak is None and strong is None and len(models) == 2:
        first, second = (float(np.mean([row.q[model] for row in rows if model in row.q])) for model in models)
        return (models[0], models[1]) if first <= second else (models[1], models[0])
    if len(models) == 2 and len(rest) == 1:
        return (rest[0], strong) if strong is not None else (str(weak), rest[0])
    raise DataError(f"the rows grade {len(models)} models; say with --weak and --strong which two: {', '.join(models) or 'none'}")


def _check_order(rows: Sequence[GradedPrompt], weak: str, strong: str) -> None:
    """Raises DataError when the strong model is the worse one: a router between them would be upside down."""
    both = [(row.q[weak], row.q[strong]) for row in rows if weak in row.q and strong in row.q]
    low, high = (float(np.mean(column)) for column in zip(*both, strict=True)) if both else (0.0, 1.0)
    if both and high <= low:
        raise DataError(
            f"'{strong}' answers no better than '{weak}' ({high:.3f} and {low:.3f} on {len(both)} rows): there is nothing to "
            "route for; if they are the wrong way round, swap --weak and --strong"
        )


def _card(order: Order) -> dict[str, Any]:
    return {
        "name": order.name,
        "made": datetime.now(UTC).date().isoformat(),
        "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn_version},
        "seed": order.seed,
        "command": order.command,
    }


def _names(order: Order) -> str:
    return ", ".join(str(path) for path in order.files)


def _data(order: Order, rows: Sequence[GradedPrompt] | Sequence[IntentText]) -> list[dict[str, Any]]:
    """A line a file. Rows are told apart by the file that their place names."""
    return [
        {
            "name": path.name,
            "rows": sum(row.at.startswith(f"{path}:") for row in rows),
            "split": order.split,
            "sha256": sha256_of(path),
        }
        for path in order.files
    ]


def _held_out(fitted: Fitted, weak: str, strong: str) -> dict[str, Any]:
    low, high = (fitted.true[:, fitted.model.models.index(name)] for name in (weak, strong))
    values = routing_metrics(fitted.gain, low, high)
    bounds = interval(lambda drawn: routing_metrics(fitted.gain[drawn], low[drawn], high[drawn]), len(low))
    measured: dict[str, Any] = {"rows": len(low), "weak": float(low.mean()), "strong": float(high.mean())}
    measured |= {
        name: {"value": _finite(value), "interval": [_finite(bound) for bound in bounds[name]]} for name, value in values.items()
    }
    measured["ece"] = expected_calibration_error(fitted.p_strong, high > low, np.ones(len(low)))
    return measured


def _told(measured: Mapping[str, Any], weak: str, strong: str) -> str:
    def span(name: str) -> str:
        found = measured[name]
        if found["value"] is None:
            return "–"
        low, high = found["interval"]
        return f"{found['value']:.3f} [{low:.3f}, {high:.3f}]"

    return "\n".join(
        [
            f"{measured['rows']:,} rows, each predicted by a model that had not seen it nor its near-duplicates:",
            f"  {weak} {measured['weak']:.3f} → {strong} {measured['strong']:.3f}",
            f"  APGR {span('apgr')} (random 0.5), cost saved at 95 % of the quality {span('cost_saved_at_q')}",
            f"  expected calibration error {measured['ece']:.3f}",
        ]
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
