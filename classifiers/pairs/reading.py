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

TYPOGRAPHY: Final = str.maketrans("‘’ʼ“”„«»–—‑−", '\'\'\'"""""----')
LATIN: Final = "A-Za-zÀ-ÖØ-öø-ɏ"
MIXED: Final = rf"""
    (?P<mixed> (?<![\w.,]) (?: [{LATIN}]++\d[{LATIN}\d]*(?:\.\d+)* | (?:\d+(?:\.\d+)?|\.\d+)[eE][-+]?\d+(?![{LATIN}\d])
        | \d+(?:[.:]\d+)*[{LATIN}][{LATIN}\d]* ) )                                          # log2, 1e-3, 3d
    |
"""
PLAIN: Final = rf"""
    (?P<word> [{LATIN}]+(?:'[{LATIN}]+)? )
    | (?P<number> (?:(?<![\w)\].+-])[-+](?=\.?\d))?
        (?: \d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d+)? | (?<![\w.])\.\d+ | \d+(?:[.:/-]\d+)* ) )
    | (?P<stop> [.?!;:]+ | [,()/&]+ )
    | (?P<tail> '(?:s|m|d|ll|re|ve)\b )
    | (?P<sign> [$€£₹¥%] | [-+*=<>|^~@\#]+ | [][{{}}\\] )
    | (?P<other> [^\s\x00-\x7f]+ )
"""
CODE: Final = r"""
    (?P<code> https?://[^\s<>"]+ | (?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w            # address, e-mail
      | (?<![\w-])--?[A-Za-z][\w-]*(?:=\S+)? | (?<![\w/.~])(?:\.{1,2}|~)?/[\w./-]*\w        # flag, path
      | (?<!\w)[A-Za-z0-9]\w*_\w*\w | (?<![\w.-])[a-z][a-z0-9-]*(?:\.[a-z0-9-]*[a-z][a-z0-9-]*)+\b  # snake_case, file.ext
      | (?<!\w)[A-Za-z](?:\+\+|\#) )                                                         # C++, C#
    | (?P<acronym> (?<!\w)(?:[A-Z]\.){2,} )
    |
"""
PLAIN_TOKEN: Final = re.compile(PLAIN, re.VERBOSE | re.ASCII)
DIGIT_TOKEN: Final = re.compile(MIXED + PLAIN, re.VERBOSE | re.ASCII)
ANY_TOKEN: Final = re.compile(CODE + MIXED + PLAIN, re.VERBOSE | re.ASCII)
CODE_HINT: Final = re.compile(r"[_@+\#/]|\B-|\.\w", re.ASCII)  # without one of these ANY_TOKEN finds what the others do
QUOTED: Final = re.compile(r'"[^"\n]{1,40}"|`[^`\n]{1,80}`')
QUOTED_WORDS_MAX: Final = 3  # longer quotations are read as any text
MIXED_UNIT: Final = re.compile(rf"(\d+(?:[.:]\d+)*)([{LATIN}]+)|([{LATIN}]+)(\d+(?:\.\d+)*)", re.ASCII)
DIGIT: Final = re.compile(r"\d")
# Hyphens within words and dashes between them, which say nothing; and the rest, which may.
SYMBOL: Final = re.compile(
    rf"""(?<=[{LATIN}]{{2}})-(?=\w) | (?<=\w)-(?=[{LATIN}]{{2}}) | (?<=[^\d\s)\]]\s)-+(?=\s[{LATIN}]{{2}})
    | (?P<factorial> (?<![\d.,])(?<=\d)! | (?<=(?<!\d)\d)! | (?<=(?<!\d)\d\d)! )
    | (?P<symbol> [-+*/=<>^|~&()\[\]{{}}\\@_\#] | [^\s\w\x00-\x7f] )""",
    re.VERBOSE,
)
PLAIN_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
SENTENCE_END: Final = frozenset(".?!;:")
VOWELS: Final = re.compile("[aeiouy]+")
SHORT_ROOT: Final = re.compile("[^aeiou]*[aeiouy][^aeiouwxy]$")

Token = tuple[str, str, bool]  # group of TOKEN, text, is quoted


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
        tokens, self.is_courtesy = _trim(_scan(text))
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


@lru_cache(maxsize=64)  # of texts: the one asked is compared with several neighbours
def read(text: str) -> Reading:
    """The reading of a text, shared: callers must not change it."""
    return Reading(text)


