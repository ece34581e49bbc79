"""Marks in a text: phrases and signs that tell code, formulas and kinds of questions. Counts them; pure.

Of some seventy marks a text has a few at most. Looking for each costs more than all else that is read off a text, so one
pass over its runs of six characters says which can be there at all, and only those are looked for.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

MARKUP: Final = {
    "fence": ("```", "~~~"),
    "code_mark": ("def ", "return ", "();", "#include", "</", "=>", "!=", "==", "SELECT ", "import ", "std::", "public "),
    "latex": ("$", "\\frac", "\\sum", "\\int", "\\(", "\\begin", "^2", "^n", "∑", "∫", "≤", "√", "∀", "∈"),
    "steps": ("step by step", "step-by-step", "in detail", "show your", "show that", "such that", "if and only if", "rigorous"),
    "trade_off": ("trade-off", "tradeoff", "pros and cons", "edge case", "worst case", "best practice", "from scratch",
                  "as well as", "taking into account", "at scale", "per second"),
    "short_form": ("one sentence", "one word", "briefly", "in short", "in a sentence", "capital of", "how do you say",
                   "what does", "stand for", "how many", "what is the"),
    "about_bot": ("are you", "your name", "who made", "who built", "who created", "do you have", "can you do", "you do",
                  "how are", "how's it", "what's up", "nice to", "good to", "have a ", "see you", "talk to you",
                  "meaning of life", "you from", "your hobb", "made you", "you help", "you work for", "ask you", "call you"),
}  # fmt: skip
CASED: Final = "code_mark"  # looked for as they are written, all others in small letters
RUN_CHARS: Final = 6
SLOT_BITS: Final = 16
# 2^64 / golden ratio (Knuth, 6.4), so that the top bits of a product depend on all of a number's bits; moved up by two
# bytes, so that of the eight in a number only the lowest six count.
SPREAD: Final = np.uint64((0x9E3779B97F4A7C15 << 16) % 2**64)
SIGNS: Final = b"`~;</=\\$^"  # each ASCII mark shorter than a run has one of them, but for those of WORDED
WORDED: Final = ("def ", "std::")

Mark = tuple[int, str]  # place of its kind in MARKUP, and the mark


def _run(mark: str) -> bytes:
    """Six characters of a mark that few texts have: around its last space, or its first ones."""
    start = min(max(mark.rfind(" ", 0, -1) - 2, 0), len(mark) - RUN_CHARS)
    return mark.lower()[start : start + RUN_CHARS].encode()


def _slots(ascii_text: bytes) -> npt.NDArray[np.intp]:
    """(n,) for each character a number below 2**SLOT_BITS that stands for it and the five after it."""
    runs: npt.NDArray[np.uint64] = np.ndarray((len(ascii_text),), "<u8", ascii_text + bytes(7), strides=(1,))
    return (runs * SPREAD >> np.uint64(64 - SLOT_BITS)).view(np.intp)


_MARKS: Final = [(place, mark) for place, marks in enumerate(MARKUP.values()) for mark in marks]
_CASED: Final = list(MARKUP).index(CASED)
_OTHERS: Final = [(place, mark) for place, mark in _MARKS if not mark.isascii()]
_WORDED: Final = [(place, mark) for place, mark in _MARKS if mark in WORDED]
_SHORT: Final = [(place, mark) for place, mark in _MARKS if mark.isascii() and len(mark) < RUN_CHARS and mark not in WORDED]
_NOT_SIGNS: Final = bytes(set(range(256)).difference(SIGNS))


def _by_slot() -> tuple[list[list[Mark]], npt.NDArray[np.uint8]]:
    """The other marks by number, and the number of each slot: that of the marks whose run it is, 0 for most."""
    marks: dict[int, list[Mark]] = {}
    for place, mark in _MARKS:
        if mark.isascii() and len(mark) >= RUN_CHARS:
            marks.setdefault(int(_slots(_run(mark))[0]), []).append((place, mark))
    number_of = np.zeros(1 << SLOT_BITS, np.uint8)
    number_of[list(marks)] = range(1, len(marks) + 1)
    return [[], *marks.values()], number_of


_BY_NUMBER, _NUMBER_OF = _by_slot()


def count_marks(seen: str, lowered: str, ascii_text: bytes) -> list[int]:
    """How often each kind of MARKUP is in a text, as `str.count` counts.

    lowered: `seen` in small letters, and stretched ones single. ascii_text: that, with one byte for each character.
    """
    numbers = _NUMBER_OF.take(_slots(ascii_text)).tobytes().translate(None, b"\0")
    candidates = [_WORDED, *[_BY_NUMBER[number] for number in set(numbers)]]
    if ascii_text.translate(None, _NOT_SIGNS):
        candidates.append(_SHORT)
    if not seen.isascii():
        candidates.append(_OTHERS)
    counts = [0] * len(MARKUP)
    for marks in candidates:
        for place, mark in marks:
            counts[place] += (seen if place == _CASED else lowered).count(mark)
    return counts
