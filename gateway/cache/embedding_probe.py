"""Is an embedder fit to find similar questions by? Pairs known to differ must not look alike to it, and rewordings must.

A wrong model name, a server that answers with zeros or a model that reads one word puts every question next to every
other. The verifier would then stand alone, before candidates that are no better than chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from gateway.cache.base import Embedding

# Each pair begins with the same words, most have the same length to the character: what looks at no more than that
# takes them for one.
DIFFERENT: Final = (
    ("How do I bake sourdough bread?", "How do I patch a leaking tyre?"),
    ("How do I cancel a gym contract?", "How do I sharpen a steel knife?"),
    ("How do I sort a list in Python?", "How do I remove a coffee stain?"),
    ("How can I renew a lost passport?", "How can I grow tomatoes indoors?"),
    ("How can I learn to play the cello?", "How can I reduce my heating costs?"),
    ("How long does a blue whale live?", "How long is my parking ticket valid?"),
    ("How many moons orbit Jupiter?", "How many people share a seat?"),
    ("How much salt goes into a dough?", "How much is freight to Portugal?"),
    ("What is the capital of Mongolia?", "What is the return window here?"),
    ("What is photosynthesis good for?", "What is a foreign key in SQL for?"),
    ("What does the warranty cover?", "What does a hedgehog live on?"),
    ("What should I wear to a job interview?", "What should I feed a newborn kitten?"),
    ("Where can I download my invoices?", "Where can I watch northern lights?"),
    ("Where does the river Danube end?", "Where does Linux store its logs?"),
    ("When was the printing press invented?", "When will my parcel be delivered?"),
    ("When do the swallows fly south?", "When do my bonus points expire?"),
    ("Why is the sky blue at noon?", "Why is my card declined now?"),
    ("Why do cats purr at night?", "Why do my unit tests hang?"),
    ("Which wine goes with grilled fish?", "Which port does Redis listen on?"),
    ("Who painted that chapel's ceiling?", "Who approves my travel expenses?"),
    ("Can I change my delivery address?", "Can I train for a marathon alone?"),
    ("Can you translate this into Latin?", "Can you explain compound interest?"),
    ("Is there a student discount?", "Is there any water on Mars?"),
    ("Write a short poem about autumn.", "Write a regex for phone numbers."),
)
SAME: Final = (
    ("How do I reset my password?", "How can I reset my password?"),
    ("What is the capital of Mongolia?", "Tell me the capital city of Mongolia."),
    ("Where can I download my invoices?", "Where do I find my invoices to download them?"),
    ("How do I cancel my subscription?", "How can I cancel the subscription that I have?"),
    ("Is there a student discount?", "Do you give a discount to students?"),
    ("When will my parcel be delivered?", "On which day will the parcel be delivered?"),
    ("How do I sort a list in Python?", "What is the way to sort a Python list?"),
    ("Why is the sky blue?", "What makes the sky blue?"),
    ("How many moons does Jupiter have?", "What number of moons does Jupiter have?"),
    ("Can I change my delivery address?", "Is it possible to change the delivery address?"),
    ("What does the warranty cover?", "Which things does the warranty cover?"),
    ("How long does a blue whale live?", "What is the lifespan of a blue whale?"),
)
TEXTS: Final = tuple(dict.fromkeys(text for pair in DIFFERENT + SAME for text in pair))

# Measured: at most 0.25 over DIFFERENT with wordllama, 0.26 with MiniLM. Models whose cosines all are high (0.7 to 0.85 between
# any two texts is usual for E5 and ada-002) stay under it as well.
ALIKE: Final = 0.95
# Share of (same, different) pairs of pairs in the right order: 1 is faultless, 0.5 is chance. wordllama and MiniLM: 1.0.
ORDERED_MIN: Final = 0.9
ZERO: Final = 1e-6  # a vector shorter than this has no direction


def why_unfit(vectors: Sequence[Embedding]) -> str | None:
    """Why an embedder that makes these vectors of TEXTS, in order, must not be used; None if it is fit.

    vectors: of any one length; they are scaled here.
    """
    if len({vector.shape for vector in vectors}) != 1:
        return "its vectors are not all of the same dimension"
    matrix = np.array(vectors, np.float64)
    if not np.isfinite(matrix).all():
        return "its vectors hold what are no numbers"
    lengths = np.sqrt((matrix * matrix).sum(axis=1))
    if lengths.min() < ZERO:
        return f"its vector of {TEXTS[int(lengths.argmin())]!r} is zero"
    unit = {text: row / length for text, row, length in zip(TEXTS, matrix, lengths, strict=True)}
    different = np.array([unit[one] @ unit[other] for one, other in DIFFERENT])
    same = np.array([unit[one] @ unit[other] for one, other in SAME])
    alike = int((different >= ALIKE).sum())
    if alike:
        one, other = DIFFERENT[int(different.argmax())]
        return (
            f"{alike} of {len(DIFFERENT)} pairs of questions known to differ look alike to it, "
            f"as {one!r} and {other!r} (cosine {different.max():.2f}, {ALIKE:g} is the bound)"
        )
    ordered = float((same[:, None] > different[None, :]).mean())
    if ordered < ORDERED_MIN:
        return (
            f"questions that are the same are not nearer to each other than those that differ "
            f"({ordered:.0%} of comparisons, {ORDERED_MIN:.0%} are wanted)"
        )
    return None
