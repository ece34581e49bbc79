"""What the semantic cache would serve: the shipped verifier on pairs that it was not trained on, beside cosine alone.

    python benchmarks/verifier.py --data DIR [--embedder wordllama|minilm] [--split dev] [--verifier DIR]

DIR holds qqp_pairs.jsonl.gz, minimal_edits.jsonl.gz, paws_qqp.jsonl.gz and mrpc.jsonl.gz: lines with text_a, text_b,
label (1: an answer to one answers the other), split, for minimal_edits the category of the edit, and for qqp_pairs
dup_group_a and dup_group_b, equal where two questions are known to be the same. A set without rows of the split is taken
whole; mrpc is news, no questions, and never trained on. Intervals are 95 %.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Embedder
from classifiers.pairs.blocks import EMBEDDERS, embedder_of
from classifiers.pairs.measure import Share, auc, auc_interval, hit_rate_at, served, stream_hit_rate
from classifiers.pairs.verifier import Verifier, shipped

SETS: Final = ("qqp_pairs", "paws_qqp", "minimal_edits", "mrpc")
BUDGETS: Final = (0.01, 0.03, 0.05)
NEIGHBOURS: Final = 5
STREAM_QUESTIONS: Final = 2_000
TIMED: Final = 300
SEED: Final = 7

Numbers = npt.NDArray[np.float64]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz files")
    parser.add_argument("--split", default="dev", choices=("train", "dev"))
    parser.add_argument("--embedder", default="wordllama", choices=EMBEDDERS)
    parser.add_argument("--verifier", type=Path, help="a folder (default: the shipped one)")
    args = parser.parse_args()
    verifier = Verifier.load(args.verifier) if args.verifier else shipped(args.embedder)
    embedder: Embedder = embedder_of(args.embedder)
    bars = ", ".join(f"{verifier.bar(budget):.4f} at {budget:.0%}" for budget in BUDGETS)
    print(f"{verifier.name}; serves from {bars}")
    for name in SETS:
        rows, split = load(args.data / f"{name}.jsonl.gz", args.split)
        cosines, scores = judge(rows, verifier, embedder)
        labels = np.array([row["label"] for row in rows])
        print(f"\n{name}, {split}: {len(rows):,} pairs, {Share(int(labels.sum()), len(labels))} the same")
        print_ranking("cosine", cosines, labels)
        print_ranking("verifier", scores, labels)
        print_budgets(scores, labels, verifier)
        if "category" in rows[0]:
            print_categories(rows, scores, verifier.bar(BUDGETS[0]))
        if name == "qqp_pairs":
            print_stream(rows, verifier, embedder)
            print_cost(rows, verifier, embedder)


def load(path: Path, split: str) -> tuple[list[Row], str]:
    """The rows of the split, or all if it has none, and which of the two."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = [row for row in rows if row["split"] == split]
    return (chosen, split) if chosen else (rows, "all rows")


def judge(rows: Sequence[Row], verifier: Verifier, embedder: Embedder) -> tuple[Numbers, Numbers]:
    """(n,) cosines and (n,) scores of the rows."""
    cosines, scores = np.zeros(len(rows)), np.zeros(len(rows))
    for i, row in enumerate(rows):
        a, b = row["text_a"], row["text_b"]
        cosines[i] = embedder.encode(a) @ embedder.encode(b)
        (scores[i],) = verifier.scores(a, [b], [cosines[i]])
    return cosines, scores


def print_ranking(name: str, scores: Numbers, labels: npt.NDArray[Any]) -> None:
    low, high = auc_interval(scores, labels)
    rates = " and ".join(f"{hit_rate_at(scores, labels, p):.1%} at {p:.0%}" for p in (0.95, 0.9))
    print(f"  {name:9} AUC {auc(scores, labels):.3f} [{low:.3f}, {high:.3f}]  hit rate at a precision: {rates}")


def print_budgets(scores: Numbers, labels: npt.NDArray[Any], verifier: Verifier) -> None:
    for budget in BUDGETS:
        at = served(scores, labels, verifier.bar(budget))
        print(f"  budget {budget:.0%}: wrong among hits {at.wrong}; same served {at.right}; different served {at.false}")


def print_categories(rows: Sequence[Row], scores: Numbers, bar: float) -> None:
    """Share of each kind of edit that is served; of an edit that changes the answer every one is an error."""
    for label, category in sorted({(row["label"], row["category"]) for row in rows}):
        of = [scores[i] for i, row in enumerate(rows) if (row["label"], row["category"]) == (label, category)]
        print(f"    {'harmless' if label else 'changes'} {category:16} served {Share(sum(s >= bar for s in of), len(of))}")


def print_stream(rows: Sequence[Row], verifier: Verifier, embedder: Embedder) -> None:
    """A cache that holds one question of each group: of others, the stored one that scores best is served.

    Half of the questions asked have a counterpart. Groups know only the duplicates that were labelled, so precision is
    a lower bound.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        groups[row["dup_group_a"]].add(row["text_a"])
        groups[row["dup_group_b"]].add(row["text_b"])
    chance = np.random.default_rng(SEED)
    members = [chance.permutation(sorted(texts)).tolist() for _, texts in sorted(groups.items())]
    several, single = [m for m in members if len(m) > 1], [m for m in members if len(m) == 1]
    asked = [(m[1], i) for i, m in enumerate(several)][: STREAM_QUESTIONS // 2]
    asked += [(m[0], -1) for m in single][: len(asked)]
    stored = [m[0] for m in several] + [m[0] for m in single[len(asked) // 2 :]]
    matrix = embedder.encode_many(stored)
    best, nearest, right, nearest_right = [], [], [], []
    for text, group in asked:
        cosines = matrix @ embedder.encode(text)
        near = np.argsort(-cosines)[:NEIGHBOURS]
        scores = verifier.scores(text, [stored[i] for i in near], [float(cosines[i]) for i in near])
        top = int(np.argmax(scores))
        best.append(scores[top])
        right.append(int(near[top]) == group)
        nearest.append(float(cosines[near[0]]))
        nearest_right.append(int(near[0]) == group)
    should = np.array([group >= 0 for _, group in asked])
    print(f"  stream: {len(asked):,} questions, {int(should.sum()):,} with a counterpart among {len(stored):,} stored")
    for name, scores_of, is_right in (("cosine", nearest, nearest_right), ("verifier", best, right)):
        rates = (stream_hit_rate(np.array(scores_of), np.array(is_right), should, p) for p in (0.95, 0.9))
        print("    {:9} hit rate at 95 % precision {:.1%}, at 90 % {:.1%}".format(name, *rates))


def print_cost(rows: Sequence[Row], verifier: Verifier, embedder: Embedder) -> None:
    """CPU time of a question with five stored ones: the texts met before, and all new."""
    texts = [row["text_a"] for row in rows[: TIMED * (NEIGHBOURS + 1)]]
    batches = [texts[i : i + NEIGHBOURS + 1] for i in range(0, len(texts) - NEIGHBOURS, NEIGHBOURS + 1)]
    for name in ("new texts", "texts met before"):
        spent = []
        for asked, *kept in batches:
            began = time.thread_time()
            verifier.scores(asked, kept, [0.8] * len(kept))
            spent.append(time.thread_time() - began)
        print(f"  cost, a question and {NEIGHBOURS} stored, {name}: median {np.median(spent) * 1e3:.2f} ms of CPU")


if __name__ == "__main__":
    main()
