"""Labelled texts in files: JSON lines, plain or gzip, for training, calibration and evaluation.

Graded prompts (`--task routing`), a line each:
    {"prompt": TEXT, "q": {MODEL: QUALITY, …}}      QUALITY from 0 (useless) to 1 (as good as it gets)
Intents (`--task intent`), a line each:
    {"text": TEXT, "intent": NAME}                   NAME `oos`: none of the others
A quality of null is one that is missing: the model was not graded on that prompt.
Optional in both: `id`, `split` (any word; `--split` picks by it) and `topic` or `subject`, for slices. Other keys are ignored.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from classifiers.errors import DataError

TOPIC_KEYS: Final = ("topic", "subject", "source", "category")
ALL: Final = "all"
ENCODING: Final = "utf-8-sig"  # UTF-8, with or without the mark that some editors put first

Row = TypeVar("Row", bound="GradedPrompt | IntentText")


@dataclass(frozen=True, slots=True)
class GradedPrompt:
    """A prompt and how well each model answered it. at: FILE:LINE, for messages."""

    prompt: str
    q: Mapping[str, float]
    id: str | int
    topic: str
    split: str
    at: str

    @property
    def text(self) -> str:
        """What a classifier reads."""
        return self.prompt


@dataclass(frozen=True, slots=True)
class IntentText:
    """A text and what its writer wants. at: FILE:LINE, for messages."""

    text: str
    intent: str
    id: str | int
    topic: str
    split: str
    at: str


def read_graded(paths: Sequence[Path], split: str = ALL) -> list[GradedPrompt]:
    """The graded prompts of the files, in order. split: only the rows of that split. Raises DataError."""
    return _read(paths, split, _graded)


def read_intents(paths: Sequence[Path], split: str = ALL) -> list[IntentText]:
    """The texts with their intents, in order. split: only the rows of that split. Raises DataError."""
    return _read(paths, split, _intent)


def read_objects(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, a line each, in order. Raises DataError."""
    rows = [row for _, row in _lines(path)]
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def read_numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file with the numbers of their lines, one at a time. Raises DataError."""
    return _lines(path)


def fingerprint(text: str) -> int:
    """64 bits that are the same for texts that differ in case and white space alone; the text cannot be had back."""
    plain = " ".join(text.casefold().split()).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def _read(paths: Sequence[Path], split: str, row_of: Callable[[dict[str, Any], str, str], Row]) -> list[Row]:
    rows = []
    found: set[str] = set()
    for path in paths:
        for number, raw in _lines(path):
            at = f"{path}:{number}"
            row = row_of(raw, f"{path.name}:{number}", at)
            found.add(row.split)
            if split in (ALL, row.split):
                rows.append(row)
    if not rows:
        names = ", ".join(str(path) for path in paths)
        known = f"; splits there: {', '.join(sorted(s for s in found if s)) or 'none'}" if split != ALL else ""
        raise DataError(f"{names}: no rows{'' if split == ALL else f' of the split {split!r}'}{known}")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        # By content, not by name: a gzip file may have lost its ending on the way.
        with path.open("rb") as start:
            is_packed = start.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding=ENCODING) if is_packed else path.open(encoding=ENCODING) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _object(line, f"{path}:{number}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        raise DataError(f"cannot read {path}: {reason}; JSON lines are expected, plain or gzip") from exc


def _object(line: str, at: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise DataError(f"{at}: not JSON ({exc})") from exc
    if not isinstance(row, dict):
        raise DataError(f"{at}: a JSON object is expected, not {type(row).__name__}")
    return row


def _graded(row: dict[str, Any], default_id: str, at: str) -> GradedPrompt:
    q = row.get("q")
    if not isinstance(q, dict):
        raise DataError(f'{at}: `q` is missing or no object; write it as {{"small": 0, "strong": 1}}')
    given = {model: quality for model, quality in q.items() if quality is not None}
    for model, quality in given.items():
        is_number = isinstance(quality, int | float) and not isinstance(quality, bool)
        if not is_number or not math.isfinite(quality) or not 0 <= quality <= 1:
            raise DataError(f"{at}: q[{model!r}] is {quality!r}; a quality is a number from 0 to 1")
    numbers = {str(model): float(quality) for model, quality in given.items()}
    return GradedPrompt(_text(row, "prompt", at), numbers, _id(row, default_id), _topic(row), _split(row), at)


def _intent(row: dict[str, Any], default_id: str, at: str) -> IntentText:
    intent = row.get("intent")
    if not isinstance(intent, str) or not intent:
        raise DataError(f"{at}: `intent` is {intent!r}; a name is expected, `oos` for none of the others")
    return IntentText(_text(row, "text", at), intent, _id(row, default_id), _topic(row), _split(row), at)


def _text(row: dict[str, Any], key: str, at: str) -> str:
    text = row.get(key)
    if not isinstance(text, str):
        raise DataError(f"{at}: `{key}` is missing or no text; keys there: {', '.join(row) or 'none'}")
    return text


def _id(row: dict[str, Any], default_id: str) -> str | int:
    """As the file has it, so that whoever joins by it finds the row."""
    given = row.get("id")
    if given is None:
        return default_id
    return given if isinstance(given, str | int) else str(given)


def _topic(row: dict[str, Any]) -> str:
    return next((str(row[key]) for key in TOPIC_KEYS if isinstance(row.get(key), str)), "")


def _split(row: dict[str, Any]) -> str:
    return str(row.get("split", ""))
