"""Hand features: what can be read off a text without knowing its words' meaning. Pure, bounded, any unicode.

At most 3,000 characters are looked at: character classes counted with numpy, words looked up in one table. The few
regular expressions are linear: no nested repeats. Each begins with what the engine can search for without trying a match
at every character. Where a text is ASCII, tables of bytes part it into words and numbers in a third of a pattern's time.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Vector
from classifiers.text.normalise import flattened
from classifiers.text.word_groups import GROUPS

HEAD_CHARS: Final = 2_400
TAIL_CHARS: Final = 600

TABLE: Final[dict[str, str]] = {word: group for group, words in reversed(GROUPS.items()) for word in reversed(words.split())}
COURTESY: Final = frozenset(("greeting", "thanks", "farewell", "filler", "addressed"))

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
CLASS_OF_CODE: Final = np.zeros(129, np.int64)  # index: code point, 128 for all above ASCII
CLASS_OF_CODE[128] = CLASS_NAMES.index("non_ascii")
for _name, _chars in _OF_CLASS.items():
    for _char in _chars:
        CLASS_OF_CODE[ord(_char)] = CLASS_NAMES.index(_name)

WORD: Final = re.compile(r"[a-z][a-z'+-]*")
PLAIN_WORD: Final = re.compile(r"[a-z][a-z']*")
STRETCHED: Final = re.compile(r"([a-z])\1\1+")  # heyyy, thaaanks
# Bytes as they are if they can be in a WORD, or a NUMBER, and spaces for all others.
WORD_BYTES: Final = bytes(code if chr(code) in "abcdefghijklmnopqrstuvwxyz'+-" else 32 for code in range(256))
DIGIT_BYTES: Final = bytes(code if chr(code) in "0123456789" else 32 for code in range(256))
BULLET: Final = re.compile(r"\n[ \t]{0,8}(?:[-*•]|\d{1,3}[.)])[ \t]")
CHOICE: Final = re.compile(r"\n[ \t]{0,8}\(?[A-E][.):]")
NUMBER: Final = re.compile(r"\d\d*")
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
# Marks by what they have in common, "" for nothing: where that is missing none of them has to be counted.
_COMMON: Final = ("you", "\\", "^", "`", "~", "(", "=", ":", "<", "-", "'")


def _by_common(marks: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    common = {mark: next((part for part in _COMMON if part in mark), "") for mark in marks}
    return {part: tuple(mark for mark in marks if common[mark] == part) for part in ("", *_COMMON) if part in common.values()}


MARKS_BY_COMMON: Final = {name: _by_common(marks) for name, marks in MARKUP.items()}

FIRST_WORD_GROUPS: Final = ("greeting", "hard_verb", "easy_verb", "explain_verb", "asking")
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


@dataclass(frozen=True, slots=True)
class Scan:
    """A text's first look, shared by all that count in it.

    chars: of the whole text. seen: the part looked at, at most 3,001 characters. flat: that, `flattened`. lowered: that
    in small letters with stretched ones made single. by_class: as CLASS_NAMES. words: of `lowered`. plain_words: of `seen` in
    small letters, parted at hyphens too. may_have_digits: False if there are none of any script.
    """

    chars: int
    seen: str
    flat: str
    lowered: str
    by_class: list[int]
    words: list[str]
    plain_words: list[str]
    may_have_digits: bool


def scan(text: str) -> Scan:
    """Of a text over 3,000 characters only the first 2,400 and the last 600 are looked at."""
    seen = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    small = seen.lower()
    is_stretched = _has_stretched(small)
    lowered = STRETCHED.sub(r"\1", small) if is_stretched else small
    words = _words(lowered)
    if is_stretched:
        plain_words = PLAIN_WORD.findall(small)
    elif "-" in small or "+" in small:
        plain_words = [part for word in words for part in (PLAIN_WORD.findall(word) if "-" in word or "+" in word else (word,))]
    else:
        plain_words = words
    by_class = _class_counts(seen)
    return Scan(
        chars=len(text),
        seen=seen,
        flat=flattened(seen),
        lowered=lowered,
        by_class=by_class,
        words=words,
        plain_words=plain_words,
        may_have_digits=by_class[DIGIT] > 0 or by_class[NON_ASCII] > 0,
    )


def features(text: str) -> Vector:
    """(len(FEATURE_NAMES),) float32, finite for any str.

    Logs are natural, of 1 + count. Shares are of characters or of words. Of a text over 3,000 characters only the
    first 2,400 and the last 600 are looked at; `log_chars` alone knows the full length.
    """
    return features_of(scan(text))


def features_of(own: Scan) -> Vector:
    """`features` of a text that has been scanned."""
    seen, words, flat = own.seen, own.words, own.flat
    counted = Counter(filter(None, map(TABLE.get, words))).get
    groups = [counted(name, 0) for name in GROUPS]
    word_total = max(len(words), 1)
    spaced = max(flat.count(" ") - 1, 0)
    stripped = seen.strip()
    numbers = _numbers(own)
    lines = f"\n{seen}"
    courtesy = sum([counted(name, 0) for name in COURTESY])
    beyond = len(words) - courtesy
    first = TABLE.get(words[0]) if words else None
    counts = [
        own.chars,
        spaced,
        seen.count("\n"),
        flat.count(". ") + flat.count("! ") + flat.count("? "),
        len(numbers),
        len(BULLET.findall(lines)),
        len(CHOICE.findall(lines)),
        *[_count(by_common, own.lowered if name != "code_mark" else seen) for name, by_common in MARKS_BY_COMMON.items()],
        *groups,
        beyond,
    ]
    logs = np.log1p(np.array(counts, np.float64)).tolist()
    row = [
        *logs[:4],
        min(len(seen) / max(spaced, 1), 20.0),
        float(spaced <= 3),
        float(spaced <= 8),
        *[count / max(len(seen), 1) for count in own.by_class[1:]],
        logs[4],
        float(min(max(map(len, numbers), default=0), 8)),
        float("?" in seen),
        float(stripped.endswith("?")),
        float(stripped.endswith("!")),
        float(stripped[:1].isupper()),
        *logs[5:-1],
        *[count / word_total for count in groups],
        *[float(first == name) for name in FIRST_WORD_GROUPS],
        courtesy / word_total,
        logs[-1],
        float(first in ("greeting", "thanks") and beyond >= 2),
    ]
    return np.array(row, np.float32)


def _count(by_common: dict[str, tuple[str, ...]], text: str) -> int:
    return sum([sum(map(text.count, marks)) for part, marks in by_common.items() if part in text])


def _words(lowered: str) -> list[str]:
    """As WORD finds them: in what is left of a text without all else, each begins where its first letter is."""
    left = lowered.encode("ascii", "replace").translate(WORD_BYTES).decode("ascii")
    if left.startswith(("'", "+", "-")) or " '" in left or " +" in left or " -" in left:
        return WORD.findall(lowered)
    return left.split()


def _numbers(own: Scan) -> Sequence[str | bytes]:
    """As NUMBER finds them."""
    if not own.may_have_digits:
        return ()
    return own.seen.encode().translate(DIGIT_BYTES).split() if own.seen.isascii() else NUMBER.findall(own.seen)


def _codes(text: str) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint32]:
    """(n,) code points."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _class_counts(text: str) -> list[int]:
    """As long as CLASS_NAMES: how many characters of each class."""
    codes = _codes(text)
    places = CLASS_OF_CODE.take(codes if codes.dtype == np.uint8 else np.minimum(codes, 128))
    counts: list[int] = np.bincount(places, minlength=len(CLASS_NAMES)).tolist()
    return counts


def _has_stretched(lowered: str) -> bool:
    """Whether STRETCHED would find anything: it alone takes a tenth of all the time here, and seldom does."""
    codes = _codes(lowered)
    again = codes[1:] == codes[:-1]
    thrice = again[1:] & again[:-1]
    if not np.count_nonzero(thrice):
        return False
    found = codes[2:][thrice]
    return bool(((found >= ord("a")) & (found <= ord("z"))).any())
