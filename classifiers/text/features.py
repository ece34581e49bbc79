"""Hand features: what can be read off a text without knowing its words' meaning. Pure, bounded, any unicode.

Words are looked up in one table. The few regular expressions are linear: no nested repeats. Each begins with what the
engine can search for without trying a match at every character.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Vector
from classifiers.text.marks import MARKUP, count_marks
from classifiers.text.scan import CLASS_NAMES, Scan, scan
from classifiers.text.word_groups import GROUPS

TABLE: Final[dict[str, str]] = {word: group for group, words in reversed(GROUPS.items()) for word in reversed(words.split())}
COURTESY: Final = ("greeting", "thanks", "farewell", "filler", "addressed")  # the first of GROUPS
GROUP_NUMBERS: Final = range(1, len(GROUPS) + 1)  # 0 is no group
_NUMBER_OF: Final = dict(zip(GROUPS, GROUP_NUMBERS, strict=True))
_GROUP_OF: Final = {word: _NUMBER_OF[group] for word, group in TABLE.items()}

# Bytes as they are if they can be in a NUMBER, and spaces for all others.
DIGIT_BYTES: Final = bytes(code if chr(code) in "0123456789" else 32 for code in range(256))
BULLET: Final = re.compile(r"\n[ \t]{0,8}(?:[-*•]|\d{1,3}[.)])[ \t]")
CHOICE: Final = re.compile(r"\n[ \t]{0,8}\(?[A-E][.):]")
NUMBER: Final = re.compile(r"\d\d*")

FIRST_WORD_GROUPS: Final = ("greeting", "hard_verb", "easy_verb", "explain_verb", "asking")
_FIRST: Final = {name: tuple(name == other for other in FIRST_WORD_GROUPS) for name in (*GROUPS, None)}
FEATURE_NAMES: Final[tuple[str, ...]] = (
    "log_chars",
    "log_words",
    "log_lines",
    "log_sentences",
    "word_chars_mean",
    "up_to_three_words",
    "up_to_eight_words",
    *(f"share_{name}" for name in CLASS_NAMES[1:]),
    "log_numbers",
    "number_digits_max",
    "has_question_mark",
    "ends_with_question_mark",
    "ends_with_exclamation",
    "starts_upper",
    "log_bullets",
    "log_choices",
    *(f"log_{name}" for name in MARKUP),
    *(f"log_{name}" for name in GROUPS),
    *(f"share_{name}" for name in GROUPS),
    *(f"first_{name}" for name in FIRST_WORD_GROUPS),
    "share_courtesy",
    "log_words_beyond_courtesy",
    "greeted_then_more",
)


def _places(first: str, last: str) -> slice:
    return slice(FEATURE_NAMES.index(first), FEATURE_NAMES.index(last) + 1)


IS_LOG: Final[npt.NDArray[np.bool_]] = np.array([name.startswith("log_") for name in FEATURE_NAMES])
CHAR_SHARES: Final = _places(f"share_{CLASS_NAMES[1]}", f"share_{CLASS_NAMES[-1]}")
WORD_SHARES: Final = _places(f"share_{next(iter(GROUPS))}", f"share_{next(reversed(GROUPS))}")


def features(text: str) -> Vector:
    """(len(FEATURE_NAMES),) float32, finite for any str.

    Logs are natural, of 1 + count. Shares are of characters or of words. Of a text over 3,000 characters only the
    first 2,400 and the last 600 are looked at; `log_chars` alone knows the full length.
    """
    return features_of(scan(text))


def features_of(own: Scan) -> Vector:
    """`features` of a text that has been scanned."""
    seen, flat, spaced = own.seen, own.flat, own.spaced
    word_total = max(len(own.words), 1)
    groups = list(map(bytes(filter(None, map(_GROUP_OF.get, own.words))).count, GROUP_NUMBERS))
    courtesy = sum(groups[: len(COURTESY)])
    beyond = len(own.words) - courtesy
    first = TABLE.get(own.words[0]) if own.words else None
    numbers = _numbers(own)
    lines = f"\n{seen}"
    stripped = seen.strip()
    asks, exclaims = "?" in seen, "!" in seen  # one character is looked for in a tenth of the time of two
    row = np.array(
        [
            own.chars,
            spaced,
            seen.count("\n"),
            flat.count(". ") + (flat.count("! ") if exclaims else 0) + (flat.count("? ") if asks else 0),
            min(len(seen) / max(spaced, 1), 20.0),
            spaced <= 3,
            spaced <= 8,
            *own.by_class[1:],
            len(numbers),
            min(max(map(len, numbers), default=0), 8),
            asks,
            stripped.endswith("?"),
            stripped.endswith("!"),
            stripped[:1].isupper(),
            len(BULLET.findall(lines)),
            len(CHOICE.findall(lines)),
            *count_marks(seen, own.lowered, own.ascii),
            *groups,  # whose logarithms are wanted
            *groups,  # whose shares are
            *_FIRST[first],
            courtesy / word_total,
            beyond,
            first in ("greeting", "thanks") and beyond >= 2,
        ],
        np.float64,
    )
    row[CHAR_SHARES] /= max(len(seen), 1)
    row[WORD_SHARES] /= word_total
    return np.log1p(row, out=row, where=IS_LOG).astype(np.float32)


def _numbers(own: Scan) -> Sequence[str | bytes]:
    """As NUMBER finds them."""
    if not own.may_have_digits:
        return ()
    return own.seen.encode().translate(DIGIT_BYTES).split() if own.seen.isascii() else NUMBER.findall(own.seen)
