"""The quick ways of counting find what the plain ones do: words, lists, numbers, names, marks."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.text.difficulty import DIFFICULTY_NAMES, NAME, difficulty, difficulty_of
from classifiers.text.difficulty import NUMBER as QUANTITY
from classifiers.text.features import FEATURE_NAMES, features, features_of
from classifiers.text.marks import MARKUP
from classifiers.text.scan import PLAIN_WORD, STRETCHED, scan

PARTS = [
    "heyyy", "AAArgh", "e-mail", "c++", "-", "don't", "٣", "12", "3/4", "1,000.50", "0" * 20, "\n", "\n- ", "\n  1) ", "\n(B) ",
    "A. ", "* ", " Paris", ", Rome", "é", "İ", "\ud800", "?", "!", ". ", "\r", "\u2028", "you", "how are you", "step-by-step",
    "\\frac", "^2", "∑", "```", "();", "==", "</", "std::", "what's up", "in short", "\t", "  ",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=120), st.lists(st.sampled_from(PARTS), max_size=25).map("".join)
)
WORD = re.compile(r"[a-z][a-z'+-]*")
BULLET = re.compile(r"^[ \t]{0,8}(?:[-*•]|\d{1,3}[.)])[ \t]", re.MULTILINE)
CHOICE = re.compile(r"^[ \t]{0,8}\(?[A-E][.):]", re.MULTILINE)
NAME_PLAINLY = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
QUANTITY_PLAINLY = re.compile(r"\d{1,15}(?:,\d{3})*(?:\.\d{1,9})?")


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_words_are_those_that_the_patterns_find(text: str) -> None:
    own = scan(text)
    assert own.lowered == STRETCHED.sub(r"\1", text.lower())
    assert own.words == WORD.findall(own.lowered)
    assert own.plain_words() == PLAIN_WORD.findall(text.lower())
    assert own.flat == (f" {' '.join(text.split())} " if text.strip() else "")
    assert own.may_have_digits or not re.search(r"\d", text)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_counts_are_those_of_the_plain_patterns(text: str) -> None:
    row = dict(zip(FEATURE_NAMES, features(text), strict=True))
    lowered = STRETCHED.sub(r"\1", text.lower())
    expected = {
        "log_bullets": len(BULLET.findall(text)),
        "log_choices": len(CHOICE.findall(text)),
        "log_numbers": len(re.findall(r"\d+", text)),
        "log_sentences": len(re.findall(r"[.!?](?:\s|$)", text)),
        "log_words": len(text.split()),
    }
    for name, marks in MARKUP.items():
        expected[f"log_{name}"] = sum(map((text if name == "code_mark" else lowered).count, marks))
    for name, count in expected.items():
        assert row[name] == np.float32(np.log1p(count)), name
    assert row["number_digits_max"] == min(max(map(len, re.findall(r"\d+", text)), default=0), 8)
    assert len(NAME.findall(text)) == len(NAME_PLAINLY.findall(text))
    assert QUANTITY.findall(text) == QUANTITY_PLAINLY.findall(text)
    hard = dict(zip(DIFFICULTY_NAMES, difficulty(text, []), strict=True))
    assert hard["log_fractions"] == np.float32(np.log1p(len(re.findall(r"\d/\d", text))))


def test_one_scan_serves_both() -> None:
    text = "Heyyy there! If 3/4 of the 1,200 jars in Rome are e-mail boxes, how many aren't?\n- one\n- two"
    own = scan(text)
    assert np.array_equal(features_of(own), features(text))
    assert np.array_equal(difficulty_of(own, [5, 9_000]), difficulty(text, [5, 9_000]))
