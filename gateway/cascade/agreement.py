"""Whether two answers say the same, by their text alone. Pure.

The measure, in this order; the first line that applies decides:

1. JSON: both are objects or lists → the same values, whatever the order of keys.
2. The same words once case, punctuation, markup and articles are gone and numbers are written one way → the same.
3. Both begin with yes or no → the same iff it is the same word.
4. Both end (last line, last sentence of it) with a number in it → the same iff the last number is the same.
5. One is a few words, and the other's last sentence holds them all → the same.
6. The last lines are the same words, in answers of several lines → the same.
7. The share of words in common (Dice, counted with repeats) is at least OVERLAP_MIN → the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

import msgspec

OVERLAP_MIN = 0.8
FEW_WORDS = 4

_ARTICLES = frozenset("a an the der die das ein eine le la les un une el los las il lo".split())
_NUMBERS = {
    word: str(n)
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
}
_YES_NO = frozenset({"yes", "no"})
_NEGATION = frozenset("not no never isn't cannot nicht kein keine".split())
_THOUSANDS = re.compile(r"(?<=\d)[,'  ](?=\d{3}(?!\d))")
_WORD = re.compile(r"-?\d+(?:\.\d+)?|[^\W_]+(?:'[^\W_]+)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?$")
_SENTENCE = re.compile(r"(?<=[.!?。])\s+")


def say_the_same(one: str, other: str) -> bool:
    """Whether they do, by the measure above. Symmetric."""
    if one == other:
        return True
    structured = [_json(text) for text in (one, other)]
    if structured[0] is not None and structured[1] is not None:
        return bool(structured[0] == structured[1])
    words, others = words_of(one), words_of(other)
    if words == others:
        return True
    if not words or not others:
        return False
    if words[0] in _YES_NO and others[0] in _YES_NO:
        return words[0] == others[0]
    end, other_end = words_of(_last_sentence(one)), words_of(_last_sentence(other))
    number, other_number = _last_number(end), _last_number(other_end)
    if number is not None and other_number is not None:
        return number == other_number
    if min(len(words), len(others)) <= FEW_WORDS:
        return _holds(end, others) if len(others) <= len(words) else _holds(other_end, words)
    if end == other_end and "\n" in one.strip() and "\n" in other.strip():
        return True
    return _overlap(words, others) >= OVERLAP_MIN


def words_of(text: str) -> list[str]:
    """What two texts are compared by: words in small letters, numbers written one way, no articles, no punctuation."""
    plain = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).replace("’", "'").casefold())
    return [_one_way(word) for word in _WORD.findall(plain) if word not in _ARTICLES]


def _one_way(word: str) -> str:
    if "." in word and _NUMBER.match(word):
        word = word.rstrip("0").rstrip(".")
    return _NUMBERS.get(word, word)


def _json(text: str) -> Any:
    bare = text.strip()
    if not bare.startswith(("{", "[")):
        return None
    try:
        return msgspec.json.decode(bare)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _last_sentence(text: str) -> str:
    lines = text.strip().splitlines()
    return _SENTENCE.split(lines[-1].strip())[-1] if lines else ""


def _last_number(words: list[str]) -> float | None:
    return next((float(word) for word in reversed(words) if _NUMBER.match(word)), None)


def _holds(words: list[str], few: list[str]) -> bool:
    """Whether all of the few are among the words, and as often denied."""
    denied = bool(_NEGATION & set(words)) != bool(_NEGATION & set(few))
    return not denied and not Counter(few) - Counter(words)


def _overlap(words: list[str], others: list[str]) -> float:
    common = sum((Counter(words) & Counter(others)).values())
    return 2 * common / (len(words) + len(others))
