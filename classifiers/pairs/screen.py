"""Which pairs no score is needed for: those that the rules keep below every bar, whatever was learned. Reads texts, no vectors.

Most of what lies near a question is another question; to see that costs a tenth of a score. classifiers/pairs/verifier.py
applies the same vetoes to scores, and asks this module first where only what may be served is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from classifiers.pairs.memo import Memo
from classifiers.pairs.reading import read
from classifiers.pairs.rules import CHARS_MAX, objection
from classifiers.pairs.tokens import scan, trim
from classifiers.pairs.view import WORDS_MAX

VETOES: Final = ("negation", "number", "opposites", "sign", "code", "name", "quotation", "word of another script", "case")
"""The objections that stand against all that was learned."""
OUTLINES_BYTES_MAX: Final = 4 * 1024 * 1024  # some 3,500 texts of 700 characters
OUTLINE_BYTES: Final = 180


def excluded(asked: str, kept: Sequence[str]) -> list[bool]:
    """For each text of kept whether `Verifier.scores` gives it no more than VETOED."""
    return [_is_excluded(asked, text) for text in kept]


def _is_excluded(asked: str, kept: str) -> bool:
    if asked == kept:
        return False
    longest = max(len(asked), len(kept))
    if longest > CHARS_MAX:
        return asked.split() != kept.split()
    return (longest >= WORDS_MAX and _are_long_and_differ(asked, kept)) or _is_vetoed(asked, kept)


def _are_long_and_differ(asked: str, kept: str) -> bool:
    """Whether one is longer than what is learned reads, and they are not the same: all that a veto asks of such texts.

    By tokens and by words, for the rules go by the words in texts without any content, and by the tokens in the rest.
    """
    a, b = _outline(asked), _outline(kept)
    return max(a.length, b.length) >= WORDS_MAX and a.tokens != b.tokens and a.words != b.words


def _is_vetoed(asked: str, kept: str) -> bool:
    """As classifiers.pairs.verifier.vetoed, of two texts in place of their columns."""
    a, b = map(read, sorted((asked, kept)))
    reason = objection(a, b)
    return reason is not None and (
        reason.partition(":")[0] in VETOES
        or not (a.is_english and b.is_english)
        or (a.is_courtesy or b.is_courtesy)
        or not (a.terms and b.terms)
        or max(len(a.tokens), len(b.tokens)) >= WORDS_MAX
    )


class Outline(NamedTuple):
    """How many tokens a reading has, a hash of them, and one of its words: what differs here differs there."""

    length: int
    tokens: int
    words: int

    @classmethod
    def of(cls, text: str) -> Outline:
        scanned, _ = trim(scan(text))
        tokens = tuple([token.lower() for group, token, _ in scanned if group != "stop"])
        words = tuple([token.lower() for group, token, _ in scanned if group == "word"])
        return cls(len(tokens), hash(tokens), hash(words))


_outline: Final = Memo(Outline.of, lambda _: OUTLINE_BYTES, OUTLINES_BYTES_MAX)
"""The outline of a text: a fifth of what a reading costs, and remembered of twenty times as many texts."""
