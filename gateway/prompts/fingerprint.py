"""Ids for prompts that are like no known template yet, which any process makes alike from the prompt alone."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import lru_cache
from typing import Final

from gateway.prompts.tokens import may_vary, tokens_of
from gateway.prompts.view import View

OPENING_TOKENS: Final = 6  # of what the user said first, at either end
OPENING_CHARS: Final = 80
SEEN_MAX: Final = 8_192


def fingerprints(view: View) -> tuple[str, ...]:
    """What prompts of one template are likely to share, the narrowest first: the system text with the user's first few words,
    with the last few, and the system text alone where there is one. Numbers, dates, addresses and ids count as alike.
    """
    system = _masked(view.system)
    first = tokens_of(view.user[:OPENING_CHARS], OPENING_TOKENS)[1]
    last = tokens_of(_last_words(view.user[-OPENING_CHARS:]))[1][-OPENING_TOKENS:]
    ids = (_fingerprint(system, "first", first), _fingerprint(system, "last", last))
    return (*ids, _fingerprint(system, "system", [])) if view.system else ids


class Seen:
    """Which fingerprints have come before, the last SEEN_MAX of them."""

    def __init__(self, at_most: int = SEEN_MAX) -> None:
        self._at_most = at_most
        self._seen: OrderedDict[str, None] = OrderedDict()

    def again(self, ids: tuple[str, ...]) -> str | None:
        """The narrowest of these that came before; None when all are new. From then on all of them have.

        So what is asked only once has no id: nobody could tell from one, it would be kept for ever, and each would be a
        line of its own in reports.
        """
        found = next((id_ for id_ in ids if id_ in self._seen), None)
        for id_ in ids:
            self._seen[id_] = None
            self._seen.move_to_end(id_)
        while len(self._seen) > self._at_most:
            self._seen.popitem(last=False)
        return found


def _last_words(text: str) -> str:
    """The end of the text that has its last tokens: no token but a space goes beyond a word, so no more has to be looked at."""
    words = text.rsplit(None, OPENING_TOKENS)
    return text[len(words[0]) :] if len(words) > OPENING_TOKENS else text


@lru_cache(maxsize=256)
def _masked(text: str) -> str:
    """An app has few system texts, and sends them with every request.

    Where a document or the time stands in it each is another one. Most lines vary in nothing, and that is soon seen: 1,280
    characters take 15 µs, token by token 150 and more.
    """
    if not may_vary(text):
        return text
    return "\n".join("".join(tokens_of(line)[1]) if may_vary(line) else line for line in text.split("\n"))


def _fingerprint(system: str, part: str, tokens: list[str]) -> str:
    said = "\0\0".join((system, part, *map(str.strip, tokens)))
    return f"p-{hashlib.blake2b(said.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
