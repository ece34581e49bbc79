"""A text as the verifier sees it: its content words in canonical form, its numbers, names, negations and their order.

Pure functions of the text; the tables are in classifiers/pairs/words.py, the rules in classifiers/pairs/rules.py.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Final

from classifiers.pairs import words as w
from classifiers.pairs.canonical import CURRENCIES, canonical
from classifiers.pairs.memo import Memo
from classifiers.pairs.tokens import DIGIT, LATIN, TYPOGRAPHY, Token, scan, trim

# Hyphens within words and dashes between them, which say nothing; and the rest, which may.
SYMBOL: Final = re.compile(
    rf"""(?<=[{LATIN}]{{2}})-(?=\w) | (?<=\w)-(?=[{LATIN}]{{2}}) | (?<=[^\d\s)\]]\s)-+(?=\s[{LATIN}]{{2}})
    | (?P<factorial> (?<![\d.,])(?<=\d)! | (?<=(?<!\d)\d)! | (?<=(?<!\d)\d\d)! )
    | (?P<symbol> [-+*/=<>^|~&()\[\]{{}}\\@_\#] | [^\s\w\x00-\x7f] )""",
    re.VERBOSE,
)
PLAIN_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
READINGS_BYTES_MAX: Final = 4 * 1024 * 1024  # some 800 questions
# What a reading takes in memory, and each of its tokens; held against tracemalloc by a test.
READING_BYTES: Final = 2_000
TOKEN_BYTES: Final = 240
SENTENCE_END: Final = frozenset(".?!;:")


class Reading:
    """What a text says.

    terms: the content in order, one canonical form a word. kinds: of the terms that are more than a word. raw: a term's
    spelling. flow: the terms, steering words, and "," or "." where listed things, clauses or sentences part. roles: the
    preposition before a term. words: every word in small letters. tokens: words, numbers and signs likewise. asks: what is
    asked for. pronouns: I and you, each with whether content stands before it in its clause. written: a term as it first
    stood. is_courtesy: nothing else is in it. is_english: no other language shows. is_shouted: all capitals. Not to be
    changed by readers.
    """

    __slots__ = (
        "_clause",
        "_role",
        "_starts",
        "asks",
        "flow",
        "has_digit",
        "has_weak_one",
        "is_courtesy",
        "is_english",
        "is_shouted",
        "kinds",
        "numbers",
        "pronouns",
        "raw",
        "roles",
        "term_set",
        "terms",
        "text",
        "tokens",
        "words",
        "written",
    )

    def __init__(self, text: str) -> None:
        self.terms: list[str] = []
        self.kinds: dict[str, str] = {}
        self.raw: dict[str, str] = {}
        self.flow: list[str] = []
        self.roles: dict[str, str] = {}
        self.words: list[str] = []
        self.pronouns: list[tuple[str, bool]] = []
        self.written: dict[str, str] = {}
        self.has_weak_one = False  # "one" is as often a pronoun
        self._role = ""
        self._starts = True  # the next word opens a sentence
        self._clause = 0  # terms before this clause
        tokens, self.is_courtesy = trim(scan(text))
        self.is_shouted = len(tokens) > 1 and text.isupper()
        self.tokens = [token.lower() for group, token, _ in tokens if group != "stop"]
        for i, (group, token, is_quoted) in enumerate(tokens):
            if group == "word":
                self._word(token, is_quoted, is_last=i + 1 == len(tokens) or tokens[i + 1][0] == "stop")
                self._starts = False
            elif group == "stop":
                self._starts = self._starts or token[-1] in SENTENCE_END
                self._clause = len(self.terms)
                if token not in "()":  # what they hold belongs to the word before
                    self.flow.append("." if token[-1] in SENTENCE_END else ",")
            elif group == "number":
                self._add(_plain_number(token), "number")
                self._starts = False
            elif group == "mixed":
                self._add(token.casefold(), "number" if token[0].isdigit() or token[0] == "." else "code")
                self._starts = False
            else:
                self._symbol(group, token)
        self.asks = _asks(self.words)
        self.has_digit = DIGIT.search(text) is not None
        self.text = text
        self.is_english = _is_english(self.words, tokens)
        self.numbers = [t for t in self.terms if self.kinds.get(t) == "number"]
        self.term_set = frozenset(self.terms)

    def _add(self, term: str, kind: str = "", raw: str = "") -> None:
        if term in CURRENCIES and (number := self._last_number()):  # "5 dollars" as "$5"
            self.terms[-1] = self.flow[-1] = term
            term = number
        self.terms.append(term)
        self.flow.append(term)
        if kind:
            self.kinds[term] = kind
        if raw:
            self.raw[term] = raw
        if self._role:
            self.roles.setdefault(term, self._role)
            self._role = ""

    def _word(self, token: str, is_quoted: bool, is_last: bool) -> None:
        low = token.lower()
        sort, term = _sort_of(low)
        before = self.words[-1] if self.words else ""
        self.words.append(low)
        if low in w.WAYS and before in w.BEST and self.terms and self.flow[-1] == canonical(before):
            self._drop_last()
        if low in w.SUBJECTS and token != "US":
            self.pronouns.append((w.PERSONS[low], len(self.terms) > self._clause))
        if sort == "stop" and (
            is_quoted or (low == "do" and is_last) or (token in ("A", "IT") and not self._starts and not self.is_shouted)
        ):
            sort, term = "", canonical(low)
        if sort == "stop":
            if low == "us" and (token == "US" or before in ("the", "in")):
                self._add("usa", "name")
            elif term:
                self.flow.append(term)
                self._role = term if term != "," else ""
        elif sort == "numeral":
            self._numeral(term, before)
        elif sort == "not":
            # "is it so or not", "whether or not it is so" ask whether it is so
            if low != "not" or before != "or" or not (is_last or self.words[-3:-2] == ["whether"]):
                self._add("not", "negation")
        else:
            if low == "most" and before == "at":  # a bound, not a superlative
                term = "at most"
            self.written.setdefault(term, token)
            is_name = token[0].isupper() and not self._starts
            self._add(term, "name" if is_name else "quotation" if is_quoted and not sort else sort, low.partition("'")[0])

    def _numeral(self, word: str, before: str) -> None:
        """A word that is a number, or that multiplies or orders the number before it."""
        number = self._last_number()
        if word in w.ENDINGS and number.isdecimal():
            self._replace_last(number + word)
        elif word in w.TIMES and PLAIN_NUMBER.fullmatch(number):
            value = Decimal(number) * w.TIMES[word]
            self._replace_last(str(int(value)) if value == int(value) else str(value.normalize()))
        elif word in w.SMALL and before in w.TENS and number == w.NUMERALS[before] and 0 < int(w.SMALL[word]) < 10:
            self._replace_last(str(w.TENS[before] + int(w.SMALL[word])))
        elif word in w.NUMERALS:
            self.has_weak_one = self.has_weak_one or word == "one"
            self._add(w.NUMERALS[word], "number")
        else:
            self._add(word, "", word)

    def _last_number(self) -> str:
        """The number just read, if nothing came after it."""
        is_last = bool(self.terms) and self.flow[-1] == self.terms[-1] and self.kinds.get(self.terms[-1]) == "number"
        return self.terms[-1] if is_last else ""

    def _drop_last(self) -> None:
        """Forget the word just read; another of its kind, read before, stays."""
        self.flow.pop()
        self.written.pop(self.terms.pop(), None)

    def _replace_last(self, number: str) -> None:
        self.terms[-1] = self.flow[-1] = number
        self.kinds[number] = "number"

    def _symbol(self, group: str, token: str) -> None:
        if group == "code":
            self._add(token if token[0] == "-" else token.casefold(), "code")
        elif group == "acronym":
            word = token.replace(".", "").lower()
            self._add("usa" if word == "us" else canonical(word), "name", word)
        elif group == "sign" and token.strip("-"):  # a dash alone is punctuation
            self._add(canonical(token), "sign")
        elif group == "other":
            # Scripts whose words we cannot take apart, and symbols; without punctuation and pictures.
            for part in "".join(c if _is_text(c) else " " for c in token).casefold().split():
                self._add(part, "word of another script")


def _bytes_of(reading: Reading) -> int:
    return READING_BYTES + TOKEN_BYTES * len(reading.tokens)


read: Final = Memo(Reading, _bytes_of, READINGS_BYTES_MAX)
"""The reading of a text, shared: callers must not change it."""


def _is_text(c: str) -> bool:
    category = unicodedata.category(c)
    return category[0] in "LMN" or category in ("Sm", "Sc")


def _plain_number(token: str) -> str:
    sign, digits = (token[0], token[1:]) if token[0] in "+-" else ("", token)
    return sign + ("0" + digits if digits[0] == "." else digits).replace(",", "").removesuffix(".00")


def symbols(text: str) -> str:
    """What is no letter, digit, blank, quote, currency or punctuation, in order; without hyphens and dashes of prose."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)
    found = (m[0] for m in SYMBOL.finditer(" ".join(text.split())) if m.lastgroup)
    return "".join(c for c in found if c.isascii() or unicodedata.category(c) in ("Sm", "So"))


def _is_english(words: list[str], tokens: list[Token]) -> bool:
    """Whether no function word, letter or script of another language is there, or more of English."""
    foreign = sum(word in w.FOREIGN or not word.isascii() for word in words)
    foreign += sum(group == "other" and any(map(str.isalpha, token)) for group, token, _ in tokens)
    return not foreign or foreign < sum(word in w.STOP and word not in w.SHARED for word in words)


def _asks(words: list[str]) -> frozenset[str]:
    """What the text asks for: who, when, how, …; what if an order ("list …"), is, can, should or will if only that opens it."""
    asks = set()
    for i, word in enumerate(words):
        if word not in w.ASKS:
            continue
        ask, following = w.ASKS[word], words[i + 1 : i + 8]
        if ask == "how" and following and following[0] in w.DEGREES:
            ask = "how much"
        elif ask == "how" and following[:1] == ["come"]:
            ask = "why"
        elif ask == "what" and following and following[0] in w.WHEN:
            ask = "when"
        elif ask == "what" and (not w.WAYS.isdisjoint(following) or ("do", "to") in pairwise(following)):
            ask = "how"
        elif ask == "what" and not w.REASONS.isdisjoint(following):
            ask = "why"
        asks.add(ask)
    if not asks and words:
        is_way = words[1:2] == ["there"] and not w.WAYS.isdisjoint(words[2:6])
        asks.add("how" if is_way else w.LEADS.get(words[0], "what"))
    return frozenset(asks - {"what"} or asks)


@lru_cache(maxsize=16_384)
def _sort_of(low: str) -> tuple[str, str]:
    """not, numeral, stop, negation or "", and the word's term: of a stop word what it leaves in the flow, if anything."""
    if low in w.NEGATIONS or low.endswith("n't"):
        return "not", "not"
    low = low.partition("'")[0] or low
    if low in w.NUMERALS or low in w.TIMES or low in w.ENDINGS:
        return "numeral", low
    if low in w.STOP:
        return "stop", "," if low in w.JOINS else low if low in w.STEER else ""
    return "negation" if low in w.DENIALS else "", canonical(low)
