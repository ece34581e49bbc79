"""How firmly a classifier keeps to its class: on prompts whose class is beyond doubt, and on variants of them.

The prompts are the project's own and no part of training. Read by the tests and by benchmarks/robustness.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifiers.base import Scorer
from classifiers.shipped.perturb import HELD_OUT, variants

REGRESSIONS: Final = Path(__file__).with_name("regressions.jsonl")
ABSTAIN_BELOW: Final = 0.55  # as in the default policy
UNSURE: Final = "unsure"
PLAIN: Final = "plain"  # the kind of the prompt as it stands
SMALL_TALK: Final = "small_talk"


@dataclass(frozen=True, slots=True)
class Regression:
    """A prompt and the classes it must never get: a hard one `small` and `skip`, an easy one `strong`.

    is_known: the shipped classifier is known to get it wrong in some variant; stands in the file, so that all can see it.
    """

    prompt: str
    kind: str
    forbidden: frozenset[str]
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier said of one variant of a regression. decided: a class, or `unsure` below the threshold."""

    regression: Regression
    variation: str  # a key of perturb.KINDS, or PLAIN
    text: str
    decided: str
    confidence: float

    @property
    def is_violation(self) -> bool:
        return self.decided in self.regression.forbidden


def read_regressions(path: Path = REGRESSIONS) -> list[Regression]:
    """The prompts in file order."""
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [Regression(row["prompt"], row["kind"], frozenset(row["not"]), row.get("known", False)) for row in rows]


def judge(
    classifier: Scorer[Sequence[str]],
    regressions: Sequence[Regression],
    seed: int = 0,
    half: int = HELD_OUT,
    abstain_below: float = ABSTAIN_BELOW,
) -> list[Verdict]:
    """What the classifier says of every prompt, first as it stands and then varied in each way that suits it."""
    cases: list[tuple[Regression, str, str]] = []
    for regression in regressions:
        cases.append((regression, PLAIN, regression.prompt))
        varied = variants(regression.prompt, seed, half, regression.kind == SMALL_TALK)
        cases.extend((regression, variation, text) for variation, text in varied.items())
    probabilities = classifier.predict_proba([text for _, _, text in cases])
    verdicts = []
    for case, row in zip(cases, probabilities, strict=True):
        best = int(row.argmax())
        confidence = float(row[best])
        decided = classifier.classes_[best] if confidence >= abstain_below else UNSURE
        verdicts.append(Verdict(*case, decided, confidence))
    return verdicts


def flips(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, Verdict]]:
    """(plain, varied) where both are decided and differ. To become unsure is no flip: then the policy decides."""
    return [(plain, varied) for plain, varied in pairs(verdicts) if varied.decided not in (plain.decided, UNSURE)]


def pairs(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, Verdict]]:
    """(plain, varied) for every variant of a prompt that was decided as it stands."""
    plain = {verdict.regression.prompt: verdict for verdict in verdicts if verdict.variation == PLAIN}
    return [
        (plain[verdict.regression.prompt], verdict)
        for verdict in verdicts
        if verdict.variation != PLAIN and plain[verdict.regression.prompt].decided != UNSURE
    ]
