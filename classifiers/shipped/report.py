"""What the card of the shipped classifier says: how it measures on dev, what it learned from, where it ends. Training only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Probabilities
from classifiers.measure.metrics import classification, expected_calibration_error, one_vs_rest, precision_at
from classifiers.measure.routing_metrics import apgr
from classifiers.shipped.head import CLASSES
from classifiers.shipped.rows import Rows
from classifiers.shipped.sources import COMMANDS, SMALL_TALK_SET, SOURCES, Example, file_of, sha256_of

ABSTAIN_BELOW: Final = 0.55
SKIP: Final = CLASSES.index("skip")
SURE: Final = (0.6, 0.7, 0.75, 0.8, 0.9)
PURPOSE: Final = (
    "Tells small talk that needs no LLM (`skip`) from requests a small model serves (`small`) and those worth a strong "
    "one (`strong`). Character and token n-grams, static embedding and hand features of the normalised text, one linear "
    "layer, calibrated."
)
LIMITS: Final = (
    "Sees the first 2,400 and the last 600 characters of one text; it knows no earlier turns, so a bare `yes` is never `skip`.",
    "`strong` means: of one pair of models, only the stronger was right, or the prompt was picked for being hard. Other "
    "pairs differ; retrain on your own traffic. Routers trained elsewhere do little better than chance (RouteLLM, "
    "arXiv 2406.18665).",
    "Law, medicine, security and proofs are `strong` by decision, whatever a small model might know; the project's "
    "own hard rows, small talk and commands weigh more in the fit than they do in calibration and in these figures.",
    "Calibrated for the mixture of sets above, not for yours. Nearly all of the data is English; other languages are in the "
    "project's own rows alone.",
    "Prompts that neither model answered are left out of training and accuracy; they count in APGR alone.",
    "Regularisation, costs and the weights of the sets were chosen on dev, so dev is a little kind.",
)


def metrics(probabilities: Probabilities, rows: Rows) -> dict[str, Any]:
    """All that the card reports about dev. probabilities: (n, 3)."""
    kept = rows.is_labelled
    by_source = {}
    for source in SOURCES:
        mine = (rows.sources == source.name) & kept
        if mine.any():
            part = classification(probabilities[mine], rows.labels[mine], np.ones(mine.sum()), CLASSES, ABSTAIN_BELOW)
            ranked = _apgr(probabilities, rows, source.name)
            by_source[source.name] = {**part, **({"apgr": ranked} if ranked is not None else {})}
    by_class = {
        name: one_vs_rest(probabilities[kept, column], rows.labels[kept] == column, rows.weights[kept])
        for column, name in enumerate(CLASSES)
    }
    return {
        "all": classification(probabilities[kept], rows.labels[kept], rows.weights[kept], CLASSES, ABSTAIN_BELOW),
        "ece_by_class": {name: ece for name, (ece, _) in by_class.items()},
        "reliability": {name: bins for name, (_, bins) in by_class.items()},
        "sure_skip": precision_at(probabilities[kept, SKIP], rows.labels[kept] == SKIP, 0.9),
        "skipped": skipped(probabilities, rows),
        "by_source": by_source,
    }


def skipped(probabilities: Probabilities, rows: Rows) -> list[dict[str, float]]:
    """By least P(skip): the share of small talk and the share of other assistants' commands that are skipped."""
    talk, commands = rows.sources == SMALL_TALK_SET, np.isin(rows.sources, COMMANDS)
    if not talk.any() or not commands.any():
        return []
    score = probabilities[:, SKIP]
    return [
        {"at": at, "small_talk": float((score[talk] >= at).mean()), "other_commands": float((score[commands] >= at).mean())}
        for at in SURE
    ]


def summary(probabilities: Probabilities, rows: Rows) -> dict[str, float | None]:
    """One line of the comparison of learners."""
    whole = metrics(probabilities, rows)
    ranked = {f"apgr_{name}": _apgr(probabilities, rows, name) for name in ("mmlu", "gsm8k", "llmrouter")}
    return {**{key: whole["all"][key] for key in ("accuracy", "ece", "log_loss")}, **ranked}


def ece(probabilities: Probabilities, rows: Rows) -> float:
    """Expected calibration error of the likeliest class."""
    kept = rows.is_labelled
    p, labels = probabilities[kept], rows.labels[kept]
    return expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels, rows.weights[kept])


def data(examples: Sequence[Example], root: Path) -> list[dict[str, Any]]:
    """A line for each source: where it comes from, its licence, how many labelled rows, the hash of its file."""
    labelled = [example for example in examples if example.label is not None]
    return [
        {
            "name": source.name,
            "file": source.file,
            "origin": source.origin,
            "licence": source.licence,
            "labels": source.labels,
            "weight": source.mass,
            "train": sum(e.source == source.name and not e.is_dev for e in labelled),
            "dev": sum(e.source == source.name and e.is_dev for e in labelled),
            "sha256": sha256_of(file_of(source, root)),
        }
        for source in SOURCES
    ]


def _apgr(probabilities: Probabilities, rows: Rows, source: str) -> float | None:
    """Of all the source's rows that both models answered; None if there is no gap to recover."""
    mine = (rows.sources == source) & ~np.isnan(rows.weak)
    if not mine.any() or rows.strong[mine].sum() <= rows.weak[mine].sum():
        return None
    return apgr(probabilities[mine, CLASSES.index("strong")], rows.weak[mine], rows.strong[mine])
