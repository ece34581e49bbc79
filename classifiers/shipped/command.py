"""The command that trains the shipped classifier: python -m classifiers.shipped --data DIR --out classifiers/artifacts/default

Reads the labelled sets, compares learners, calibrates on held-out folds, measures on dev and writes an artifact.
"""

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn import __version__ as sklearn_version
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from classifiers.artifact import save_artifact
from classifiers.base import Probabilities, Weights
from classifiers.shipped.augment import augment
from classifiers.shipped.calibrate import Calibration, calibrate
from classifiers.shipped.head import CLASSES, Head
from classifiers.shipped.head_fit import HashedLogistic, Table
from classifiers.shipped.learners import Boosting, Logistic, Neighbours
from classifiers.shipped.report import LIMITS, PURPOSE, data, ece, metrics, summary
from classifiers.shipped.rows import Rows, folds_of
from classifiers.shipped.sources import SOURCES, Example, read_source
from classifiers.text.embed import StaticEmbedder

FOLDS: Final = 3
DENSE_C: Final = 0.01  # of the linear learner without n-grams
NEIGHBOURS: Final = 25
EPILOG: Final = """example:
  python -m classifiers.shipped --data ~/turnout-data --out classifiers/artifacts/default

--data must hold intent/clinc150.jsonl.gz, intent/banking77.jsonl.gz, routing/{mmlu,gsm8k,llmrouter}.jsonl.gz and
traffic/chat_prompts.jsonl.gz; see classifiers/shipped/sources.py for the columns. Takes some ten minutes on two cores."""

Learner = HashedLogistic | Logistic | Boosting | Neighbours


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
        embedder = StaticEmbedder.load()
        card, head = train(examples, arguments, embedder)
    made = save_artifact(arguments.out, card, head, embedder)
    print(f"\nwrote {arguments.out} ({made.name} {made.version})")
    return 0


def train(examples: Sequence[Example], arguments: argparse.Namespace, embedder: StaticEmbedder) -> tuple[dict[str, Any], Head]:
    """Fit, compare and measure; prints its progress. arguments: as the command's parser makes them."""
    say = _teller()
    seen = [e for e in examples if not e.is_dev and e.label is not None]
    say(f"looking at {len(examples)} texts with {embedder.name}")
    rows, dev = Rows(augment(seen, arguments.seed), embedder), Rows([e for e in examples if e.is_dev], embedder)
    fold = folds_of(seen, embedder, FOLDS, arguments.seed)
    shipped = HashedLogistic(arguments.C)
    others: list[Learner] = []
    if not arguments.only_shipped:
        others = [Logistic(DENSE_C, arguments.seed), Boosting(arguments.trees, arguments.seed), Neighbours(NEIGHBOURS)]
    comparison = []
    for learner in (shipped, *others):
        say(f"fitting {learner.name}, {FOLDS} folds and all of {len(rows.labels)} rows")
        calibration = _calibrate(learner, rows, fold, rows.costed(arguments.hard_cost, arguments.intent_cost))
        raw = np.log(np.maximum(_predict(learner, dev.table), 1e-9))
        comparison.append({"learner": learner.name, **summary(calibration.apply(raw), dev)})
        if learner is shipped:
            head, before = shipped.head(calibration, embedder), np.exp(raw)
            chosen = calibration
    _print_table(comparison)
    after = head.predict_proba([e.text for e in examples if e.is_dev])
    card = {
        "name": arguments.name,
        "task": "routing",
        "purpose": PURPOSE,
        "classes": list(CLASSES),
        "model": f"softmax regression in four parts, C {arguments.C:g}; own hard rows weigh {arguments.hard_cost:g} times, small "
        f"talk and commands {arguments.intent_cost:g} times",
        "calibration": f"temperature (log-probabilities times {chosen.scale:.3f}) and a bias per class, on {FOLDS} held-out "
        "folds; copies and near-duplicates of a text are in one fold",
        "made": datetime.now(UTC).date().isoformat(),
        "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn_version},
        "seed": arguments.seed,
        "command": arguments.command,
        "data": data(examples, arguments.data),
        "metrics": {**metrics(after, dev), "ece_uncalibrated": ece(before, dev)},
        "comparison": comparison,
        "limits": list(LIMITS),
    }
    return card, head


def _calibrate(learner: Learner, rows: Rows, fold: npt.NDArray[np.intp], costed: Weights) -> Calibration:
    """From predictions for each row by a model that saw neither it nor a copy of it; leaves the learner fitted on all rows.

    Calibrated by the natural weights: the costs move the model, not what its numbers mean.
    """
    held_out = np.zeros((len(rows.labels), len(CLASSES)))
    for number in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        _fit(learner, rows, seen, costed)
        held_out[unseen] = _predict(learner, rows.table.take(unseen))
    _fit(learner, rows, np.arange(len(fold)), costed)
    return calibrate(np.log(np.maximum(held_out, 1e-9)), rows.labels, rows.weights)


def _fit(learner: Learner, rows: Rows, chosen: npt.NDArray[np.intp], weights: Weights) -> None:
    table = rows.table.take(chosen)
    if isinstance(learner, HashedLogistic):
        learner.fit(table, rows.parts[chosen].tolist(), weights[chosen])
    else:
        learner.fit(table.dense(), rows.names[chosen].tolist(), weights[chosen])


def _predict(learner: Learner, table: Table) -> Probabilities:
    return learner.predict_proba(table) if isinstance(learner, HashedLogistic) else learner.predict_proba(table.dense())


def _teller() -> Callable[[str], None]:
    started = time.perf_counter()
    return lambda text: print(f"[{time.perf_counter() - started:6.1f} s] {text}", flush=True)


def _print_table(comparison: Sequence[dict[str, Any]]) -> None:
    print("\n" + "".join(f"{name:>34}" if i == 0 else f"{name:>16}" for i, name in enumerate(comparison[0])))
    for row in comparison:
        cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]
        print("".join(f"{cell:>34}" if i == 0 else f"{cell:>16}" for i, cell in enumerate(cells)))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.shipped",
        description="Train the skip/small/strong classifier and write it with its card.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of the labelled sets")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="artifact directory to write")
    parser.add_argument("--name", help="the artifact's name (default: the last part of --out)")
    parser.add_argument("--seed", type=int, default=7, help="for folds, variants and learners (default 7)")
    parser.add_argument("--C", type=float, default=5.0, help="inverse strength of regularisation (default 5)")
    parser.add_argument("--hard-cost", type=float, default=15.0, help="weight of our own hard rows, times (default 15)")
    parser.add_argument("--intent-cost", type=float, default=4.0, help="weight of small talk and commands, times (default 4)")
    parser.add_argument("--trees", type=int, default=60, help="rounds of gradient boosting (default 60)")
    parser.add_argument("--threads", type=int, default=1, help="threads for numerics (default 1: on shared cores more is slower)")
    parser.add_argument("--only-shipped", action="store_true", help="do not fit the learners compared with")
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    arguments.name = arguments.name or arguments.out.resolve().name
    written = ["DIR" if before == "--data" else word for before, word in zip(["", *given], given, strict=False)]
    arguments.command = shlex.join(["python", "-m", "classifiers.shipped", *written])
    return arguments
