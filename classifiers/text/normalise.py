"""One way of writing for each text, before features and embedding: what a reader does not see must not count.

Pure and total. A text of ASCII costs a search or two; other text is brought to Unicode's compatibility form.
"""

import re
import string
import unicodedata
from typing import Final

# Of longer texts only this many characters at each end are rewritten: nobody looks at more than the length of the rest.
EDGE_CHARS: Final = 4_096
# Combining marks are put in order by insertion, in quadratic time over a run of them (193 ms for 8,000 made to be slow).
# Chunks bound that; at worst an accent on a chunk's edge stays a character of its own.
CHUNK_CHARS: Final = 256

# Soft hyphen, joiners, zero-width spaces, marks of direction, variation selectors, byte order mark.
UNSEEN: Final = frozenset(
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063"
    "\u2064\u2066\u2067\u2068\u2069\ufe00\ufe01\ufe02\ufe0e\ufe0f\ufeff"
)
PLAIN: Final[dict[str, str]] = {
    **dict.fromkeys(UNSEEN, ""),
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "´": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"',
    "«": '"', "»": '"', "‹": "'", "›": "'", "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-",
    "²": "^2", "³": "^3", "ⁿ": "^n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\u00a0": " ",
}  # fmt: skip

# Letters of other scripts that are drawn as a Latin one (Unicode Technical Standard 39, "confusables", the common part).
LOOKALIKES: Final = dict(zip(
    "асеорхуіјѕһԁԛԝҺԀАВСЕНІЈКМОРЅТХУοαινρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aceopxyijshdqwHDABCEHIJKMOPSTXYoaivpuABEZHIKMNOPTYX",
    strict=True,
))  # fmt: skip
LATIN_FOR: Final = str.maketrans(LOOKALIKES)
_LETTER: Final = f"A-Za-z{''.join(LOOKALIKES)}"
# A run of Latin letters and look-alikes with some of both. It can only start where a run starts: linear in the text.
MIXED: Final = re.compile(f"(?<![{_LETTER}])(?:[A-Za-z]++[{''.join(LOOKALIKES)}]|[{''.join(LOOKALIKES)}]++[A-Za-z])[{_LETTER}]*+")
ASCII_LETTERS: Final = frozenset(string.ascii_letters)
BLANK_LINES: Final = re.compile(r"\n[ \t]*\n\s*\n")


def normalise(text: str) -> str:
    """The text in small letters as a reader sees it: the same for full width, look-alikes, odd spaces, curly quotes.

    Letters of one script stay what they are: only a word that mixes Latin letters with others that look Latin is
    turned to Latin. Runs of spaces within a line become one; indentation and single line breaks, which tell code and
    lists, stay. Any str, lone surrogates too; a second time changes nothing.
    """
    if not text.isascii():
        if len(text) > 2 * EDGE_CHARS:
            text = f"{_plain(text[:EDGE_CHARS])}{text[EDGE_CHARS:-EDGE_CHARS]}{_plain(text[-EDGE_CHARS:])}"
        else:
            text = _plain(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "  " in text or "\t" in text:
        text = "\n".join(map(_single_spaced, text.split("\n")))
    if "\n" in text and ("\n\n" in text or "\n " in text):
        text = BLANK_LINES.sub("\n\n", text)
    return text.strip().lower()


def flattened(text: str) -> str:
    """The text with one space for each stretch of white space, and one at either end; empty if there is nothing else."""
    words = text.split()
    return f" {' '.join(words)} " if words else ""


def _single_spaced(line: str) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)] + " ".join(body.split())


def _plain(text: str) -> str:
    present = set(text)
    for char in present & PLAIN.keys():  # a few at most: dearer by str.translate, which asks for each character
        text = text.replace(char, PLAIN[char])
    if not unicodedata.is_normalized("NFKC", text):
        chunks = (text[i : i + CHUNK_CHARS] for i in range(0, len(text), CHUNK_CHARS))
        text = "".join([unicodedata.normalize("NFKC", chunk) for chunk in chunks])
        present = set(text)
    if present & LOOKALIKES.keys() and present & ASCII_LETTERS:
        text = " ".join([word if word.isascii() else MIXED.sub(_latin, word) for word in text.split(" ")])
    return text


def _latin(run: re.Match[str]) -> str:
    return run[0].translate(LATIN_FOR)
