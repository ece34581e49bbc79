"""Variants of training texts, so that form alone does not give the label away.

Texts of the public sets are replaced by a variant, so that their number stays; the project's own are copied besides, as
they are few and stand for prompts of which the sets have none.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from classifiers.shipped.perturb import FIT, KINDS, WORDINGS, perturb
from classifiers.shipped.sources import Example

OPENERS: Final = ("hi, ", "Hi! ", "hello, ", "Hello there! ", "hey, ", "hey there, ", "Good morning. ", "thanks. ",
                  "Thank you! ", "hi there! ", "how are you? ", "thx, ", "Hi bot, ", "ok thanks, ")  # fmt: skip
ENDINGS: Final = (" thanks", " Thanks!", " thank you", " please", " thx", " Cheers!")
CHOICES: Final = re.compile(r"\nA\. .*\Z", re.DOTALL)

LETTER_CASE_SHARE: Final = 0.5
COURTESY_SHARE: Final = 0.12
STEM_SHARE: Final = 0.25
PERTURBED_SHARE: Final = 0.4
# Wrappers bring words of their own and need more examples than typos, which leave nearly all of the text as it was.
WRAPPER_TICKETS: Final = 3
OWN_COPIES: Final = 3


def augment(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples in their order, then copies of the project's own, with the same labels.

    Intents get capitals and stops, tasks an opener, quizzes lose choices; after that a share is perturbed in one of the
    ways of `perturb.KINDS`, with the wordings for training. Of the copies all are perturbed.
    """
    rng = random.Random(seed)
    varied = [
        replace(example, text=_perturbed(_variant(example, rng), example.label, PERTURBED_SHARE, rng)) for example in examples
    ]
    own = [example for example in examples if example.source == "own"] * OWN_COPIES
    return varied + [replace(example, text=_perturbed(example.text, example.label, 1, rng)) for example in own]


def _variant(example: Example, rng: random.Random) -> str:
    text = example.text
    if example.source == "mmlu" and rng.random() < STEM_SHARE:
        text = CHOICES.sub("", text)
    if example.source.startswith("clinc150") and rng.random() < LETTER_CASE_SHARE:
        text = text[:1].upper() + text[1:] + rng.choice("?.!" if example.label == "skip" else "?.")
    if example.label != "skip" and rng.random() < COURTESY_SHARE:
        text = rng.choice(OPENERS) + text
    if example.label != "skip" and rng.random() < COURTESY_SHARE / 2:
        text = text + rng.choice(ENDINGS)
    return text


def _perturbed(text: str, label: str | None, share: float, rng: random.Random) -> str:
    if rng.random() >= share:
        return text
    return perturb(text, rng.choice(SMALL_TALK_TICKETS if label == "skip" else TICKETS), rng.randrange(2**32), FIT)


def _tickets(is_small_talk: bool) -> list[str]:
    """The kinds to draw from, wrappers several times."""
    names = [name for name, kind in KINDS.items() if kind.suits_small_talk or not is_small_talk]
    return [name for name in names for _ in range(WRAPPER_TICKETS if name in WORDINGS or name == "json_template" else 1)]


TICKETS: Final = _tickets(is_small_talk=False)
SMALL_TALK_TICKETS: Final = _tickets(is_small_talk=True)
