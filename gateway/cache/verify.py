"""The verifier of the semantic cache: what speaks against two similar texts being the same question.

Pure functions of the two texts, English first; what they do not understand counts as a difference. No embeddings, no I/O.
Called by gateway/cache/semantic.py for each near neighbour. Every rule treats its two sides alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from typing import Final

from gateway.cache import words as w

MIN_SIMILARITY_DEFAULT: Final = 0.85
CHARS_MAX: Final = 4_000
LEFT_OVER_MAX: Final = 8  # a side; more are not paired off word by word

TYPOGRAPHY: Final = str.maketrans("‘’ʼ“”„«»–—‑−", "'''\"\"\"\"\"----")
LATIN: Final = "A-Za-zÀ-ÖØ-öø-ɏ"
TOKEN: Final = re.compile(
    rf"""
    (?P<code> https?://[^\s<>"]+ | [\w.+-]+@[\w-]+\.[\w.-]*\w                      # address, e-mail
      | (?<![\w-])--?[A-Za-z][\w-]*(?:=\S+)? | (?<![\w/])(?:\.{{0,2}}|~)/[\w./-]*\w    # flag, path
      | \w*[A-Za-z0-9]_\w*[A-Za-z0-9]\w* | [a-z0-9-]+(?:\.[a-z0-9-]*[a-z][a-z0-9-]*)+\b )  # snake_case, file.ext
    | (?P<number> \d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d+)? | \d+(?:[.:/-]\d+)* )
    | (?P<tail> '(?:s|m|d|ll|re|ve)\b )
    | (?P<acronym> \b(?:[A-Z]\.){{2,}} )
    | (?P<word> [{LATIN}]+(?:'[{LATIN}]+)? )
    | (?P<stop> [.?!;:]+ | [,()/&]+ )
    | (?P<sign> [$€£₹¥%] | [-+*=<>|^~@\#]+ )
    | (?P<other> [^\s\x00-\x7f]+ )
    """,
    re.VERBOSE | re.ASCII,
)
QUOTED: Final = re.compile(r'"+([^"\n]{1,40})"+|`([^`\n]{1,80})`')
QUOTED_WORDS_MAX: Final = 3  # longer quotations are read as any text
PREFIXES: Final = ("un", "non", "in", "im", "ir", "il", "dis", "mis", "anti", "de")
VOWELS: Final = re.compile("[aeiouy]+")
SHORT_ROOT: Final = re.compile("^[^aeiou]*[aeiouy][^aeiouwxy]$")

Token = tuple[str, str, bool]  # group, text, is quoted


def differs(asked: str, kept: str) -> str | None:
    """Why the two texts are not the same question, in words for a log; None if nothing speaks against it.

    Symmetric. What follows the colon quotes the texts: a log that may not hold prompts keeps only what precedes it.
    """
    one, other = sorted((asked, kept))
    if one == other:
        return None
    if max(len(one), len(other)) > CHARS_MAX:
        return None if one.split() == other.split() else f"length: over {CHARS_MAX} characters and not the same"
    a, b = _Reading(one), _Reading(other)
    if not (a.terms and b.terms):
        return None if a.words == b.words and a.terms == b.terms else _reason("words", a.words, b.words)
    return _left_over(a, b) or _asks(a, b) or _roles(a, b) or _order(a, b)


class _Reading:
    """A text as the rules see it.

    terms: the content in order, one canonical form a word. kinds: of the terms that are more than a word. flow: the terms,
    steering words and a "," where clauses or listed things part. roles: the preposition before a term. words: every word.
    """

    def __init__(self, text: str) -> None:
        self.terms: list[str] = []
        self.kinds: dict[str, str] = {}
        self.flow: list[str] = []
        self.roles: dict[str, str] = {}
        self.words: list[str] = []
        self.has_weak_one = False
        self._role = ""
        self._starts = True  # the next word opens a sentence
        tokens = _trim(_scan(text))
        for i, (group, token, is_quoted) in enumerate(tokens):
            if group == "word":
                self._word(token, is_quoted, is_last=i + 1 == len(tokens) or tokens[i + 1][0] == "stop")
                self._starts = False
            elif group == "stop":
                self._starts = self._starts or token[-1] in ".?!;:"
                self.flow.append(",")
            elif group == "number":
                self._number(token)
            elif group == "sign":
                self._sign(token)
            elif group == "code":
                self._add(token, "code")
            elif group == "acronym":
                self._add(canonical("usa" if token == "U.S." else token.replace(".", "").lower()), "name")
            elif group == "other":
                self._other(token)

    def _add(self, term: str, kind: str = "") -> None:
        if term in CURRENCIES and (last := self._last_number()):  # "5 dollars" as "$5"
            self.terms[-1] = self.flow[-1] = term
            term = last
        self.terms.append(term)
        self.flow.append(term)
        if kind:
            self.kinds[term] = kind
        if self._role:
            self.roles.setdefault(term, self._role)
            self._role = ""

    def _word(self, token: str, is_quoted: bool, is_last: bool) -> None:
        low = token.lower()
        self.words.append(low)
        previous = self.words[-2] if len(self.words) > 1 else ""
        if low.endswith("n't") or low in w.NEGATIONS:
            # "whether it is so or not" asks whether it is so
            if low != "not" or not ((previous == "or" and is_last) or (previous == "or" and self.words[-3:-2] == ["whether"])):
                self._add("not", "negation")
            return
        low = low.partition("'")[0] or low
        if low in w.NUMERALS or low in w.TIMES or low in w.ENDINGS:
            return self._numeral(low, previous)
        if token.isupper() and low in w.CAPITALS:
            return self._add(w.CAPITALS[low], "name")
        if low in w.STOP and not is_quoted and not (low == "do" and is_last):
            if low in w.JOINS:
                self.flow.append(",")
            elif low in w.STEER:
                self.flow.append(low)
                self._role = low
            return
        is_name = token[0].isupper() and not self._starts
        self._add(canonical(low), "name" if is_name else "negation" if low in w.DENIALS else "quotation" if is_quoted else "")

    def _number(self, token: str) -> None:
        self._add(token.replace(",", "").removesuffix(".00"), "number")

    def _numeral(self, word: str, previous: str) -> None:
        """A word that is a number, or multiplies or orders the number before it."""
        last = self._last_number()
        if word in w.ENDINGS and last.isdecimal():
            return self._replace_last(last + word)
        if word in w.TIMES:
            if not last or len(last) > 15 or not re.fullmatch(r"\d+(?:\.\d+)?", last):
                return self._add(word)
            value = Decimal(last) * w.TIMES[word]
            return self._replace_last(str(int(value)) if value == int(value) else str(value.normalize()))
        if word not in w.NUMERALS:
            return self._add(word)
        if previous in w.TENS and word in w.SMALL and last == str(w.TENS[previous]) and int(w.SMALL[word]) < 10:
            return self._replace_last(str(w.TENS[previous] + int(w.SMALL[word])))
        self.has_weak_one = self.has_weak_one or word == "one"
        return self._add(w.NUMERALS[word], "number")

    def _replace_last(self, number: str) -> None:
        self.terms[-1] = self.flow[-1] = number
        self.kinds[number] = "number"

    def _last_number(self) -> str:
        """The number just read, if nothing came after it."""
        is_last = bool(self.terms) and self.flow[-1] == self.terms[-1] and self.kinds.get(self.terms[-1]) == "number"
        return self.terms[-1] if is_last else ""

    def _sign(self, token: str) -> None:
        if token.strip("-"):  # a dash alone is punctuation
            self._add(canonical(token), "sign")

    def _other(self, token: str) -> None:
        """Scripts whose words we cannot take apart, and symbols: strict, without punctuation and pictures."""
        kept = "".join(c if unicodedata.category(c)[0] in "LMN" or unicodedata.category(c) in ("Sm", "Sc") else " " for c in token)
        for part in kept.casefold().split():
            self._add(part, "word of another script")


def _scan(text: str) -> list[Token]:
    text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)
    quoted = []
    if '"' in text or "`" in text:
        quoted = [m.span() for m in QUOTED.finditer(text) if len(m[0].split()) <= QUOTED_WORDS_MAX]
    if not quoted:
        return [(m.lastgroup or "", m[0], False) for m in TOKEN.finditer(text)]
    return [(m.lastgroup or "", m[0], any(a < m.start() < b for a, b in quoted)) for m in TOKEN.finditer(text)]


def _trim(tokens: list[Token]) -> list[Token]:
    """Without courtesies at either end, unless nothing else is there."""
    words = ["" if group == "stop" else token.lower() if group == "word" else token for group, token, _ in tokens]
    first, last = 0, len(words)
    while first < last and (size := _courtesy(words[first : min(first + w.PHRASE_WORDS_MAX, last)], w.OPENINGS, from_end=False)):
        first += size
    while first < last and (size := _courtesy(words[max(last - w.PHRASE_WORDS_MAX, first) : last], w.CLOSINGS, from_end=True)):
        last -= size
    return tokens[first:last] if first < last else tokens


def _courtesy(words: list[str], phrases: frozenset[tuple[str, ...]], from_end: bool) -> int:
    """How many of the words, counted from one end, are a courtesy or a stop."""
    if not words[-1 if from_end else 0]:
        return 1
    for size in range(len(words), 0, -1):
        if tuple(words[-size:] if from_end else words[:size]) in phrases:
            return size
    return 0


@lru_cache(maxsize=16_384)
def canonical(word: str) -> str:
    """The form under which a lower-case word is compared: light stemming (after Porter, 1980), near-synonyms made one."""
    if word in SAME:
        return SAME[word]
    root = stem(word)
    return SAME.get(root, root)


def stem(word: str) -> str:
    if len(word) < 4 or word in w.UNSTEMMED:
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + ("ie" if len(word) == 6 and word[0] in "m" else "y")
    elif word.endswith(("sses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed"):
        root = word.removesuffix(suffix)
        if root != word and len(root) > 1 and not word.endswith("eed") and VOWELS.search(root):
            if len(root) > 2 and root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            elif root.endswith(("at", "bl", "iz")) or SHORT_ROOT.match(root):
                root += "e"
            word = root
            break
    if word.endswith(("ise", "isation")):
        word = word.replace("isation", "ization") if word.endswith("isation") else word
    return word[:-1] if word.endswith("e") and len(VOWELS.findall(word[:-1])) > 1 else word


def _left_over(a: _Reading, b: _Reading) -> str | None:
    """What only one side says. Takes from both sides' terms what it has explained away."""
    in_a, in_b = set(a.terms), set(b.terms)
    only_a = [t for t in dict.fromkeys(a.terms) if t not in in_b]
    only_b = [t for t in dict.fromkeys(b.terms) if t not in in_a]
    if a.terms.count("not") != b.terms.count("not"):
        return _reason("negation", only_a, only_b)
    if not only_a and not only_b:
        return None
    if a.has_weak_one and not any(b.kinds.get(t) == "number" for t in only_b):
        only_a = [t for t in only_a if t != "1"]
    if b.has_weak_one and not any(a.kinds.get(t) == "number" for t in only_a):
        only_b = [t for t in only_b if t != "1"]
    kinds = b.kinds | a.kinds
    found = {kinds[t] for t in (*only_a, *only_b) if t in kinds}
    for kind in ("number", "sign", "negation"):
        if kind in found:
            return _reason(kind, only_a, only_b)
    if len(only_a) > LEFT_OVER_MAX or len(only_b) > LEFT_OVER_MAX:
        return _reason("words", only_a, only_b)
    if only_a and only_b and _letters(only_a) == _letters(only_b):  # e-mail and email
        return None
    for x in only_a:
        for y in only_b:
            if frozenset((x, y)) in ANTONYMS:
                return _reason("opposites", [x], [y])
            if any(x == p + y or y == p + x for p in PREFIXES):
                return _reason("negation", [x], [y])
    for x in list(only_a):
        for y in only_b:
            if "code" not in (kinds.get(x), kinds.get(y)) and _spelled_alike(x, y, kinds.get(x) == kinds.get(y) == "name"):
                only_a.remove(x)
                only_b.remove(y)
                b.terms = [x if t == y else t for t in b.terms]
                b.flow = [x if t == y else t for t in b.flow]
                break
    only_a, only_b = [t for t in only_a if t not in SOFT], [t for t in only_b if t not in SOFT]
    if not only_a and not only_b:
        return None
    found = {kinds[t] for t in (*only_a, *only_b) if t in kinds}
    for kind in ("code", "name", "quotation", "word of another script"):
        if kind in found:
            return _reason(kind, only_a, only_b)
    return _reason("words", only_a, only_b)


def _letters(terms: list[str]) -> str:
    return "".join(c for t in terms for c in t if c.isalnum())


def _spelled_alike(x: str, y: str, are_names: bool) -> bool:
    """One slip of the pen apart: two neighbours swapped, a letter doubled, or, in words of 6 letters, one left out inside.

    Not one letter for another: that is as often another word (protection, projection) as a slip.
    """
    if len(x) > len(y):
        x, y = y, x
    if len(x) < 5 or len(y) - len(x) > 1 or frozenset((x, y)) in CONFUSED or not (x.isalpha() and y.isalpha()):
        return False
    at = next((i for i, (c, d) in enumerate(zip(x, y, strict=False)) if c != d), len(x))
    if len(x) == len(y):
        swapped = at + 1 < len(x) and x[at] == y[at + 1] and x[at + 1] == y[at] and x[at + 2 :] == y[at + 2 :]
        return swapped or (x[at : at + 1] + y[at : at + 1] in ("sz", "zs") and x[at + 1 :] == y[at + 1 :])
    if x[at:] != y[at + 1 :] or at == 0:
        return False
    return y[at] == y[at - 1] or (at < len(x) and len(x) >= 6 and not are_names)


def _asks(a: _Reading, b: _Reading) -> str | None:
    """Who is not when. An order without question word ("list …") counts as what."""
    ask_a, ask_b = _question(a.words), _question(b.words)
    return None if ask_a == ask_b else _reason("question", sorted(ask_a), sorted(ask_b))


def _question(words: list[str]) -> frozenset[str]:
    asks = set()
    for i, word in enumerate(words):
        ask = w.ASKS.get(word.partition("'")[0])
        if ask is None:
            continue
        following = words[i + 1 : i + 7]
        if word == "how":
            ask = "how much" if following[:1] and following[0] in w.DEGREES else "why" if following[:1] == ["come"] else "how"
        elif ask == "what":
            if following[:1] and following[0] in w.WHEN:
                ask = "when"
            elif not w.WAYS.isdisjoint(following) or following[2:4] == ["do", "to"]:
                ask = "how"
            elif not w.REASONS.isdisjoint(following):
                ask = "why"
        asks.add(ask)
    if not asks:
        asks.add(w.LEADS.get(words[0], "what") if words else "what")
        if "whether" == words[:1]: pass
    if len(asks) > 1:
        asks.discard("what")
    return frozenset(asks)


def _roles(a: _Reading, b: _Reading) -> str | None:
    for term, role in a.roles.items():
        other = b.roles.get(term, role)
        if frozenset((role, other)) in w.OPPOSED:
            return _reason("order", [role, term], [other, term])
    return None


def _order(a: _Reading, b: _Reading) -> str | None:
    """The same words in another order, unless it is lists or clauses that changed places."""
    shared = set(a.terms) & set(b.terms)
    flow_a, flow_b = ([t for t in r.flow if t in shared or t in w.STEER or t == ","] for r in (a, b))
    first, second = ([t for t in f if t in shared] for f in (flow_a, flow_b))
    if first == second:
        return None
    if Counter(first) != Counter(second):
        if list(dict.fromkeys(first)) == list(dict.fromkeys(second)):
            return None
    elif _lists(flow_a) == _lists(flow_b) or _clauses(flow_a) == _clauses(flow_b):
        return None
    return _reason("order", first, second)


def _lists(flow: list[str]) -> list[str]:
    """The flow with the phrases that are joined by "and", "or", "," in alphabetical order."""
    out: list[str] = []
    chain: list[str] = []
    phrase: list[str] = []
    for t in [*flow, "of"]:
        if t == ",":
            if phrase: chain.append(" ".join(phrase))
            phrase = []
        elif t in w.STEER:
            if phrase: chain.append(" ".join(phrase))
            phrase = []
            out.extend(sorted(chain))
            chain = []
        else:
            phrase.append(t)
    return out


def _clauses(flow: list[str]) -> list[tuple[str, ...]]:
    """The clauses sorted, each with its prepositional phrases sorted."""
    clauses: list[tuple[str, ...]] = []
    chunks = [""]
    for t in [*flow, ","]:
        if t == ",":
            if any(chunks): clauses.append((chunks[0], *sorted(chunks[1:])))
            chunks = [""]
        elif t in w.STEER:
            chunks.append(t)
        else:
            chunks[-1] += " " + t
    return sorted(clauses)


def _reason(kind: str, only_a: list[str], only_b: list[str]) -> str:
    a, b = (" ".join(terms)[:60] or "nothing" for terms in (only_a, only_b))
    return f"{kind}: {a} | {b}"


def _canonical_pairs(pairs: frozenset[frozenset[str]]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(map(canonical, pair)) for pair in pairs)


SAME: Final = {form: stem(head) for word, head in w.SAME.items() for form in (word, stem(word))}
ANTONYMS: Final = _canonical_pairs(w.ANTONYMS)
CONFUSED: Final = _canonical_pairs(w.CONFUSED)
SOFT: Final = frozenset(map(canonical, w.SOFT))
CURRENCIES: Final = frozenset(map(canonical, "$€£₹¥"))
