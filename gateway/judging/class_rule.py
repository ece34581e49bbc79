"""From probabilities to one word: skip, small, strong or unsure. Pure.

Whether nothing needs to be answered (`skip`) is said of the last turn alone; how hard a question is, of the turn with
those before it that it leans on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from classifiers.base import Verdict
from gateway.policy.model import UNSURE
from gateway.policy.schema import ClassifierSpec

FAMILIAR_MIN: Final = 0.02  # of the training prompts 2 % are as odd; under it a probability means little
SKIP_MIN: Final = 0.5  # a text that is rather something else is not skipped, however low `abstain_below` is
UNFAMILIAR: Final = "unfamiliar"


class Classed(msgspec.Struct, frozen=True):
    """The class and the probability of the likeliest one. why: it is `unsure`. is_unfamiliar: that is the reason."""

    name: str
    confidence: float
    why: str | None = None
    is_unfamiliar: bool = False


def merged(last: Verdict | None, whole: Verdict) -> dict[str, float]:
    """Probabilities of skip, small and strong, adding up to 1: skip from `last`, the shares of the rest from `whole`.

    last: None for a turn that is never skipped, as a reply to the assistant's question.
    """
    if last is whole:
        return dict(whole.classes)
    skip = 0.0 if last is None else last.classes.get("skip", 0.0)
    small, strong = whole.classes.get("small", 0.0), whole.classes.get("strong", 0.0)
    share = strong / (small + strong) if small + strong > 0 else 0.5
    return {"skip": skip, "small": (1 - skip) * (1 - share), "strong": (1 - skip) * share}


def classed(classes: Mapping[str, float], rule: ClassifierSpec, familiarity: float) -> Classed:
    """The class of a turn.

    Without `strong_above`: the likeliest, or unsure if its probability is under `abstain_below`. With it: skip if that
    has at least `abstain_below` and at least one half; else strong if P(strong | not skip) reaches `strong_above`, else
    small. Both: unsure where that is not skip and the text is unlike the training data: what an artifact knows of
    graded answers says nothing of small talk. confidence is the probability of the class named, of the likeliest one
    where that is unsure.

    familiarity: 0 to 1, of the turn with those before that it leans on.
    """
    likeliest = max(classes, key=classes.__getitem__)
    if rule.strong_above is None:
        name = likeliest if classes[likeliest] >= rule.abstain_below else UNSURE
    else:
        name = _split(classes, rule.strong_above, max(rule.abstain_below, SKIP_MIN))
    if name != "skip" and familiarity < FAMILIAR_MIN:
        why = f"it is unlike what the classifier was trained on (familiarity {familiarity:.2f})"
        return Classed(UNSURE, classes[likeliest], why, is_unfamiliar=True)
    if name == UNSURE:
        why = f"the likeliest class is {likeliest} with {classes[likeliest]:.2f}, under abstain_below: {rule.abstain_below:g}"
        return Classed(UNSURE, classes[likeliest], why)
    return Classed(name, classes[name])


def _split(classes: Mapping[str, float], strong_above: float, skip_from: float) -> str:
    if classes.get("skip", 0.0) >= skip_from:
        return "skip"
    small, strong = classes.get("small", 0.0), classes.get("strong", 0.0)
    share = strong / (small + strong) if small + strong > 0 else 1.0
    return "strong" if share >= strong_above else "small"
