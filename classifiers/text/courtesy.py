"""Courtesies around a request: what is said before and after it that does not change what is wanted. Pure."""

from collections.abc import Sequence
from typing import Final

BEFORE: Final = (
    "hi there", "hey there", "hello there", "hi", "hello", "hey", "hiya", "good morning", "good afternoon", "good evening",
    "dear team", "dear assistant", "dear sir", "dear all", "excuse me", "pardon me", "sorry to bother you", "sorry",
    "quick question", "ok", "okay", "i have a question about", "i have a question", "a question", "please", "kindly", "pls",
    "thanks", "thank you", "could you", "can you", "would you", "will you", "would you mind",
    "i was wondering if you could", "i was wondering if", "i was wondering", "i wonder if", "i wonder",
    "i hope you can help", "hope you can help", "i hope you can", "i would like to know", "i'd like to know",
    "i want to know", "i need to know", "help me with this", "help me with", "help me to", "help me", "tell me please",
    "do you know", "let me know", "but", "and", "so",
)  # fmt: skip
AFTER: Final = (
    "please", "pls", "thanks", "thank you", "thanks a lot", "thank you very much", "thank you so much", "many thanks",
    "much appreciated", "thanks in advance", "if you can", "if possible", "cheers", "kind regards", "best regards",
    "i would appreciate it", "i'd appreciate it", "thx", "ok", "okay",
)  # fmt: skip
WORDS_LEFT_MIN: Final = 2  # a text that is nothing but courtesy is one, and is kept

Phrases = dict[str, list[tuple[str, ...]]]


def _by_edge(phrases: Sequence[str], edge: int) -> Phrases:
    """Phrases by their first (0) or last (-1) word, the longest first."""
    found: Phrases = {}
    for words in sorted((tuple(phrase.split()) for phrase in phrases), key=len, reverse=True):
        found.setdefault(words[edge], []).append(words)
    return found


_BEFORE: Final = _by_edge(BEFORE, 0)
_AFTER: Final = _by_edge(AFTER, -1)


def without_courtesies(words: Sequence[str]) -> Sequence[str]:
    """The words without courtesies at both ends, at least two of them; words in lower case, without punctuation."""
    start, end = 0, len(words)
    while length := _length(words[start:end], _BEFORE, is_end=False):
        if end - start - length < WORDS_LEFT_MIN:
            break
        start += length
    while length := _length(words[start:end], _AFTER, is_end=True):
        if end - start - length < WORDS_LEFT_MIN:
            break
        end -= length
    return words[start:end]


def _length(words: Sequence[str], phrases: Phrases, *, is_end: bool) -> int:
    """How many words at the edge are a courtesy, 0 for none."""
    if not words:
        return 0
    for phrase in phrases.get(words[-1 if is_end else 0], ()):
        edge = words[-len(phrase) :] if is_end else words[: len(phrase)]
        if tuple(edge) == phrase:
            return len(phrase)
    return 0