def _is_text(c: str) -> bool:
    category = unicodedata.category(c)
    return category[0] in "LMN" or category in ("Sm", "Sc")


def _plain_number(token: str) -> str:
    sign, digits = (token[0], token[1:]) if token[0] in "+-" else ("", token)
    return sign + ("0" + digits if digits[0] == "." else digits).replace(",", "").removesuffix(".00")


def _scan(text: str) -> list[Token]:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)
    pattern = ANY_TOKEN if CODE_HINT.search(text) else DIGIT_TOKEN if DIGIT.search(text) else PLAIN_TOKEN
    quoted = []
    if '"' in text or "`" in text:
        quoted = [m.span() for m in QUOTED.finditer(text) if len(m[0].split()) <= QUOTED_WORDS_MAX]
    tokens: list[Token] = []
    for m in pattern.finditer(text):
        is_quoted = bool(quoted) and any(a < m.start() < b for a, b in quoted)
        if m.lastgroup == "mixed" and (unit := MIXED_UNIT.fullmatch(m[0])):
            number, letters, currency, amount = unit.groups()
            if letters and letters.lower() in w.UNITS | w.ENDINGS:
                tokens += [("number", number, is_quoted), ("word", letters, is_quoted)]
                continue
            if currency and canonical(currency.lower()) in CURRENCIES:
                tokens += [("word", currency, is_quoted), ("number", amount, is_quoted)]
                continue
        tokens.append((str(m.lastgroup), m[0], is_quoted))
    return tokens


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


def _trim(tokens: list[Token]) -> tuple[list[Token], bool]:
    """Without courtesies at either end, unless nothing else is there; whether nothing else is."""
    first, last = 0, len(tokens)
    while first < last and (size := _courtesy(tokens[first : min(first + w.PHRASE_WORDS_MAX, last)])):
        first += size
    while first < last and (size := _farewell(tokens[max(last - w.PHRASE_WORDS_MAX, first) : last])):
        last -= size
    return (tokens[first:last], False) if first < last else (tokens, True)


def _courtesy(tokens: list[Token]) -> int:
    """How many of the tokens, from the first, are a courtesy or a stop."""
    if tokens[0][0] == "stop":
        return 1
    if tokens[0][1].lower() not in w.OPENING_WORDS:
        return 0
    words = tuple(token.lower() for _, token, _ in tokens)
    return next((n for n in range(len(words), 0, -1) if words[:n] in w.OPENINGS), 0)


def _farewell(tokens: list[Token]) -> int:
    """How many of the tokens, from the last, are a courtesy or a stop."""
    if tokens[-1][0] == "stop":
        return 1
    if tokens[-1][1].lower() not in w.CLOSING_WORDS:
        return 0
    words = tuple(token.lower() for _, token, _ in tokens)
    return next((n for n in range(len(words), 0, -1) if words[-n:] in w.CLOSINGS), 0)


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


@lru_cache(maxsize=16_384)
def canonical(word: str) -> str:
    """The form under which a word in small letters is compared: lightly stemmed, near-synonyms made one."""
    if word in SAME:
        return SAME[word]
    root = _stem(word)
    return SAME.get(root, root)


def _stem(word: str) -> str:
    """Without -s, -ed, -ing and final -e, British and American endings made one; after Porter (1980)."""
    if len(word) < 4 or word in w.UNSTEMMED:
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    word = word.replace("isation", "ization")
    for suffix in ("ing", "ed"):
        root = word.removesuffix(suffix)
        if root != word and len(root) > 1 and not word.endswith("eed") and VOWELS.search(root):
            if len(root) > 2 and root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            elif root.endswith(("at", "bl", "iz")) or SHORT_ROOT.match(root):
                root += "e"
            elif root[-1] == "i":  # carried
                root = root[:-1] + "y"
            word = root
            break
    if word.endswith("ise") and len(word) > 6:
        word = word[:-3] + "ize"
    return word[:-1] if word.endswith("e") and len(VOWELS.findall(word[:-1])) > 1 else word


SAME: Final = {form: _stem(head) for word, head in w.SAME.items() for form in (_stem(word), word)}
CURRENCIES: Final = frozenset(canonical(sign) for sign in "$€£₹¥")
