"""Artifacts on disk: a directory with plain arrays and a card, no pickle.

`weights.npz` holds the arrays, `card.json` says what they are, what they learned from and how they measure, `card.md` the
same to read. One digest covers weights and card, so neither changes unnoticed.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.card import render
from classifiers.errors import ArtifactError
from classifiers.text.features import FEATURE_NAMES

FORMAT: Final = 2
WEIGHTS: Final = "weights.npz"
CARD: Final = "card.json"
CARD_TEXT: Final = "card.md"
VERSION_CHARS: Final = 12
UNSIGNED: Final = frozenset(("digest", "version"))
ADDED: Final = (*sorted(UNSIGNED), "format", "task", "feature_names", "embedder", "weights_sha256")
"""The keys of a card that `write` sees to."""
REMEDY: Final = "restore the directory or train it anew with `turnout train`"

Arrays = Mapping[str, npt.NDArray[Any]]


def write(path: Path, arrays: Arrays, card: Mapping[str, Any], embedder: str) -> dict[str, Any]:
    """Write the directory `path` (made if missing); returns the whole card.

    card: must hold `name` and `task`; format, feature names, embedder, hashes and version are added here. The same
    arrays and card give the same bytes.
    """
    path.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    weights = buffer.getvalue()
    whole = {
        **json.loads(json.dumps(card, allow_nan=False)),
        "format": FORMAT,
        "feature_names": list(FEATURE_NAMES),
        "embedder": embedder,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    digest = _digest(whole)
    whole |= {"digest": digest, "version": digest[:VERSION_CHARS]}
    (path / WEIGHTS).write_bytes(weights)
    (path / CARD).write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (path / CARD_TEXT).write_text(render(whole), "utf-8")
    return whole


def read(path: Path, task: str, embedder: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Card and arrays of the artifact in `path`.

    Raises ArtifactError if a file is missing, damaged or changed, if it is an artifact of another task, or was made for
    other features or vectors.
    """
    card = _read_card(path / CARD)
    if card["task"] != task:
        raise ArtifactError(f"{path}: made for {card['task']}, needed here is one for {task}; train it with --task {task}")
    if card["embedder"] != embedder:
        raise ArtifactError(
            f"{path / CARD}: trained on embedder '{card['embedder']}', this is '{embedder}'; "
            "install the wordllama it was trained with, or train anew with `turnout train`"
        )
    return card, _read_weights(path / WEIGHTS, card)


def task_of(path: Path) -> str:
    """What the artifact in `path` is for: `routing` or `intent`. Raises ArtifactError."""
    return str(_read_card(path / CARD)["task"])


def card_of(path: Path) -> dict[str, Any]:
    """The card of the artifact in `path`, its digest checked. Raises ArtifactError."""
    return _read_card(path / CARD)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ArtifactError(f"{path}: cannot be read ({exc.strerror}); {REMEDY}") from exc


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(_read_bytes(path))
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{path}: not JSON ({exc}); {REMEDY}") from exc
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ArtifactError(f"{path}: format {found!r}, this version reads format {FORMAT}; {REMEDY}")
    if (digest := _digest(card)) != card.get("digest") or digest[:VERSION_CHARS] != card.get("version"):
        raise ArtifactError(f"{path}: digest {card.get('digest')!r} but the content has {digest!r}; {REMEDY}")
    if card.get("feature_names") != list(FEATURE_NAMES):
        odd = set(card.get("feature_names", ())) ^ set(FEATURE_NAMES)
        detail = f"differing: {', '.join(sorted(odd))}" if odd else "in another order"
        raise ArtifactError(f"{path}: trained on other hand features ({detail}); {REMEDY}")
    if missing := [key for key in ("name", "task", "embedder", "weights_sha256") if key not in card]:
        raise ArtifactError(f"{path}: lacks {', '.join(missing)}; {REMEDY}")
    return card


def _read_weights(path: Path, card: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    content = _read_bytes(path)
    if (found := hashlib.sha256(content).hexdigest()) != card["weights_sha256"]:
        raise ArtifactError(f"{path}: SHA-256 {found}, the card says {card['weights_sha256']}; {REMEDY}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile) as exc:
        raise ArtifactError(f"{path}: not the expected arrays ({exc}); {REMEDY}") from exc


def _digest(card: Mapping[str, Any]) -> str:
    """SHA-256 of the card, and through `weights_sha256` of the weights; the digest itself left out."""
    signed = {key: value for key, value in card.items() if key not in UNSIGNED}
    return hashlib.sha256(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
