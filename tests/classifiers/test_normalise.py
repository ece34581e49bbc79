"""What a reader does not see does not count: full width, look-alikes, odd spaces, quotes. Any str, in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text.normalise import EDGE_CHARS, normalise

SAME = [
    ("Ｐｒｏｖｅ　ｉｔ！", "prove it!"),
    ("prove\u00a0that\u2009x", "prove that x"),
    ("рrоvе thе lеmmа", "prove the lemma"),
    ("pro\u200bve th\u00adat\ufeff", "prove that"),
    ("“it’s” – fine…", '"it\'s" - fine...'),
    ("two  spaces   here\tand a tab", "two spaces here and a tab"),
    ("  ends \n", "ends"),
    ("a\r\nb\rc", "a\nb\nc"),
    ("a\n\n\n \n\nb", "a\n\nb"),
    ("x² + y³", "x^2 + y^3"),
    ("𝐏𝐫𝐨𝐯𝐞 the ﬁrst", "prove the first"),
    ("cafe\u0301", "café"),
    ("ｐrоve", "prove"),
    ("PROVE It, pLEASE!", "prove it, please!"),
]
UNTOUCHED = [
    "Plain text, as it is.",
    "if x:\n    return  1".replace("  1", " 1"),
    "- one\n- two\n\nthree",
    "Привет, как дела?",
    "Καλημέρα κόσμε",
    "证明根号二是无理数",
    "नमस्ते दुनिया",
    "Größe, naïve, señor",
    "Москва and London",
    "NASA",
    "请解释 JWT 的风险",
    "",
]


@pytest.mark.parametrize(("odd", "plain"), SAME)
def test_odd_ways_of_writing_come_out_plain(odd, plain):
    assert normalise(odd) == plain


@pytest.mark.parametrize("text", UNTOUCHED)
def test_a_text_in_its_own_script_keeps_all_but_its_capitals(text):
    assert normalise(text) == text.lower()


def test_a_script_is_turned_to_latin_only_where_a_word_mixes_it_with_latin():
    assert normalise("the wоrd хорошо") == "the word хорошо"


def test_indentation_stays():
    assert normalise("def f():\n    a  =  1\n\treturn a") == "def f():\n    a = 1\n\treturn a"


@given(st.text(st.characters(), max_size=400))
def test_any_text_comes_out_and_a_second_time_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once


def test_lone_surrogates_pass():
    assert normalise("a\ud800 b") == "a\ud800 b"


def test_the_middle_of_a_long_text_is_left_as_it_is():
    text = "é" + "x" * EDGE_CHARS + "’" + "x" * EDGE_CHARS + "’"
    assert normalise(text).count("’") == 1
    assert normalise(text).endswith("'")


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u05b0\u05b1\u0591\u0301" * 50_000,
        "\ufdfa" * 100_000,
        "аa" * 100_000,
        "а" * 200_000,
        "\n \n" * 100_000,
        "é" + " " * 300_000,
    ],
    ids=["marks", "ligatures", "mixed", "cyrillic", "lines", "spaces"],
)
def test_texts_made_to_be_slow_are_not(text):
    begun = time.process_time()
    normalise(text)
    assert time.process_time() - begun < 0.5
