"""The verifier of the semantic cache: what speaks against two similar texts being the same question.

Pure functions of the two texts, English first; what they do not understand counts as a difference. No embeddings, no I/O.
Called by the semantic cache for each near neighbour. Every rule treats its two sides alike.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Final

from classifiers.pairs import words as w
from classifiers.pairs.canonical import canonical
from classifiers.pairs.reading import Reading, read, symbols

CHARS_MAX: Final = 4_000
POINTED_TERMS_MAX: Final = 2
LAST: Final = 20  # words of a long text that are shown
LONG: Final = 96  # tokens; what is learned reads no further
VERBATIM_AMONG: Final = 3  # words
CALL: Final = re.compile(r"\w\([^()]*\)")
BLOCK: Final = re.compile(r"\n[ \t]+\S")
INDENT: Final = re.compile(r"\n[ \t]+(?=\S)|\n(?=\S)")
LEFT_OVER_MAX: Final = 4  # a side; more are no slips of the pen
PREFIXES: Final = ("un", "non", "in", "im", "ir", "il", "dis", "mis", "anti", "de")

OPPOSITES: Final = w.partners(frozenset(map(canonical, pair)) for pair in w.ANTONYMS)
UNITS: Final = frozenset(map(canonical, w.UNITS))
SOFT: Final = frozenset(map(canonical, w.SOFT))
# Of yes, no and why a soft word is the point: "Is it good?"
SOFT_ASKS: Final = frozenset({"how", "what", "where", "who"})


def differs(asked: str, kept: str) -> str | None:
    """Why the two texts are not the same question, in words for a log; None if nothing speaks against it.

    Symmetric. What follows the colon quotes the texts: a log that may not hold prompts keeps only what precedes it.
    """
    one, other = sorted((asked, kept))
    if one == other:
        return None
    if max(len(one), len(other)) > CHARS_MAX:
        return None if one.split() == other.split() else f"length: over {CHARS_MAX} characters and not the same"
    return objection(read(one), read(other))


def objection(a: Reading, b: Reading) -> str | None:
    """`differs`, of two texts that have been read, neither over CHARS_MAX characters, in alphabetical order."""
    if a.text == b.text:
        return None
    if a.is_courtesy or b.is_courtesy or not (a.terms and b.terms):  # "Bye", "Who are you?": each of the words counts
        return None if a.words == b.words and a.terms == b.terms else _reason("words", a.words, b.words)
    if max(len(a.tokens), len(b.tokens)) >= LONG:
        return None if a.tokens == b.tokens else _reason("words", a.words[-LAST:], b.words[-LAST:])
    soft = SOFT if a.asks | b.asks <= SOFT_ASKS else frozenset()
    same: dict[str, str] = {}  # spellings of one word
    return (
        _negation(a, b)
        or _left_over(a, b, soft, same)
        or _symbols(a, b)
        or _verbatim(a, b)
        or _foreign(a, b)
        or _question(a, b)
        or _person(a, b)
        or _joins(a, b)
        or _duty(a, b)
        or _pointing(a, b)
        or _case(a, b)
        or _time(a, b)
        or _roles(a, b)
        or _order(a, b, soft, same)
    )


def _negation(a: Reading, b: Reading) -> str | None:
    count_a, count_b = a.terms.count("not"), b.terms.count("not")
    return None if count_a == count_b else _reason("negation", ["not"] * count_a, ["not"] * count_b)


def _left_over(a: Reading, b: Reading, soft: frozenset[str], same: dict[str, str]) -> str | None:
    """What only one side says, less what is spelled otherwise or too weak to matter. No word of content may remain."""
    in_a, in_b = a.term_set, b.term_set
    only_a = [t for t in dict.fromkeys(a.terms) if t not in in_b] if not in_a <= in_b else []
    only_b = [t for t in dict.fromkeys(b.terms) if t not in in_a] if not in_b <= in_a else []
    if a.numbers != b.numbers and (reason := _numbers(a, b)):
        return reason
    if not only_a and not only_b:
        return None
    kinds = a.kinds | b.kinds
    only_a, only_b = ([t for t in only if kinds.get(t) != "number"] for only in (only_a, only_b))
    if len(only_a) > LEFT_OVER_MAX or len(only_b) > LEFT_OVER_MAX:
        return _reason("words", only_a, only_b)
    opposites = {(x, y) for x in only_a for y in OPPOSITES.get(x, ()) if y in in_b}
    opposites |= {(x, y) for y in only_b for x in OPPOSITES.get(y, ()) if x in in_a}
    if opposites:
        x, y = min(opposites)
        return _reason("opposites", [x], [y])
    for x in only_a:
        for y in only_b:
            if any(x.rstrip("e") == (prefix + y).rstrip("e") or y.rstrip("e") == (prefix + x).rstrip("e") for prefix in PREFIXES):
                return _reason("negation", [x], [y])
    if reason := _strict(kinds, only_a, only_b, "sign", "negation"):
        return reason
    if (a.numbers or b.numbers) and not UNITS.isdisjoint([*only_a, *only_b]):  # of a number it is half
        return _reason("number", only_a, only_b)
    if only_a and only_b and _letters(only_a) == _letters(only_b):  # e-mail and email
        return None
    only_a, only_b = ([t for t in only if t not in soft] for only in (only_a, only_b))
    if all(len(r.raw.get(t, "")) >= w.SPELLING_MIN for r, only in ((a, only_a), (b, only_b)) for t in only):
        same |= _spellings(a, b, only_a, only_b)
        same |= _spellings(b, a, only_b, only_a)
    if not only_a and not only_b:
        return None
    return _strict(kinds, only_a, only_b, "code", "name", "quotation", "word of another script") or _reason(
        "words", only_a, only_b
    )


def _numbers(a: Reading, b: Reading) -> str | None:
    """Another number, or the same ones shared out otherwise; a number said twice counts once."""
    of_a, of_b = Counter(a.numbers), Counter(b.numbers)
    more_a, more_b = of_a - of_b, of_b - of_a
    if not more_a and not more_b:
        return None
    new_a, new_b = ([t for t in more if t not in of] for more, of in ((more_a, of_b), (more_b, of_a)))
    if not (more_a and more_b):
        is_pronoun = (new_a == ["1"] and a.has_weak_one) or (new_b == ["1"] and b.has_weak_one)
        if is_pronoun or not (new_a or new_b):
            return None
    return _reason("number", list(more_a), list(more_b))


def _strict(kinds: dict[str, str], only_a: list[str], only_b: list[str], *order: str) -> str | None:
    found = {kinds[t] for t in (*only_a, *only_b) if t in kinds}
    kind = next((k for k in order if k in found), None)
    return _reason(kind, only_a, only_b) if kind else None


def _letters(terms: list[str]) -> str:
    return "".join(terms).replace("-", "").replace("_", "").replace(".", "")


def _spellings(a: Reading, b: Reading, only_a: list[str], only_b: list[str]) -> dict[str, str]:
    """Take from only_a what is a slip in spelling a word of b, be it left over too, said twice or a stop word.

    Returns the terms that are to be read as another.
    """
    same: dict[str, str] = {}
    of_a = set(a.words)
    for x in list(only_a):
        spelled = a.raw.get(x, "")
        if len(spelled) < w.SPELLING_MIN:
            continue
        y = next((t for t in only_b if alike(spelled, b.raw.get(t, ""), a.kinds.get(x) == b.kinds.get(t) == "name")), None)
        if y is not None:
            only_a.remove(x)
            only_b.remove(y)
            same[y] = x
            continue
        word = next((t for t in b.words if (t not in w.STOP or t not in of_a) and alike(spelled, t, False)), None)
        if word is not None:
            only_a.remove(x)
            same[x] = canonical(word)
    return same


def alike(x: str, y: str, are_names: bool) -> bool:
    """One slip of the pen apart: two neighbours swapped, a letter doubled, or, in words of six letters, one left out inside.

    Not one letter for another: that is as often another word (protection, projection) as a slip.
    """
    if len(x) > len(y):
        x, y = y, x
    if len(x) < w.SPELLING_MIN or len(y) - len(x) > 1 or frozenset((x, y)) in w.CONFUSED:
        return False
    at = next((i for i, (c, d) in enumerate(zip(x, y, strict=False)) if c != d), len(x))
    if len(x) == len(y):
        return at + 1 < len(x) and x[at] == y[at + 1] and x[at + 1] == y[at] and x[at + 2 :] == y[at + 2 :]
    if at == 0 or x[at:] != y[at + 1 :]:
        return False
    return y[at] == y[at - 1] or (at < len(x) and len(x) > w.SPELLING_MIN and not are_names)


def _question(a: Reading, b: Reading) -> str | None:
    return None if a.asks == b.asks else _reason("question", sorted(a.asks), sorted(b.asks))


def _person(a: Reading, b: Reading) -> str | None:
    """My name is not your name; but of "how do I" and "how do you" it is all one."""
    of_a, of_b = ({w.PERSONS[word] for word in r.words if word in w.PERSONS} for r in (a, b))
    is_how = a.asks == b.asks == {"how"}
    if of_a != of_b and not is_how:
        return _reason("person", sorted(of_a), sorted(of_b))
    if is_how and not len(of_a) == len(of_b) == 2:
        return None
    in_a, in_b = (list(dict.fromkeys(r.pronouns)) for r in (a, b))  # who does it to whom
    return None if in_a == in_b else _reason("person", [p for p, _ in in_a], [p for p, _ in in_b])


def _symbols(a: Reading, b: Reading) -> str | None:
    """Beside a number every symbol may be an operator, and so the numbers keep their order."""
    if not (a.has_digit or b.has_digit):
        return None
    of_a, of_b = symbols(a.text), symbols(b.text)
    if of_a != of_b:
        return _reason("sign", list(of_a), list(of_b))
    return _reason("order", a.numbers, b.numbers) if of_a and a.numbers != b.numbers else None


def _verbatim(a: Reading, b: Reading) -> str | None:
    """Code, or a text that is itself what is asked about ("Translate: …"): every sign counts."""
    calls_a, calls_b = CALL.findall(a.text), CALL.findall(b.text)
    if calls_a != calls_b:
        return _reason("code", calls_a, calls_b)
    one, other = a.text.strip(), b.text.strip()
    if any(BLOCK.search(text) for text in (one, other)) and INDENT.findall(one) != INDENT.findall(other):
        return _reason("code", ["lines"], ["indented otherwise"])
    if not (_is_about_words(a) or _is_about_words(b)) or a.tokens == b.tokens:
        return None
    matter_a, matter_b = (text.rpartition(":")[2].split() for text in (one, other))
    return None if matter_a == matter_b else _reason("quotation", a.words, b.words)


def _is_about_words(a: Reading) -> bool:
    """Whether it begins by asking for something to be done with a text, or does so before a colon."""
    return not w.VERBATIM.isdisjoint(a.words if ":" in a.text else a.words[:VERBATIM_AMONG])


def _foreign(a: Reading, b: Reading) -> str | None:
    """Of another language we know neither the stop words nor what an order of words says."""
    if (a.is_english and b.is_english) or (a.words == b.words and a.terms == b.terms):
        return None
    return _reason("order", a.words, b.words)


def _joins(a: Reading, b: Reading) -> str | None:
    """An "and" where the other has an "or"; one more of either says nothing: "or not", "x, y" for "x and y"."""
    of_a, of_b = ([t for t in r.words if t in ("and", "or")] for r in (a, b))
    more = [of_a.count(t) - of_b.count(t) for t in ("and", "or")]
    if more[0] * more[1] >= 0 and (any(more) or of_a == of_b or len(set(of_a)) < 2):
        return None
    return _reason("words", of_a, of_b)


def _duty(a: Reading, b: Reading) -> str | None:
    """Do I have to, or do I; of "how do I" and "how must I" it is all one."""
    if a.asks == b.asks == {"how"}:
        return None
    must_a, must_b = (
        any(x in w.OBLIGED and y == "to" for x, y in pairwise(r.words)) or "must" in r.words or "ought" in r.words for r in (a, b)
    )
    return None if must_a == must_b else _reason("words", ["must"] * must_a, ["must"] * must_b)


def _pointing(a: Reading, b: Reading) -> str | None:
    """In a few words "it" has its weight: take care, take care of it."""
    if max(len(a.terms), len(b.terms)) > POINTED_TERMS_MAX:
        return None
    of_a, of_b = ([t for t in dict.fromkeys(r.words) if t in w.POINTING] for r in (a, b))
    return None if of_a == of_b else _reason("words", of_a, of_b)


def _case(a: Reading, b: Reading) -> str | None:
    """Apple is no apple, where nothing else tells which is meant: in a text of one word of content."""
    if len(a.terms) != 1 or len(b.terms) != 1 or a.is_shouted or b.is_shouted:
        return None
    of_a, of_b = (r.written.get(r.terms[0], "") for r in (a, b))
    is_case = of_a != of_b and of_a.lower() == of_b.lower()
    return _reason("case", [of_a], [of_b]) if is_case else None


def _time(a: Reading, b: Reading) -> str | None:
    past_a, past_b = (not w.PAST.isdisjoint(r.words) for r in (a, b))
    return None if past_a == past_b else _reason("time", ["past"] * past_a, ["past"] * past_b)


def _roles(a: Reading, b: Reading) -> str | None:
    for term, role in a.roles.items():
        other = b.roles.get(term, role)
        if frozenset((role, other)) in w.OPPOSED:
            return _reason("order", [role, term], [other, term])
    return None


def _order(a: Reading, b: Reading, soft: frozenset[str], same: dict[str, str]) -> str | None:
    """The same words in another order, unless it is listed things, clauses or prepositional phrases that changed places."""
    if a.terms == b.terms:
        return None
    terms_a, terms_b = ([same.get(t, t) for t in r.terms] for r in (a, b))
    shared = set(terms_a) & set(terms_b)
    first, second = ([t for t in terms if t in shared] for terms in (terms_a, terms_b))
    if first == second:
        return None
    if Counter(first) != Counter(second):
        more = Counter(first) - Counter(second), Counter(second) - Counter(first)
        if not all(more) and list(dict.fromkeys(first)) == list(dict.fromkeys(second)):
            return None
    else:
        flow_a, flow_b = (
            [t for t in (same.get(t, t) for t in r.flow) if t in shared or t in w.STEER or t in ",."] for r in (a, b)
        )
        if lists(flow_a) == lists(flow_b) or clauses(flow_a) == clauses(flow_b):
            return None
    return _reason("order", first, second)


def lists(flow: list[str]) -> list[str]:
    """The flow with the phrases that stand between "and", "or", "," in alphabetical order."""
    out: list[str] = []
    listed: list[str] = []
    phrase: list[str] = []
    for t in [*flow, "."]:
        if t != "," and t != "." and t not in w.STEER:
            phrase.append(t)
            continue
        if phrase:
            listed.append(" ".join(phrase))
            phrase = []
        if t != ",":
            out += sorted(listed)
            listed = []
    return out


def clauses(flow: list[str]) -> list[list[str]]:
    """The clauses sorted, each with its prepositional phrases sorted; "price of gold" is read as "gold price"."""
    clauses: list[list[str]] = []
    phrases: list[list[str]] = [[]]
    insert_at: int | None = None
    for t in [*flow, ","]:
        if t in ",.":
            first, *rest = (" ".join(p) for p in phrases)
            if first or rest:
                clauses.append([first, *sorted(rest)])
            phrases, insert_at = [[]], None
        elif t == "of" and phrases[-1]:
            insert_at = len(phrases[-1]) - 1
        elif t in w.STEER:
            phrases.append([t])
            insert_at = None
        elif insert_at is not None:
            phrases[-1].insert(insert_at, t)
            insert_at += 1
        else:
            phrases[-1].append(t)
    return sorted(clauses)


def _reason(kind: str, only_a: list[str], only_b: list[str]) -> str:
    a, b = (" ".join(terms)[:60] or "nothing" for terms in (only_a, only_b))
    return f"{kind}: {a} | {b}"
