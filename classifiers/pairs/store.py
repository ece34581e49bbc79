"""A verifier on disk: a directory with arrays and a card, as other artifacts have them; no pickle, no text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers import store
from classifiers.errors import ArtifactError
from classifiers.pairs.blocks import EMBEDDERS, embedder_of

TASK: Final = "pairs"
REMEDY: Final = "restore the directory or train it anew with `turnout cache train`"

Arrays = Mapping[str, npt.NDArray[Any]]


def write(folder: Path, arrays: Arrays, card: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Write the directory, made if missing; returns the whole card. The same arrays and card give the same bytes."""
    return store.write(folder, arrays, {**card, "task": TASK, "embedder_kind": kind}, embedder_name(kind))


def read(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Card and arrays. Raises ArtifactError if a file is missing, damaged, changed, or made for other vectors."""
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: there is no such folder; make a verifier with `turnout cache train`")
    found = store.card_of(folder)
    kind = found.get("embedder_kind")
    if found["task"] != TASK or kind not in EMBEDDERS or not isinstance(found.get("columns"), list):
        raise ArtifactError(f"{folder}: made for {found['task']}, needed here is a verifier of pairs; {REMEDY}")
    card, arrays = store.read(folder, TASK, embedder_name(str(kind)))
    if odd := [name for name, array in arrays.items() if array.dtype.kind not in "fiu" or not np.isfinite(array).all()]:
        raise ArtifactError(f"{folder}: no finite numbers in {', '.join(odd)}; {REMEDY}")
    return card, arrays


def embedder_name(kind: str) -> str:
    """What the artifact depends on: the names of the embedders, with the fingerprints of their weights."""
    names = dict.fromkeys([embedder_of("wordllama").name, embedder_of(kind).name])
    return "+".join(names)
