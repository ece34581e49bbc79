"""The command that trains the shipped verifiers: python -m classifiers.pairs --data DIR --out classifiers/artifacts

Learns from the train split of the sources, measures on their dev split, and writes pairs-wordllama, or pairs-minilm.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn import __version__ as sklearn_version

from classifiers.errors import ArtifactError, DataError
from classifiers.pairs import store
from classifiers.pairs.blocks import EMBEDDERS, WORDLLAMA, embedder_of
from classifiers.pairs.fit import fit_new
from classifiers.pairs.labelled import Pair
from classifiers.pairs.measure import auc, hit_rate_at, served
from classifiers.pairs.model import Fitted
from classifiers.pairs.remembered import RememberedVectors
from classifiers.pairs.sources import GENERATED, SOURCES, file_of, generated, read_pairs
from classifiers.pairs.verifier import Verifier
from classifiers.shipped.sources import sha256_of

SEED: Final = 7
GENERATED_WEIGHT: Final = 0.1
BUDGETS: Final = (0.01, 0.03, 0.05)
LIMITS: Final = (
    "English first: of other languages only what differs in form alone is taken for the same.",
    "QQP's labels are wrong for some 4 % of pairs that are the same word for word, and for most of those that look wrong near "
    "the bar when they are read: 5.5 % of its hits count as noise, so a budget below that rests on this judgement.",
    "Trained on questions of one forum; refit on your own pairs with `turnout cache train`.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Train and write; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m classifiers.pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of qqp_pairs.jsonl.gz and the other sources")
    parser.add_argument("--out", type=Path, required=True, help="directory of artifacts")
    parser.add_argument("--embedder", choices=EMBEDDERS, action="append", help="which verifier (default: wordllama)")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args(argv)
    try:
        for kind in args.embedder or [WORDLLAMA]:
            train(args.data, args.out / f"pairs-{kind}", kind, args.seed)
    except (DataError, ArtifactError, OSError) as exc:
        print(f"python -m classifiers.pairs: {exc}", file=sys.stderr)
        return 1
    return 0


def train(data: Path, out: Path, kind: str, seed: int, embedder: Any = None) -> None:
    """Train the verifier of an embedder and write it. embedder: in place of the installed one.

    Raises DataError, ArtifactError.
    """
    began = time.monotonic()

    def progress(done: float, what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s {done:4.0%} {what}", file=sys.stderr)

    own = embedder or (embedder_of(kind) if kind == WORDLLAMA else RememberedVectors(embedder_of(kind)))
    pairs = read_pairs(data, "train")
    pairs += generated(pairs, GENERATED_WEIGHT, seed)
    fitted = fit_new(pairs, kind, seed, progress, own)
    card = card_of(pairs, fitted, data, kind, seed)
    store.write(out, fitted.arrays, card, kind)
    progress(0.9, "measuring on dev")
    dev = read_pairs(data, "dev")
    card["dev"] = measured(Verifier.load(out, own), dev, own)
    store.write(out, fitted.arrays, card, kind)
    for name, values in card["dev"].items():
        print(name, values)
    progress(1.0, f"wrote {out}")


def card_of(pairs: Sequence[Pair], fitted: Fitted, data: Path, kind: str, seed: int) -> dict[str, Any]:
    return {
        "name": f"pairs-{kind}",
        "purpose": "Tells whether two texts are the same question, so that an answer to one may be served to the other.",
        "model": "boosted trees and a straight line over features of the pair; a hidden layer over products of sentence vectors",
        "calibration": "logistic, on pairs held out in turn by groups of like texts",
        "columns": list(fitted.names),
        "made": datetime.now(UTC).date().isoformat(),
        "made_with": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn_version},
        "seed": seed,
        "command": f"python -m classifiers.pairs --data DIR --out classifiers/artifacts --embedder {kind}",
        "data": [
            {
                "name": source.name,
                "origin": source.origin,
                "licence": source.licence,
                "weight": source.weight,
                "rows": sum(pair.origin == source.name for pair in pairs),
                "split": "train",
                "sha256": sha256_of(file_of(data, source.name)),
            }
            for source in SOURCES
        ],
        "generated": {"rows": sum(pair.origin == GENERATED for pair in pairs), "weight": GENERATED_WEIGHT},
        "limits": list(LIMITS),
    }


def measured(verifier: Verifier, pairs: Sequence[Pair], embedder: Any) -> dict[str, Any]:
    """Numbers for the card, by set: AUC, hit rate at 95 % precision, and what each budget serves."""
    out: dict[str, Any] = {}
    for name in dict.fromkeys(pair.origin for pair in pairs):
        own = [pair for pair in pairs if pair.origin == name]
        labels = np.array([pair.label for pair in own])
        scores = np.array([score_of(verifier, pair.text_a, pair.text_b, embedder) for pair in own])
        out[name] = {"rows": len(own), "auc": auc(scores, labels), "hit_rate_at_95": hit_rate_at(scores, labels, 0.95)}
        for budget in BUDGETS:
            at = served(scores, labels, verifier.bar(budget))
            out[name][f"budget_{budget}"] = {
                "hits": at.wrong.whole,
                "wrong": at.wrong.part,
                "hit_rate": at.right.value,
                "false_hits": at.false.value,
            }
    return out


def score_of(verifier: Verifier, a: str, b: str, embedder: Any) -> float:
    """The score of one pair, its cosine taken from the embedder."""
    return verifier.scores(a, [b], [float(embedder.encode(a) @ embedder.encode(b))])[0]
