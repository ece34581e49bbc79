"""Texts as rows of tokens: words, signs, and what is never part of a template because it varies by nature."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

VARIES: Final = "\0"  # stands for a number, a date, an address or an id; equal to nothing, not even to itself

# Scripts that put no space between words: Thai to Khmer, kana, Chinese characters. A character is a token there.
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_VARYING: Final = r"""
    (?: https?://\S+ | www\.\S+ )
  | \w[\w.+-]{0,63}@[\w-]{1,64}\.[\w.-]{1,64}
  | [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{14,22}
  | (?: [+-]?\d[\d.,:/\-]*\d | \d ) (?! \w)
  | (?= [A-Za-z_]{0,64}\d ) (?= [0-9_]{0,64}[A-Za-z] ) [A-Za-z0-9_]{6,} (?! \w)
"""
_LETTERS: Final = rf"[^\W{_UNSPACED}]+"
_WORDS_AND_SIGNS: Final = rf"""
      [{_UNSPACED}]
    | {_LETTERS} (?: ['’]{_LETTERS} )*
    | (?P<sign> [^\w\s]) (?P=sign)*
    | \Z
"""
# The space before a token is part of it, and line breaks are tokens: joined, they are the text again, to the character.
_TOKEN: Final = re.compile(
    rf"[^\S\n]* (?: \n\s* | (?P<varying> {_VARYING} ) | {_WORDS_AND_SIGNS} )",
    re.VERBOSE,
)
# The same where nothing varies, three times as fast.
_PLAIN_TOKEN: Final = re.compile(rf"[^\S\n]* (?: \n\s* | {_WORDS_AND_SIGNS} )", re.VERBOSE)
_SMALL: Final = re.compile(r"\d{1,2}\Z")
_WORD: Final = re.compile(rf"[{_UNSPACED}]|(?:[^\W{_UNSPACED}]|['’])+")
_IS_UNSPACED: Final = re.compile(rf"[{_UNSPACED}]")
_MARKS: Final = tuple(':{}[]<>`#|="“”„«»*_：「」《》')
_MARK: Final = re.compile(rf"\n\s*|[{re.escape(''.join(_MARKS))}]+|---+")
# What a database cannot keep in a text, or a terminal cannot show: never part of a template.
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# What varies has one of these, or is an address of the web. One class of characters: that is searched ten times as fast as words.
_VARYING_SIGN: Final = re.compile(r"[\d@\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def is_layout(token: str) -> bool:
    """Whether the token is a line break or a sign that programs put around what they fill in."""
    return "\n" in token or token.strip().startswith(_MARKS)


def may_vary(text: str) -> bool:
    """Whether there may be a token in the text that varies, seen without looking for tokens."""
    return _VARYING_SIGN.search(text) is not None or "://" in text or "www." in text


def tokens_of(text: str, at_most: int | None = None) -> tuple[list[str], list[str]]:
    """The tokens as they stand, and as they compare: VARIES in place of what varies. at_most: so many of the first."""
    if not may_vary(text):
        tokens = [found[0] for found in islice(_PLAIN_TOKEN.finditer(text), at_most) if found[0]]
        return tokens, tokens.copy()
    raw: list[str] = []
    compared: list[str] = []
    is_unfit = _UNFIT.search(text) is not None
    for found in islice(_TOKEN.finditer(text), at_most):
        token, varying = found[0], found["varying"]
        if not token:
            break  # the end of the text
        raw.append(token)
        # "in 3 sentences", "between 1 and 10": small numbers are words of the template as often as not.
        varies = (varying is not None and not _SMALL.match(varying)) or (is_unfit and _UNFIT.search(token) is not None)
        compared.append(VARIES if varies else token)
    return raw, compared


def weight_of(text: str) -> tuple[float, int]:
    """How much a constant text says: words, a character without spaces around it as half of one, and marks of a layout.

    People write words; line breaks, colons, quotes and brackets around what changes are how programs write.
    """
    words = sum(0.5 if _IS_UNSPACED.match(word) else 1.0 for word in _WORD.findall(text) if not word.isdigit())
    return words, len(_MARK.findall(text))
