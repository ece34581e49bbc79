"""Does a text hold personal data? Patterns with checksums where the format has one; no model, no network.

Made to keep traffic in the house (`when: {pii: true}`), so a false alarm costs money and a miss costs trust:
the patterns lean to the former. Names and postal addresses are beyond it.
"""

from __future__ import annotations

import re

TEXT_CHARS_MAX = 200_000  # the longest text that is looked at; a longer one counts as holding some

# A cheap first look: no e-mail without @, no number without six digits. Most prompts end here.
_WORTH_A_LOOK = re.compile(r"@|\d(?:[^\d\n]{0,3}\d){5}")
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,}")
_CARD_DIGITS = range(13, 20)
_CARD_BEGINS = re.compile(r"[3-6]|2[2-7]")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
# An international number, or a national one written with separators: 3-3-4, (3) 3-4, 0xxx xxxxxx.
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4})(?![\w.]\d)"
)


def find_pii(text: str) -> str | None:
    """The kind of the first personal datum found: email, card, iban, ssn or phone; None if there is none."""
    if len(text) > TEXT_CHARS_MAX:
        return "unread"
    if not _WORTH_A_LOOK.search(text):
        return None
    if "@" in text and _EMAIL.search(text):
        return "email"
    if any(_has_card(found.group()) for found in _DIGITS.finditer(text)):
        return "card"
    if any(_has_iban(found.group()) for found in _IBAN.finditer(text)):
        return "iban"
    if _SSN.search(text):
        return "ssn"
    return "phone" if _PHONE.search(text) else None


def _has_card(text: str) -> bool:
    """Whether these digits are a card's, or some groups of them in a card's shape: a date or a CVV may stand beside it.

    Not just any groups side by side: of those in a table of numbers one in ten has a good checksum.
    """
    groups = re.findall(r"\d+", text)
    whole = "".join(groups)
    if len(whole) in _CARD_DIGITS and _luhn(whole):
        return True
    for first, group in enumerate(groups):
        if len(group) < 4 or not _CARD_BEGINS.match(group):
            continue
        number = ""
        for part in groups[first : first + 5]:
            number += part
            if len(number) in _CARD_DIGITS and _luhn(number):
                return True
    return False


def _has_iban(text: str) -> bool:
    """Whether the text begins with one: what follows it may look like more of it."""
    groups = text.split(" ")
    return any(_mod97("".join(groups[:n])) for n in range(1, len(groups) + 1))


def _luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(c) for c in number]
    doubled = (d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2])
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod97(plain: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 to 35, modulo 97 is 1."""
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
