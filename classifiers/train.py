"""The command that trains a classifier: python -m classifiers.train --data DIR --out classifiers/artifacts/default

Reads the labelled sets, compares learners, calibrates on held-out folds, measures on dev and writes an artifact.
"""

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn import __version__ as sklearn_version
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from classifiers.artifact import Artifact, save_artifact
from classifiers.augment import augment
from classifiers.base import Classifier, Matrix, Probabilities, Weights
from classifiers.calibrate import Calibration, calibrate
from classifiers.embed import StaticEmbedder
from classifiers.features import features
from classifiers.learners import Boosting, Logistic, Neighbours
from classifiers.metrics import apgr, classification, expected_calibration_error, precision_at
from classifiers.sources import CLASSES, SOURCES, Example, file_of, read_source, sha256_of

ABSTAIN_BELOW: Final = 0.55
SURE: Final = 0.9
FOLDS: Final = 4
EPILOG: Final = """example:
  python -m classifiers.train --data ~/turnout-data --out classifiers/artifacts/default

--data must hold intent/clinc150.jsonl.gz, intent/banking77.jsonl.gz, routing/{mmlu,gsm8k,llmrouter}.jsonl.gz and
traffic/chat_prompts.jsonl.gz; see classifiers/sources.py for the columns. Takes a few minutes on two cores."""
PURPOSE: Final = (
    "Tells small talk that needs no LLM (`skip`) from requests a small model serves (`small`) and those worth a strong "
    "one (`strong`). Static embedding and hand features, one linear layer, calibrated."
)
LIMITS: Final = (
    "Sees the first 512 tokens of one text; it knows no earlier turns, so a bare `yes` is never `skip`.",
    "`strong` means: of one pair of models, only the stronger was right, or the prompt was picked for being hard. Other "
    "pairs differ; retrain on your own traffic. Routers trained elsewhere do little better than chance (RouteLLM, "
    "arXiv 2406.18665).",
    "Calibrated for the mixture of sets above, not for yours. The data is English.",
    "Prompts that neither model answered are left out of training and accuracy; they count in APGR alone.",
    "The strength of regularisation and the weights of the sets were chosen on dev, so dev is a little kind.",
)

Learner = Logistic | Boosting | Neighbours
Labels = npt.NDArray[np.intp]


class Rows:
    """Examples as arrays: X (n, d), labels (n,) column numbers or -1, weights (n,) summing to 1, sources (n,)."""

    def __init__(self, examples: Sequence[Example], embedder: StaticEmbedder) -> None:
        texts = [example.text for example in examples]
        hand = np.stack([features(text) for text in texts])
        self.X: Final[Matrix] = np.hstack([embedder.encode_many(texts), hand])
        self.labels: Final[Labels] = np.array([CLASSES.index(e.label) if e.label else -1 for e in examples])
        self.sources: Final = np.array([example.source for example in examples])
        self.weak: Final = np.array([np.nan if e.weak is None else e.weak for e in examples])
        self.strong: Final = np.array([np.nan if e.strong is None else e.strong for e in examples])
        self.is_labelled: Final = self.labels >= 0
        self.weights: Final = self._weights()

    @property
    def names(self) -> list[str]:
        """(n,) class names; labelled rows only."""
        return [CLASSES[label] for label in self.labels[self.is_labelled]]

    def _weights(self) -> Weights:
        weights = np.zeros(len(self.labels))
        for source in SOURCES:
            rows = (self.sources == source.name) & self.is_labelled
            if rows.any():
                weights[rows] = source.mass / rows.sum()
        total: Weights = weights / weights.sum()
        return total


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the arguments say; 0 if an artifact was written, 2 if the data cannot be used."""
    arguments = _arguments(argv)
    try:
        examples = [example for source in SOURCES for example in read_source(source, arguments.data)]
    except (OSError, ValueError) as exc:
        print(f"cannot read the data: {exc}\n--help says what --data must hold", file=sys.stderr)
        return 2
    absent = set(CLASSES) - {example.label for example in examples if not example.is_dev}
    if absent:
        print(f"no training rows for {', '.join(sorted(absent))} below {arguments.data}", file=sys.stderr)
        return 2
    with threadpool_limits(arguments.threads):
        artifact = train(examples, arguments)
    print(f"\nwrote {arguments.out} ({artifact.name} {artifact.version})")
    return 0


def train(examples: Sequence[Example], arguments: argparse.Namespace) -> Artifact:
    """Fit, compare, measure and save; prints its progress. arguments: as the command's parser makes them."""
    started = time.perf_counter()
    embedder = StaticEmbedder.load()
    fitted = augment([e for e in examples if not e.is_dev and e.label is not None], arguments.seed)
    _say(started, f"embedding {len(examples)} texts with {embedder.name}")
    rows, dev = Rows(fitted, embedder), Rows([e for e in examples if e.is_dev], embedder)
    shipped = Logistic(arguments.C, arguments.seed)
    others: list[Learner] = []
    if not arguments.only_linear:
        others = [Boosting(arguments.trees, arguments.seed), Neighbours(25)]
    comparison = []
    for learner in (shipped, *others):
        _say(started, f"fitting {learner.name}, {FOLDS} folds and all of {len(rows.X)} rows")
        begun = time.perf_counter()
        calibration = _calibrate(learner, rows, arguments.seed)
        learner.fit(rows.X, rows.names, rows.weights)
        seconds = time.perf_counter() - begun
        raw = np.log(np.maximum(learner.predict_proba(dev.X), 1e-9))
        comparison.append({"learner": learner.name, **_summary(calibration.apply(raw), dev)})
        _say(started, f"{learner.name} took {seconds:.1f} s")
        if learner is shipped:
            model, before = shipped.linear_model(calibration), learner.predict_proba(dev.X)
            chosen = calibration
    _print_table(comparison)
    after = model.probabilities(dev.X[:, : embedder.dim], dev.X[:, embedder.dim :])
    card = {
        "name": arguments.name,
        "purpose": PURPOSE,
        "classes": list(CLASSES),
        "model": f"multinomial logistic regression, C {arguments.C}, on {rows.X.shape[1]} columns",
        "calibration": f"temperature (logits times {chosen.scale:.3f}) and a bias per class, on {FOLDS} held-out folds",
        "made": datetime.now(UTC).date().isoformat(),
        "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn_version},
        "seed": arguments.seed,
        "command": arguments.command,
        "data": _data(examples, arguments.data),
        "metrics": {**_metrics(after, dev), "ece_uncalibrated": _ece(before, dev)},
        "comparison": comparison,
        "limits": list(LIMITS),
    }
    return save_artifact(arguments.out, card, model, embedder)


