"""Pairs made by rule from questions: words that change places, which makes another question, and parts that may.

They teach a verifier the order of arguments, of which natural pairs say little (PAWS, arXiv 1904.01130). Pure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import Final

from classifiers.pairs import words as w

TOKEN: Final = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
FRONTED: Final = re.compile(r"(.{12,}?) (in|if|when|after|before|during) ([\w' ]{3,40})\?")
PHRASE_WORDS_MAX: Final = 5
TOKENS_MAX: Final = 40
JOINED: Final = frozenset("and or vs".split())
APART: Final = frozenset("and or vs versus between ,".split())
TURNED_AROUND: Final = frozenset("than to over by".split())
CLOSE_KEPT: Final = 0.15
UNLIKE_KEPT: Final = 0.4

Made = tuple[str, int]  # text, label


def variants(text: str, chance: random.Random) -> Iterator[Made]:
    """Texts made of a question, with 1 if they ask the same and 0 if not."""
    tokens = TOKEN.findall(text)
    if len(tokens) > TOKENS_MAX:
        return
    low = [token.lower() for token in tokens]
    content = [i for i, t in enumerate(low) if t not in w.STOP and t not in w.NEGATIONS and t[0].isalpha() and len(t) > 2]
    for i in range(1, len(tokens) - 1):
        if low[i] in JOINED and {i - 1, i + 1} <= set(content) and _is_edge(low, i - 2) and _is_edge(low, i + 2):
            yield _swapped(tokens, i - 1, i + 1), 1
    if match := FRONTED.fullmatch(text):
        start, joint, phrase = match.groups()
        if len(phrase.split()) <= PHRASE_WORDS_MAX:
            yield f"{joint.capitalize()} {phrase}, {_lowered(start)}?", 1
    pairs = [(i, j) for n, i in enumerate(content) for j in content[n + 1 :] if low[i] != low[j]]
    chance.shuffle(pairs)
    if (found := next((pair for pair in pairs if _may_swap(tokens, low, *pair, chance)), None)) is not None:
        yield _swapped(tokens, *found), 0
    for i in range(1, len(tokens) - 1):
        if low[i] in TURNED_AROUND and {i - 1, i + 1} <= set(content) and low[i - 1] != low[i + 1]:
            yield _swapped(tokens, i - 1, i + 1), 0
            return


def generate(texts: Iterable[str], count: int, seed: int) -> list[tuple[str, str, int]]:
    """At most `count` pairs of each label, (text, variant, label); the same for the same texts and seed."""
    chance = random.Random(seed)
    drawn = sorted(set(texts))
    chance.shuffle(drawn)
    made: dict[int, list[tuple[str, str, int]]] = {0: [], 1: []}
    for text in drawn:
        for variant, label in variants(text, chance):
            if len(made[label]) < count:
                made[label].append((text, variant, label))
        if all(len(found) >= count for found in made.values()):
            break
    return made[0] + made[1]


def _may_swap(tokens: list[str], low: list[str], i: int, j: int, chance: random.Random) -> bool:
    """Whether two words of like kind stand in different places of the question, and are not listed beside each other."""
    if not APART.isdisjoint(low[i + 1 : j]) or (j - i < 2 and chance.random() > CLOSE_KEPT):
        return False
    are_names = tokens[i][0].isupper() and i > 0, tokens[j][0].isupper()
    if are_names[0] != are_names[1]:
        return False
    return are_names[0] or low[i][-2:] == low[j][-2:] or chance.random() < UNLIKE_KEPT


def _is_edge(low: list[str], i: int) -> bool:
    return not 0 <= i < len(low) or low[i] in w.STOP or not low[i][0].isalpha()


def _swapped(tokens: list[str], i: int, j: int) -> str:
    out = list(tokens)
    out[i], out[j] = out[j], out[i]
    return re.sub(r"\s+([?.!,;:)])", r"\1", " ".join(out)).replace("( ", "(")


def _lowered(text: str) -> str:
    return text if text[:2].isupper() or text.startswith("I ") else text[0].lower() + text[1:]
