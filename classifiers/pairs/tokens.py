"""A text taken apart: words, numbers, code and signs, less the courtesies at either end. Pure functions of the text."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from classifiers.pairs import words as w
from classifiers.pairs.canonical import CURRENCIES, canonical

TYPOGRAPHY: Final = str.maketrans("‘’ʼ“”„«»–—‑−", '\'\'\'"""""----')
LATIN: Final = "A-Za-zÀ-ÖØ-öø-ɏ"
MIXED: Final = rf"""
    (?P<mixed> (?<![\w.,]) (?: [{LATIN}]++\d[{LATIN}\d]*(?:\.\d+)* | (?:\d+(?:\.\d+)?|\.\d+)[eE][-+]?\d+(?![{LATIN}\d])
        | \d+(?:[.:]\d+)*[{LATIN}][{LATIN}\d]* ) )                                          # log2, 1e-3, 3d
    |
"""
PLAIN: Final = rf"""
    (?P<word> [{LATIN}]+(?:'[{LATIN}]+)? )
    | (?P<number> (?:(?<![\w)\].+-])[-+](?=\.?\d))?
        (?: \d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d+)? | (?<![\w.])\.\d+ | \d+(?:[.:/-]\d+)* ) )
    | (?P<stop> [.?!;:]+ | [,()/&]+ )
    | (?P<tail> '(?:s|m|d|ll|re|ve)\b )
    | (?P<sign> [$€£₹¥%] | [-+*=<>|^~@\#]+ | [][{{}}\\] )
    | (?P<other> [^\s\x00-\x7f]+ )
"""
CODE: Final = r"""
    (?P<code> https?://[^\s<>"]+ | (?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w            # address, e-mail
      | (?<![\w-])--?[A-Za-z][\w-]*(?:=\S+)? | (?<![\w/.~])(?:\.{1,2}|~)?/[\w./-]*\w        # flag, path
      | (?<!\w)[A-Za-z0-9]\w*_\w*\w | (?<![\w.-])[a-z][a-z0-9-]*(?:\.[a-z0-9-]*[a-z][a-z0-9-]*)+\b  # snake_case, file.ext
      | (?<!\w)[A-Za-z](?:\+\+|\#) )                                                         # C++, C#
    | (?P<acronym> (?<!\w)(?:[A-Z]\.){2,} )
    |
"""
PLAIN_TOKEN: Final = re.compile(PLAIN, re.VERBOSE | re.ASCII)
DIGIT_TOKEN: Final = re.compile(MIXED + PLAIN, re.VERBOSE | re.ASCII)
ANY_TOKEN: Final = re.compile(CODE + MIXED + PLAIN, re.VERBOSE | re.ASCII)
CODE_HINT: Final = re.compile(r"[_@+\#/]|\B-|\.\w", re.ASCII)  # without one of these ANY_TOKEN finds what the others do
QUOTED: Final = re.compile(r'"[^"\n]{1,40}"|`[^`\n]{1,80}`')
QUOTED_WORDS_MAX: Final = 3  # longer quotations are read as any text
MIXED_UNIT: Final = re.compile(rf"(\d+(?:[.:]\d+)*)([{LATIN}]+)|([{LATIN}]+)(\d+(?:\.\d+)*)", re.ASCII)
DIGIT: Final = re.compile(r"\d")
CHUNK_CHARS_MAX: Final = 32
CHUNKS_KEPT: Final = 8_192  # 4 MB
NOWHERE: Final = (sys.maxsize, sys.maxsize)

Token = tuple[str, str, bool]  # group of ANY_TOKEN, text, is quoted


def scan(text: str) -> list[Token]:
    """The tokens of a text, in order."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)
    if '"' in text or "`" in text:
        quoted = [m.span() for m in QUOTED.finditer(text) if len(m[0].split()) <= QUOTED_WORDS_MAX]
        if quoted:
            return list(_tokens(text, quoted))
    tokens: list[Token] = []
    # INVARIANT: no token holds a blank, and none depends on what stands beyond one. Most of what stands between blanks
    # was met before, so that a text costs a tenth of what it takes to scan it whole.
    for chunk in text.split(" "):
        tokens += _tokens_between_blanks(chunk) if len(chunk) <= CHUNK_CHARS_MAX else _tokens(chunk)
    return tokens


@lru_cache(maxsize=CHUNKS_KEPT)
def _tokens_between_blanks(chunk: str) -> tuple[Token, ...]:
    return tuple(_tokens(chunk))


def _tokens(text: str, quoted: Sequence[tuple[int, int]] = ()) -> Iterator[Token]:
    """quoted: where quotations stand, in order."""
    pattern = ANY_TOKEN if CODE_HINT.search(text) else DIGIT_TOKEN if DIGIT.search(text) else PLAIN_TOKEN
    quotations = iter(quoted)
    opens, closes = next(quotations, NOWHERE)
    for m in pattern.finditer(text):
        while m.start() >= closes:
            opens, closes = next(quotations, NOWHERE)
        is_quoted = m.start() > opens
        if m.lastgroup == "mixed" and (unit := MIXED_UNIT.fullmatch(m[0])):
            number, letters, currency, amount = unit.groups()
            if letters and letters.lower() in w.UNITS | w.ENDINGS:
                yield from (("number", number, is_quoted), ("word", letters, is_quoted))
                continue
            if currency and canonical(currency.lower()) in CURRENCIES:
                yield from (("word", currency, is_quoted), ("number", amount, is_quoted))
                continue
        yield str(m.lastgroup), m[0], is_quoted


def trim(tokens: list[Token]) -> tuple[list[Token], bool]:
    """Without courtesies at either end, unless nothing else is there; whether nothing else is."""
    first, last = 0, len(tokens)
    while first < last and (size := _courtesy(tokens[first : min(first + w.PHRASE_WORDS_MAX, last)])):
        first += size
    while first < last and (size := _farewell(tokens[max(last - w.PHRASE_WORDS_MAX, first) : last])):
        last -= size
    return (tokens[first:last], False) if first < last else (tokens, True)


def _courtesy(tokens: list[Token]) -> int:
    """How many of the tokens, from the first, are a courtesy or a stop."""
    if tokens[0][0] == "stop":
        return 1
    if tokens[0][1].lower() not in w.OPENING_WORDS:
        return 0
    words = tuple(token.lower() for _, token, _ in tokens)
    return next((n for n in range(len(words), 0, -1) if words[:n] in w.OPENINGS), 0)


def _farewell(tokens: list[Token]) -> int:
    """How many of the tokens, from the last, are a courtesy or a stop."""
    if tokens[-1][0] == "stop":
        return 1
    if tokens[-1][1].lower() not in w.CLOSING_WORDS:
        return 0
    words = tuple(token.lower() for _, token, _ in tokens)
    return next((n for n in range(len(words), 0, -1) if words[-n:] in w.CLOSINGS), 0)
