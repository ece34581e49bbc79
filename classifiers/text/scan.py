"""A text's first look: what all hand features are counted in. Pure, bounded, any unicode.

At most 3,000 characters are looked at. Tables of bytes part them into words in a third of a pattern's time.
"""

import re
from typing import Final, NamedTuple

import numpy as np

HEAD_CHARS: Final = 2_400
TAIL_CHARS: Final = 600

CLASS_NAMES: Final = ("other", "lower", "upper", "digit", "space", "newline", "stop", "code", "operator", "non_ascii")
_OF_CLASS: Final[dict[str, str]] = {
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digit": "0123456789",
    "space": " \t",
    "newline": "\n\r",
    "stop": ".,;:!?",
    "code": "{}[]_#&|@`~\\",
    "operator": "+-*/=<>^%$",
}
DIGIT, NON_ASCII = CLASS_NAMES.index("digit"), CLASS_NAMES.index("non_ascii")
_CLASS_OF: Final = {char: CLASS_NAMES.index(name) for name, chars in _OF_CLASS.items() for char in chars}
CLASS_BYTES: Final = bytes(_CLASS_OF.get(chr(code), 0) for code in range(256))

PLAIN_WORD: Final = re.compile(r"[a-z][a-z']*")
STRETCHED: Final = re.compile(r"([a-z])\1\1+")  # heyyy, thaaanks
INNER: Final = "'+-"  # what a word has in it, and does not begin with
# Bytes as they are if they can be in a word, and spaces for all others.
WORD_BYTES: Final = bytes(code if chr(code) in f"{_OF_CLASS['lower']}{INNER}" else ord(" ") for code in range(256))


class Scan(NamedTuple):
    """Shared by all that count in a text.

    chars: of the whole text. seen: the part looked at, at most 3,001 characters. small: that in small letters. lowered: and
    stretched ones made single. ascii: `lowered`, "?" for each character beyond. flat: `seen`, as `flattened` makes it;
    spaced: how many words single spaces divide there. words: of `lowered`. by_class: as CLASS_NAMES.
    """

    chars: int
    seen: str
    small: str
    lowered: str
    ascii: bytes
    flat: str
    spaced: int
    words: list[str]
    by_class: list[int]

    @property
    def may_have_digits(self) -> bool:
        """False if there are none of any script."""
        return self.by_class[DIGIT] > 0 or self.by_class[NON_ASCII] > 0

    def plain_words(self) -> list[str]:
        """Of `small`, parted at hyphens too."""
        if self.lowered != self.small:
            return PLAIN_WORD.findall(self.small)
        if "-" not in self.small and "+" not in self.small:
            return self.words
        return [part for word in self.words for part in (PLAIN_WORD.findall(word) if "-" in word or "+" in word else (word,))]


def windowed(text: str) -> str:
    """The text, or the first HEAD_CHARS and last TAIL_CHARS characters of a longer one."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def scan(text: str) -> Scan:
    """Of a text over 3,000 characters only the first 2,400 and the last 600 are looked at."""
    seen = windowed(text)
    small = seen.lower()
    lowered = unstretched(small)
    ascii_text = lowered.encode("ascii", "replace")
    spaced = seen.split()
    return Scan(
        chars=len(text),
        seen=seen,
        small=small,
        lowered=lowered,
        ascii=ascii_text,
        flat=f" {' '.join(spaced)} " if spaced else "",
        spaced=len(spaced),
        words=_words(ascii_text),
        by_class=_class_counts(seen),
    )


def unstretched(small: str) -> str:
    """The text with a single letter for each three or more in a row. small: in small letters.

    STRETCHED alone would take a tenth of all the time here, and seldom finds anything.
    """
    codes = np.frombuffer(small.encode("ascii", "replace"), np.uint8)
    again = codes[1:] == codes[:-1]
    begins = (again[1:] & again[:-1]).nonzero()[0]
    if not len(begins):
        return small
    first = codes.take(begins)
    letters = begins[(first >= ord("a")) & (first <= ord("z"))]
    if not len(letters):
        return small
    start, end = letters[0], letters[-1] + 3
    return small[:start] + STRETCHED.sub(r"\1", small[start:end]) + small[end:]


def _words(ascii_text: bytes) -> list[str]:
    """All of letters, `'`, `+` and `-` that stands together, from its first letter on."""
    left = ascii_text.translate(WORD_BYTES).decode("ascii")
    words = left.split()
    # Seldom does one begin with a sign, and two characters are looked for only where the one is there: a tenth of the time.
    if any([sign in left and f" {sign}" in f" {left}" for sign in INNER]):
        return [word for run in words if (word := run.lstrip(INNER))]
    return words


def _class_counts(seen: str) -> list[int]:
    """As long as CLASS_NAMES: how many characters of each class."""
    plain = seen.encode("ascii", "ignore")
    counts: list[int] = np.bincount(np.frombuffer(plain.translate(CLASS_BYTES), np.uint8), minlength=len(CLASS_NAMES)).tolist()
    counts[NON_ASCII] = len(seen) - len(plain)
    return counts
