"""Texts in tokens: nothing is lost, what varies by nature is no word, and every script has words."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.prompts.tokens import VARIES, is_layout, may_vary, tokens_of, weight_of


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    raw, compared = tokens_of(text)
    assert "".join(raw) == text
    assert len(raw) == len(compared)
    assert all(c in (VARIES, r) for r, c in zip(raw, compared, strict=True))


@given(st.text(st.sampled_from("ab1 .,:\n\t@-/'’_Ω字あแ\x00é🙂9")), st.integers(0, 8))
def test_the_first_tokens_are_those_of_the_whole_text(text: str, at_most: int) -> None:
    raw, compared = tokens_of(text)
    assert tokens_of(text, at_most) == (raw[:at_most], compared[:at_most])


@given(
    st.text(st.sampled_from("ab .,:\n\t-'’_Ω字あแé🙂"), min_size=1),
    st.sampled_from(["", " 2026", " a@b.c", " https://a", " \x00"]),
)
def test_the_short_way_finds_the_same_tokens(text: str, varying: str) -> None:
    """A text that has nothing varying in it goes a shorter way; with something behind it goes the long one."""
    assert may_vary(text + varying) == bool(varying)
    assume(not varying or not text[-1].isspace())
    assert tokens_of(text + varying)[1] == tokens_of(text)[1] + ([VARIES] if varying else [])


@pytest.mark.parametrize(
    "varying",
    [
        "2026-11-22",
        "14:35",
        "12,345.67",
        "+44 7700".split()[0],
        "4711",
        "a.b+c@mail.example.com",
        "https://example.com/a?b=c#d",
        "www.example.com",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "9f86d081884c",
        "AB12CD34",
    ],
)
def test_what_varies_by_nature_is_no_word(varying: str) -> None:
    assert tokens_of(f"on {varying} we")[1] == ["on", VARIES, " we"]


@pytest.mark.parametrize("kept", ["3", "10", "v2", "GPT", "e-mail", "don't", "naïve", "Ω", "שלום", "привет", "नमस्ते", "🙂"])
def test_words_are_words(kept: str) -> None:
    raw, compared = tokens_of(f"on {kept} we")
    assert raw == compared and VARIES not in compared


def test_scripts_without_spaces_have_a_token_a_character() -> None:
    assert tokens_of("翻译成英文：hello")[1] == ["翻", "译", "成", "英", "文", "：", "hello"]
    assert len(tokens_of("แปลข้อความ")[1]) == len("แปลข้อความ")


@pytest.mark.parametrize("unfit", ["\x00", "\x1b", "\ud800"])
def test_what_no_database_keeps_is_never_constant(unfit: str) -> None:
    assert VARIES in tokens_of(f"a{unfit}b {unfit} c")[1]


def test_layout_is_what_programs_write() -> None:
    assert all(is_layout(token) for token in (":", " {", '"', "\n\n", "```", "###"))
    assert not any(is_layout(token) for token in ("word", ".", "?", " ", ""))


def test_weight_counts_words_and_layout() -> None:
    assert weight_of("Translate into French:\n\n") == (3, 2)
    assert weight_of("翻译成英文：") == (2.5, 1)
    assert weight_of("1. 2. 3.") == (0, 0)


@pytest.mark.parametrize("piece", ["a", "a1", "1.", "@.", "a@", "-", "http://x", " ", "\n", "'a", "1-", "字", "a.b@c."])
def test_the_work_is_in_proportion_to_the_text(piece: str) -> None:
    assert "".join(tokens_of(piece * 20_000)[0]) == piece * 20_000  # would take minutes if it were quadratic
