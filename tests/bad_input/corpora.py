"""Public collections of hostile input, read from a folder: too large, and not ours, to stand in the repository."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

VARIABLE: Final = "TURNOUT_NEGATIVE_DATA"
PARSING: Final = "json_parsing.jsonl.gz"  # name, expect (accept, reject, either), body_base64; of nst/JSONTestSuite
STRINGS: Final = "naughty_strings.jsonl.gz"  # text; of minimaxir/big-list-of-naughty-strings
INJECTIONS: Final = "prompt_injections.jsonl.gz"  # prompt; of Giskard-AI/prompt-injections


def json_texts() -> list[tuple[str, str, bytes]]:
    """(name, what a parser does: accept, reject or either, the bytes)."""
    return [(row["name"], row["expect"], base64.b64decode(row["body_base64"])) for row in _rows(PARSING)]


def strings() -> list[str]:
    """Texts that programs stumble over, and that talk models into something."""
    return [row["text"] for row in _rows(STRINGS)] + [row["prompt"] for row in _rows(INJECTIONS)]


def _rows(name: str) -> list[dict[str, Any]]:
    """Skips the test, and says what is missing, where the folder is not named."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} does not name a folder with {PARSING}, {STRINGS} and {INJECTIONS}")
    with gzip.open(Path(folder) / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
