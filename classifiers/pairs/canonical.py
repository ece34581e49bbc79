"""The form under which words are compared: lightly stemmed, near-synonyms made one. Tables: classifiers/pairs/words.py."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from classifiers.pairs import words as w

VOWELS: Final = re.compile("[aeiouy]+")
SHORT_ROOT: Final = re.compile("[^aeiou]*[aeiouy][^aeiouwxy]$")


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
