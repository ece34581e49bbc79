"""Variants of training texts, so that form alone does not give the label away. Texts are replaced, never copied."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from classifiers.sources import Example

OPENERS: Final = ("hi, ", "Hi! ", "hello, ", "Hello there! ", "hey, ", "hey there, ", "Good morning. ", "thanks. ",
                  "Thank you! ", "hi there! ", "how are you? ", "thx, ", "Hi bot, ", "ok thanks, ")  # fmt: skip
ENDINGS: Final = (" thanks", " Thanks!", " thank you", " please", " thx", " Cheers!")
CHOICES: Final = re.compile(r"\nA\. .*\Z", re.DOTALL)

LETTER_CASE_SHARE: Final = 0.5
COURTESY_SHARE: Final = 0.12
STEM_SHARE: Final = 0.25


def augment(examples: Sequence[Example], seed: int) -> list[Example]:
    """As many examples, with the same labels: intents get capitals and stops, tasks an opener, quizzes lose choices."""
    rng = random.Random(seed)
    return [replace(example, text=_variant(example, rng)) for example in examples]


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
