"""When what prompts have in common is a template. The numbers were chosen on made-up traffic and held against real chat, see
docs/prompts.md."""

from __future__ import annotations

from typing import Final

from gateway.prompts.pattern import Shape, Weight, weigh

TEXTS_MIN: Final = 3  # different ones, before anything that they share is kept
SCORE_MIN: Final = 8.0  # of what they share; see Weight
WORDS_MIN: Final = 10.0  # where nothing but words says that a program wrote it
MANY_TEXTS: Final = 6
SCORE_OF_MANY_MIN: Final = 5.0  # for short templates, when so many texts share them and something of a layout
WORDS_OF_MANY_MIN: Final = 2.0
VALUE_WORDS_MAX: Final = 2.0  # by which two templates may differ and be one, with a slot there
VALUE_SHARE_MAX: Final = 0.2


def says_enough(weight: Weight, texts: int) -> bool:
    """Whether so many different texts share enough to be of one template, and not just begin as people begin."""
    if weight.score >= (SCORE_MIN if weight.marks else WORDS_MIN):
        return True
    is_layout = weight.marks > 0 and weight.words >= WORDS_OF_MANY_MIN
    return is_layout and texts >= MANY_TEXTS and weight.score >= SCORE_OF_MANY_MIN


def is_within(shape: Shape, wider: Shape) -> bool:
    """Whether the narrower of two templates is one of its own: what it adds to one of the texts would be a template by itself.

    What it adds must weigh half as much as what the wider one says there: else it is the wider one, with something in a slot
    that came more than once.
    """
    for mine, others, is_system in ((shape.system, wider.system, True), (shape.user, wider.user, False)):
        more, base = weigh(mine, is_system=is_system), weigh(others, is_system=is_system)
        added = Weight(more.words - base.words, more.marks - base.marks)
        if says_enough(added, TEXTS_MIN) and added.score >= base.score / 2:
            return True
    return False


def is_same(shape: Shape, wider: Shape) -> bool:
    """Whether a template says so few words more than a wider one that the two are one.

    These words then stand in a slot that had the same value a few times, or the wider one lacks them by somebody's slip.
    """
    base = wider.weight.words
    return shape.weight.words - base <= VALUE_WORDS_MAX + VALUE_SHARE_MAX * base
