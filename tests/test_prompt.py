"""What of a text is looked at: no files, and no more than its two ends."""

from __future__ import annotations

import time

import pytest

from classifiers.artifact import Artifact, load_artifact
from gateway.learned import ARTIFACTS
from gateway.prompt import SEEN_CHARS, readable

FILE = "data:image/png;base64,iVBORw0KGgo="
MEGABYTE = 1_000_000


@pytest.mark.parametrize("text", ["", "hello", "what does data:text mean?", "a;base64,b", "word " * 2_000])
def test_a_text_without_files_is_itself(text: str) -> None:
    assert readable(text) == text


@pytest.mark.parametrize("name", ["data:image/png;base64,", "data:;base64,", "data:text/plain;charset=utf-8;base64,"])
def test_a_file_written_out_is_left_out(name: str) -> None:
    assert readable(f"What is on {name}{'QUJD+/' * 500}== here?") == "What is on   here?"


def test_of_a_long_text_both_ends_are_seen() -> None:
    seen = readable("first " + "middle " * SEEN_CHARS + "last")
    assert seen.startswith("first middle")
    assert seen.endswith("middle last")
    assert len(seen) <= 2 * SEEN_CHARS + 1


def test_a_file_longer_than_what_is_seen_is_left_out_at_both_ends() -> None:
    assert readable(f"Look: data:image/png;base64,{'A' * MEGABYTE} What is it?") == "Look:  \n What is it?"


@pytest.mark.parametrize(
    "text",
    [
        "word and more " * 80_000,
        "data:" * 200_000 + ";base64,",
        "data:a;b;c;d;" * 80_000,
        "\0" * MEGABYTE,
        "😀" * 500_000,
        "继续" * 300_000,
    ],
    ids=["words", "prefixes", "parameters", "zeros", "emoji", "unspaced"],
)
def test_a_megabyte_takes_no_longer_than_a_page(text: str) -> None:
    scorer = load_artifact(ARTIFACTS / "default")
    page = ("word and more " * 1_000)[: 2 * SEEN_CHARS]
    assert seconds(text, scorer) < 0.02 + 10 * seconds(page, scorer)


def seconds(text: str, scorer: Artifact) -> float:
    """The least of five, to read and judge the text."""
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        seen = readable(text)
        scorer.judge(seen)
        taken.append(time.perf_counter() - begun)
    return min(taken)
