"""What the semantic cache would serve: cosine similarity alone, and cosine and verifier together.

    python benchmarks/verifier.py --data DIR [--split dev]

DIR holds qqp_pairs.jsonl.gz, minimal_edits.jsonl.gz, paws_qqp.jsonl.gz and mrpc.jsonl.gz: lines with text_a, text_b,
label (1: an answer to one answers the other), split, and for minimal_edits the category of the edit. A set without rows
of the split is taken whole. The tables and rules were chosen on the train split of the first three.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifiers.base import Embedder
from classifiers.pairs.reading import read
from classifiers.pairs.rules import differs
from classifiers.text.embed import StaticEmbedder

SETS: Final = ("qqp_pairs", "minimal_edits", "paws_qqp", "mrpc")
THRESHOLDS: Final = (0.80, 0.85, 0.90, 0.95)
TIMED_PAIRS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts. is_same: one answer serves both. reason: the verifier's, None if it lets the pair pass."""

    is_same: bool
    category: str
    similarity: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class Served:
    """Of some pairs: how many are served, the share of those that are right, and the shares served of each label."""

    count: int
    precision: float
    hit_rate: float
    false_hit_rate: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz files")
    parser.add_argument("--split", default="dev", choices=("train", "dev"))
    arguments = parser.parse_args()
    embedder = StaticEmbedder.load()
    for name in SETS:
        rows, split = load(arguments.data / f"{name}.jsonl.gz", arguments.split)
        pairs = judge(rows, embedder)
        print(f"\n{name}, {split}: {len(pairs)} pairs, {share(sum(p.is_same for p in pairs), len(pairs))} same")
        print_table(pairs)
        if any(p.category for p in pairs):
            print_categories(pairs)
        if name == "qqp_pairs":
            print_reasons(pairs)
            print_cost(rows)


def load(path: Path, split: str) -> tuple[list[dict[str, str]], str]:
    """The rows of the split, or all if it has none, and which of the two."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = [row for row in rows if row["split"] == split]
    return (chosen, split) if chosen else (rows, "all rows")


def judge(rows: Sequence[dict[str, str]], embedder: Embedder) -> list[Pair]:
    pairs = []
    for row in rows:
        a, b = row["text_a"], row["text_b"]
        similarity = float(embedder.encode(a) @ embedder.encode(b))
        reason = differs(a, b) if similarity >= THRESHOLDS[0] else "below every threshold"
        pairs.append(Pair(bool(row["label"]), row.get("category", ""), similarity, reason))
    return pairs


def served(pairs: Sequence[Pair], threshold: float, is_verified: bool) -> Served:
    """What a cache serves at the threshold, by cosine alone or verified too. Rates are of all pairs, similar or not."""
    hits = [p for p in pairs if p.similarity >= threshold and not (is_verified and p.reason)]
    right = sum(p.is_same for p in hits)
    same = sum(p.is_same for p in pairs)
    return Served(len(hits), ratio(right, len(hits)), ratio(right, same), ratio(len(hits) - right, len(pairs) - same))


def print_table(pairs: Sequence[Pair]) -> None:
    print(
        "cosine >= | alone: served  precision  hit rate  false hits | verified: served  passed  precision  hit rate  false hits"
    )
    for threshold in THRESHOLDS:
        alone, both = (served(pairs, threshold, is_verified) for is_verified in (False, True))
        print(
            f"{threshold:9.2f} | {alone.count:13d} {alone.precision:10.3f} {alone.hit_rate:9.3f} {alone.false_hit_rate:11.4f} | "
            f"{both.count:16d} {share(both.count, alone.count):>7} {both.precision:10.3f} "
            f"{both.hit_rate:9.3f} {both.false_hit_rate:11.4f}"
        )


def print_categories(pairs: Sequence[Pair]) -> None:
    """Share of each kind of edit that is served; for an edit that changes the answer every one is an error."""
    columns = "  ".join(f"alone {t:.2f}  verified" for t in THRESHOLDS)
    print(f"served, of all edits of a kind   {columns}")
    for is_same, category in sorted({(p.is_same, p.category) for p in pairs}):
        kind = [p for p in pairs if p.category == category and p.is_same == is_same]
        cells = []
        for threshold in THRESHOLDS:
            alone, both = (served(kind, threshold, is_verified).count for is_verified in (False, True))
            cells.append(f"{share(alone, len(kind)):>10} {share(both, len(kind)):>9}")
        print(f"{'harmless' if is_same else 'changes'} {category:16} {len(kind):5d}  " + "  ".join(cells))


def print_reasons(pairs: Sequence[Pair]) -> None:
    """Why pairs over the lowest threshold were refused, and how many of those the labels call the same."""
    refused = [p for p in pairs if p.reason and p.similarity >= THRESHOLDS[0]]
    kinds = Counter(str(p.reason).partition(":")[0] for p in refused)
    same = Counter(str(p.reason).partition(":")[0] for p in refused if p.is_same)
    print("refused for: " + ", ".join(f"{kind} {count} ({share(same[kind], count)} same)" for kind, count in kinds.most_common()))


def print_cost(rows: Sequence[dict[str, str]]) -> None:
    """CPU time of the verifier with both texts new to it, and with one of them just read; their words known."""
    texts = [(row["text_a"], row["text_b"]) for row in rows[:TIMED_PAIRS]]
    words = sum(len(text.split()) for pair in texts for text in pair) / (2 * len(texts))
    for a, b in texts:
        differs(a, b)
    for name, is_known in (("both texts new", False), ("the asked text known", True)):
        spent = 0.0
        for a, b in texts:
            read.cache_clear()
            if is_known:
                read(a)
            began = time.process_time()
            differs(a, b)
            spent += time.process_time() - began
        print(f"cost, {name}: {spent / len(texts) * 1e6:.0f} us a pair of {words:.0f}-word texts")


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def share(part: int, whole: int) -> str:
    return f"{100 * ratio(part, whole):.1f}%"


if __name__ == "__main__":
    main()