def _calibrate(learner: Classifier[Matrix], rows: Rows, seed: int) -> Calibration:
    """From predictions for each row by a model that did not see it."""
    held_out = np.zeros((len(rows.X), len(CLASSES)))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    names = np.array(rows.names)
    strata = np.char.add(np.char.add(names, " "), rows.sources)
    for seen, unseen in folds.split(rows.X, strata):
        learner.fit(rows.X[seen], names[seen].tolist(), rows.weights[seen])
        held_out[unseen] = learner.predict_proba(rows.X[unseen])
    return calibrate(np.log(np.maximum(held_out, 1e-9)), rows.labels, rows.weights)


def _ece(probabilities: Probabilities, rows: Rows) -> float:
    kept = rows.is_labelled
    p, labels = probabilities[kept], rows.labels[kept]
    return expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels, rows.weights[kept])


def _metrics(probabilities: Probabilities, rows: Rows) -> dict[str, Any]:
    """All that the card reports about dev. probabilities: (n, k)."""
    kept = rows.is_labelled
    skip = CLASSES.index("skip")
    by_source = {}
    for source in SOURCES:
        mine = (rows.sources == source.name) & kept
        if mine.any():
            part = classification(probabilities[mine], rows.labels[mine], np.ones(mine.sum()), CLASSES, ABSTAIN_BELOW)
            ranked = _apgr(probabilities, rows, source.name)
            by_source[source.name] = {**part, **({"apgr": ranked} if ranked is not None else {})}
    return {
        "all": classification(probabilities[kept], rows.labels[kept], rows.weights[kept], CLASSES, ABSTAIN_BELOW),
        "sure_skip": precision_at(probabilities[kept, skip], rows.labels[kept] == skip, SURE),
        "by_source": by_source,
    }


def _summary(probabilities: Probabilities, rows: Rows) -> dict[str, float | None]:
    whole = _metrics(probabilities, rows)
    ranked = {f"apgr_{name}": _apgr(probabilities, rows, name) for name in ("mmlu", "gsm8k", "llmrouter")}
    return {**{key: whole["all"][key] for key in ("accuracy", "ece", "log_loss")}, **ranked}


def _apgr(probabilities: Probabilities, rows: Rows, source: str) -> float | None:
    """Of all the source's rows that both models answered; None if there is no gap to recover."""
    mine = (rows.sources == source) & ~np.isnan(rows.weak)
    if not mine.any() or rows.strong[mine].sum() <= rows.weak[mine].sum():
        return None
    return apgr(probabilities[mine, CLASSES.index("strong")], rows.weak[mine], rows.strong[mine])


def _data(examples: Sequence[Example], root: Path) -> list[dict[str, Any]]:
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


def _say(started: float, text: str) -> None:
    print(f"[{time.perf_counter() - started:6.1f} s] {text}", flush=True)


def _print_table(comparison: Sequence[dict[str, Any]]) -> None:
    print("\n" + "".join(f"{name:>20}" if i == 0 else f"{name:>16}" for i, name in enumerate(comparison[0])))
    for row in comparison:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        print("".join(f"{cell:>20}" if i == 0 else f"{cell:>16}" for i, cell in enumerate(cells)))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.train",
        description="Train the skip/small/strong classifier and write it with its card.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of the labelled sets")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="artifact directory to write")
    parser.add_argument("--name", help="the artifact's name (default: the last part of --out)")
    parser.add_argument("--seed", type=int, default=7, help="for folds, variants and learners (default 7)")
    parser.add_argument("--C", type=float, default=0.01, help="inverse strength of regularisation (default 0.01)")
    parser.add_argument("--trees", type=int, default=60, help="rounds of gradient boosting (default 60)")
    parser.add_argument("--threads", type=int, default=1, help="threads for numerics (default 1: on shared cores more is slower)")
    parser.add_argument("--only-linear", action="store_true", help="do not fit the learners compared with")
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    arguments.name = arguments.name or arguments.out.resolve().name
    written = ["DIR" if before == "--data" else word for before, word in zip(["", *given], given, strict=False)]
    arguments.command = shlex.join(["python", "-m", "classifiers.train", *written])
    return arguments


if __name__ == "__main__":
    sys.exit(main())
