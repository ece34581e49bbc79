"""Does a text hold personal data? Patterns with checksums where the format has one; no model, no network.

Made to keep traffic in the house (`when: {pii: true}`), so a false alarm costs money and a miss costs trust:
the patterns lean to the former. Names and postal addresses are beyond it.
"""

from __future__ import annotations

import functools
import re
import string

TEXT_CHARS_MAX = 200_000  # of one request together; more is not looked at and counts as holding some
# A search of `re` holds the interpreter until it returns: on pieces it lets the event loop in between, if it runs in a
# thread. A piece reaches into the next one, by more than the longest thing looked for.
PIECE_CHARS = 8_000
REACH_CHARS = 200

# INVARIANT: every pattern takes a bounded number of steps from any start, so a search is linear in the text. Those that
# begin with a character and not with a look back are several times as fast in long prose.
_EMAIL = re.compile(r"@(?<=[\w.+%-]@)[\w-]{1,63}+\.[\w-]")
# Where digits stand close together, six or more. No number stands anywhere else, as none has digits further apart: cards,
# SSNs and telephone numbers are looked for there alone. Most prompts have none.
_CLUSTER = re.compile(r"\d(?:[^\d\n]{0,3}+\d){5,}+")
_ASCII_CLUSTER = re.compile(r"[0-9](?:[^0-9\n]{0,3}+[0-9]){5,}+")  # in ASCII the same, in a third of the time
BESIDE = 2  # characters on either side of a cluster that belong to it, or tell that a number goes on: "+", "(", ".5"
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,}")
CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
_IBAN = re.compile(r"[A-Z](?<=\b[A-Z])[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
IBAN_CHARS_MIN, IBAN_CHARS_MAX = 15, 34
_LETTERS = str.maketrans({letter: str(n) for n, letter in enumerate(string.ascii_uppercase, start=10)})
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
# An international number, or a national one written with separators: 3-3-4, (3) 3-4, 0xxx xxxxxx.
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4})(?![\w.]\d)"
)


def find_pii(*texts: str) -> str | None:
    """The kind of the first personal datum found: email, card, iban, ssn or phone; None if there is none.

    `unread` if the texts have more than TEXT_CHARS_MAX characters together. Takes some 10 ns a character of prose, and some
    0.6 µs of a text made to be slow (2 cores shared).
    """
    if sum(len(text) for text in texts) > TEXT_CHARS_MAX:
        return "unread"
    for text in texts:
        for start in range(0, len(text), PIECE_CHARS):
            kind = _kind(text, start, start + PIECE_CHARS + REACH_CHARS)
            if kind is not None:
                return kind
    return None


def _kind(text: str, start: int, end: int) -> str | None:
    if _EMAIL.search(text, start, end):
        return "email"
    clusters = (_ASCII_CLUSTER if text.isascii() else _CLUSTER).finditer(text, start, end)
    places = [(max(found.start() - BESIDE, start), min(found.end() + BESIDE, end)) for found in clusters]
    if not places:
        return None
    if any(_has_card(found.group()) for place in places for found in _DIGITS.finditer(text, *place)):
        return "card"
    if any(_has_iban(found.group()) for found in _IBAN.finditer(text, start, end)):
        return "iban"
    if any(_SSN.search(text, *place) for place in places):
        return "ssn"
    return "phone" if any(_PHONE.search(text, *place) for place in places) else None


def _has_card(text: str) -> bool:
    """Whether these digits are a card's, or some groups of them in a card's shape: a date or a CVV may stand beside it.

    Not just any groups side by side: of those in a table of numbers one in ten has a good checksum.
    """
    plain = text if text.isascii() else "".join(map(_ascii_digit, text))
    groups = plain.replace("-", " ").encode().split()
    if _is_card_number(b"".join(groups)):
        return True
    for first, group in enumerate(groups):
        # 3 to 6, and 22 to 27: what cards begin with
        if len(group) < 4 or not (b"3" <= group < b"7" or b"22" <= group < b"28"):
            continue
        number = b""
        for part in groups[first : first + 5]:
            number += part
            if len(number) > CARD_DIGITS_MAX:
                break
            if _is_card_number(number):
                return True
    return False


def _is_card_number(digits: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum of all digits ends in 0."""
    if not CARD_DIGITS_MIN <= len(digits) <= CARD_DIGITS_MAX:
        return False
    total = sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLED)) - len(digits) * ord("0")
    return total % 10 == 0 and len(set(digits)) > 1


@functools.cache
def _ascii_digit(char: str) -> str:
    return str(int(char)) if char.isdecimal() else char


def _has_iban(text: str) -> bool:
    """Whether the text begins with one: what follows it may look like more of it.

    ISO 13616: the first four characters moved to the end, letters as 10 to 35, modulo 97 is 1.
    """
    head = int(text[:4].translate(_LETTERS))
    rest, chars = 0, 4
    for group in text[4:].split(" "):
        if group:
            number = group.translate(_LETTERS)
            rest = (rest * 10 ** len(number) + int(number)) % 97
            chars += len(group)
        if IBAN_CHARS_MIN <= chars <= IBAN_CHARS_MAX and (rest * 1_000_000 + head) % 97 == 1:
            return True
    return False
