"""Pairs of texts in files: JSON lines, plain or gzip, a line each.

    {"text_a": TEXT, "text_b": TEXT, "label": 0 or 1}      label 1: an answer to one answers the other
Optional: `id` and `split`. Other keys are ignored; to score pairs no label is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.errors import DataError
from classifiers.labelled import fingerprint, read_numbered

ORIGIN: Final = "own"
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts with a label. label: 1 if an answer to one answers the other. origin: the set it is from.

    group: pairs of like texts share one; of such, none helps to judge another. is_made: by rule, from the texts of another pair.
    noise: the share of its origin's labels that cannot be trusted.
    """

    text_a: str
    text_b: str
    label: int
    origin: str
    group: str
    weight: float = 1.0
    is_made: bool = False
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Two texts to be scored. id: as the file has it, of whatever JSON type, else the number of its line."""

    id: Any
    text_a: str
    text_b: str


def read_asked(path: Path) -> Iterator[Asked]:
    """The pairs of a file, in order, one at a time. Raises DataError, naming the line."""
    for number, row in read_numbered(path):
        yield Asked(row.get("id", number), _text(row, "text_a", path, number), _text(row, "text_b", path, number))


def read_labelled(paths: Sequence[Path], split: str = ALL) -> list[Pair]:
    """The labelled pairs of the files. split: only the rows of that split. Raises DataError, naming file and line."""
    pairs = []
    for path in paths:
        for number, row in read_numbered(path):
            label = row.get("label")
            if label not in (0, 1) or isinstance(label, float):
                raise DataError(f"{path}:{number}: `label` is {label!r}; 1: an answer to one answers the other, 0: not")
            a, b = _text(row, "text_a", path, number), _text(row, "text_b", path, number)
            if split in (ALL, str(row.get("split", ""))):
                pairs.append(Pair(a, b, int(label), ORIGIN, str(fingerprint(min(a, b)))))
    if not pairs:
        raise DataError(f"{', '.join(str(path) for path in paths)}: no rows{'' if split == ALL else f' of the split {split!r}'}")
    return pairs


def _text(row: dict[str, Any], key: str, path: Path, number: int) -> str:
    text = row.get(key)
    if not isinstance(text, str):
        raise DataError(f"{path}:{number}: `{key}` is missing or no text; keys there: {', '.join(row) or 'none'}")
    return text
