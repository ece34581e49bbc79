"""Ids without a template: the same in every process, and none for what is asked only once."""

import os
import subprocess
import sys

import pytest

from gateway.prompts.fingerprint import Seen, fingerprints
from gateway.prompts.pattern import Shape
from gateway.prompts.view import View

VIEW = View("You help Anna. Today is 2026-11-22.", "Translate the following text into French: 你好, 4711!")
CODE = """
from gateway.prompts.fingerprint import fingerprints
from gateway.prompts.pattern import Shape
from gateway.prompts.view import View
print(*fingerprints(View(%r, %r)), Shape.parse("Translate: <*>").id)
"""


def test_ids_are_the_same_in_every_process() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", CODE % VIEW],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert said == {" ".join([*fingerprints(VIEW), Shape.parse("Translate: <*>").id]) + "\n"}


def test_numbers_dates_and_what_comes_later_make_no_difference() -> None:
    other = View("You help Anna. Today is 2025-01-01.", "Translate the following text into Spanish: good day, 123!")
    assert fingerprints(other)[0] != fingerprints(VIEW)[0], "the sixth word counts"
    same = View("You help Anna. Today is 2025-01-01.", "Translate the following text into French: good day, 123!")
    assert fingerprints(same)[0] == fingerprints(VIEW)[0]
    assert fingerprints(same)[2] == fingerprints(other)[2] == fingerprints(VIEW)[2]
    assert len(fingerprints(View("", "hi"))) == 2


@pytest.mark.parametrize("between", [" ", "\n\n", " \t\n", ", ", "\u2003"])
def test_the_last_words_are_those_after_which_the_text_ends(between: str) -> None:
    end = between.join(["Answer", "with", "the", "category", "and", "nothing", "else."])
    other = View("", f"First {'x' * 100}{between}{end}")
    assert fingerprints(View("", f"Second words, 4711{between}{end}"))[1] == fingerprints(other)[1]
    assert fingerprints(View("", f"Second words, 4711{between}{end[:-2]}"))[1] != fingerprints(other)[1]


def test_the_sixth_token_from_the_end_counts_and_the_seventh_does_not() -> None:
    def last(user: str) -> str:
        return fingerprints(View("", user))[1]

    said = last("Answer with category and counterargument nothing else.")
    assert last("Answer with reason and counterargument nothing else.") != said
    assert last("Reply at category and counterargument nothing else.") == said


def test_a_system_text_of_which_nothing_varies_is_told_from_any_other() -> None:
    long = "You answer by what stands in the document. " * 20
    ids = [fingerprints(View(long + word, "hi"))[2] for word in ("alpha", "beta", "17", "2026-11-22", "2027-01-01", "a@b.de")]
    assert ids[3] == ids[4] == ids[5]
    assert len(set(ids)) == 4


def test_what_is_asked_once_has_no_id() -> None:
    seen = Seen()
    assert seen.again(("p-1", "p-2")) is None
    assert seen.again(("p-3", "p-2")) == "p-2"
    assert seen.again(("p-1", "p-2")) == "p-1", "the narrowest"


def test_what_came_long_ago_is_forgotten() -> None:
    seen = Seen(at_most=2)
    seen.again(("p-1",))
    assert seen.again(("p-1",)) == "p-1"
    seen.again(("p-2",))
    seen.again(("p-3",))
    assert seen.again(("p-1",)) is None


def test_any_text_has_fingerprints() -> None:
    assert len(set(fingerprints(View("\ud800\x00", "\udfff \x00")))) == 3
