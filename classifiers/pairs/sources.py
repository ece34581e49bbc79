"""The labelled pairs that the shipped verifier learns from, and those it is measured on. None of their text is shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.labelled import read_objects
from classifiers.pairs.generate import generate
from classifiers.pairs.labelled import Pair

GENERATED_EACH: Final = 4_000
GENERATED: Final = "generated"


@dataclass(frozen=True, slots=True)
class Source:
    """A file. weight: of one of its pairs. noise: the share of wrong labels among its likest pairs, as judged by reading."""

    name: str
    origin: str
    licence: str
    weight: float
    noise: float = 0.0


SOURCES: Final = (
    # Of 385 of its pairs that are the same but for articles, contractions and punctuation, 14 are labelled "not the same": 3.6 %
    # [2.2, 6.0]. Of 576 of dev whose words of content are the same in the same order, 50 are; read one by one, 33 of those ask
    # the same thing ("How do I …?", "How can I …?"): 5.7 %.
    Source("qqp_pairs", "zilliztech/GPTCache", "MIT; the questions are Quora's and not shipped", 1.0, noise=0.055),
    Source("paws_qqp", "uds-lsv/llmft, after google-research-datasets/paws", "free use with credit; questions as above", 8.0),
    Source("minimal_edits", "made from qqp_pairs by rule", "as qqp_pairs", 1.0),
)


def file_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl.gz"


def read_pairs(folder: Path, split: str) -> list[Pair]:
    """The pairs of a split of every source, without generated ones. Raises DataError."""
    all_rows = {source.name: read_objects(file_of(folder, source.name)) for source in SOURCES}
    rows = {name: [row for row in found if row["split"] == split] for name, found in all_rows.items()}
    groups = _groups(rows["qqp_pairs"])
    return [
        Pair(
            row["text_a"],
            row["text_b"],
            int(row["label"]),
            source.name,
            groups.get(row["text_a"]) or groups.get(row["text_b"]) or str(row["id"]),
            source.weight,
            source.name == "minimal_edits",
            source.noise,
        )
        for source in SOURCES
        for row in rows[source.name]
    ]


def generated(pairs: Sequence[Pair], weight: float, seed: int) -> list[Pair]:
    """Pairs made of the questions of those that were not made themselves, each in the group of its question."""
    groups = {text: pair.group for pair in pairs if pair.origin == "qqp_pairs" for text in (pair.text_a, pair.text_b)}
    made = generate(groups, GENERATED_EACH, seed)
    return [Pair(a, b, label, GENERATED, groups[a], weight, True) for a, b, label in made]


def _groups(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        found.setdefault(row["text_a"], row["dup_group_a"])
        found.setdefault(row["text_b"], row["dup_group_b"])
    return found
