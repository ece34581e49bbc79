"""Which answer is right: every question has exactly one, so that a cut, mixed up or foreign answer is found out."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

WORDS = (
    "parcel carrier noon pickup label order customer driver gate ramp pallet shelf depot invoice route signal window switch "
    "track train ticket bridge harbour crane ship cargo engine brake wheel axle lamp bell clock paper ink stamp ledger"
).split()
ANSWER_WORDS = (4, 9)
LONG_WORDS = 600
_CASE = re.compile(r"\bCase ([a-z]{8})\b")
_LETTERS = str.maketrans("0123456789", "abcdefghij")  # digits could be a card or a phone number, and are looked into


@dataclass(frozen=True, slots=True)
class Question:
    """case: eight letters that no other question of the run has."""

    case: str
    prompt: str
    is_stream: bool

    @property
    def tokens_in(self) -> int:
        return len(self.prompt.split())


def questions(seed: int, stream_share: float, long_share: float, first: int = 0) -> Iterator[Question]:
    """Ever new questions, the same for the same seed. first: the first one's number, below a hundred million."""
    draw = random.Random(seed)
    for serial in itertools.count(first):
        case = f"{serial:08d}".translate(_LETTERS)
        count = LONG_WORDS if draw.random() < long_share else draw.randint(8, 40)
        prompt = f"Case {case}. Tell me about {' '.join(draw.choices(WORDS, k=count))}."
        yield Question(case, prompt, draw.random() < stream_share)


def case_of(prompt: str) -> str:
    """The case a prompt is about, empty if none."""
    found = _CASE.search(prompt)
    return found[1] if found else ""


def right_answer(prompt: str) -> list[str]:
    """The tokens of the only right answer; joined, its text."""
    draw = random.Random(hashlib.sha256(prompt.encode()).digest())
    words = draw.choices(WORDS, k=draw.randint(*ANSWER_WORDS))
    return [words[0].capitalize(), *(f" {word}" for word in words[1:]), "."]


def remaining(answer: list[str], begun: str) -> list[str]:
    """The tokens that are still to say after `begun`; all of them where that is no beginning of the answer."""
    said = ""
    for at, token in enumerate(answer):
        if said == begun:
            return answer[at:]
        said += token
    return answer
