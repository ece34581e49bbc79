"""The shipped classifier keeps its word on prompts whose class is beyond doubt, however they are written.

A hard prompt (a proof, law, medicine, security, hard code) is never called `small` or `skip`, an easy one never
`strong`; form alone decides nothing. Below the threshold it says `unsure`, and then the policy decides.
"""

import json
import re
from collections import Counter

import numpy as np
import pytest

from classifiers.shipped.perturb import KINDS
from classifiers.shipped.robustness import PLAIN, Regression, flips, judge, pairs, read_regressions
from classifiers.shipped.sources import EXTRA

SEED = 0
FLIP_SHARE_MAX = 0.02
EASY_CALLED_STRONG_SHARE_MAX = 0.02
KNOWN_MAX = 3
HARD = ("proof", "law", "clinical", "security", "code")


@pytest.fixture(scope="module")
def verdicts(shipped):
    return judge(shipped, read_regressions(), SEED)


def _listed(verdicts):
    return [f"{v.regression.kind}/{v.variation}: {v.decided} {v.confidence:.2f} {v.text[:80]!r}" for v in verdicts]


def _cases(verdicts, forbidden, is_varied):
    return [v for v in verdicts if forbidden in v.regression.forbidden and (v.variation != PLAIN) == is_varied]


@pytest.mark.parametrize("variation", [PLAIN, *KINDS])
def test_no_hard_prompt_is_called_easy(verdicts, variation):
    mine = [v for v in verdicts if v.variation == variation and "small" in v.regression.forbidden]
    assert mine
    assert _listed(v for v in mine if v.is_violation and not v.regression.is_known) == []


def test_the_hard_prompts_known_to_be_called_easy_are_few_and_only_in_other_words(verdicts):
    known = {v.regression.prompt for v in verdicts if v.regression.is_known}
    assert len(known) <= KNOWN_MAX
    assert {v.regression.prompt for v in verdicts if v.is_violation and v.regression.is_known} == known
    assert [v.text for v in verdicts if v.regression.is_known and v.variation == PLAIN and v.is_violation] == []


def test_no_easy_prompt_is_called_strong(verdicts):
    assert _listed(v for v in _cases(verdicts, "strong", is_varied=False) if v.is_violation) == []


def test_few_easy_prompts_are_called_strong_in_other_words(verdicts):
    varied = _cases(verdicts, "strong", is_varied=True)
    wrong = [v for v in varied if v.is_violation]
    assert len(wrong) <= EASY_CALLED_STRONG_SHARE_MAX * len(varied), _listed(wrong)


def test_form_alone_does_not_decide(verdicts):
    flipped = flips(verdicts)
    listed = [f"{plain.decided} to {varied.decided}, {varied.variation}: {varied.text[:80]!r}" for plain, varied in flipped]
    assert len(flipped) / len(pairs(verdicts)) <= FLIP_SHARE_MAX, listed


def test_most_prompts_are_decided(verdicts):
    # A classifier that is never sure would pass all of the above.
    plain = [v for v in verdicts if v.variation == PLAIN]
    for is_hard in (True, False):
        decided = [v.decided != "unsure" for v in plain if (v.regression.kind in HARD) == is_hard]
        assert sum(decided) >= 0.85 * len(decided)


class Shouting:
    """Says `small`, but `strong` of what is all in capitals and nothing sure of what ends in a brace."""

    classes_ = ("small", "strong")

    def predict_proba(self, X):
        return np.array([[0.5, 0.5] if text.endswith("}") else [0.1, 0.9] if text.isupper() else [0.9, 0.1] for text in X])


def test_a_flip_is_a_change_between_decided_classes_and_a_wrong_class_one_that_is_forbidden():
    regression = Regression("Name the boiling point of tin.", "lookup", frozenset({"strong"}))
    verdicts = judge(Shouting(), [regression])
    assert [(plain.variation, varied.variation) for plain, varied in flips(verdicts)] == [(PLAIN, "upper")]
    assert [v.variation for v in verdicts if v.is_violation] == ["upper"]
    assert [v.variation for v in verdicts if v.decided == "unsure"] == ["json_template"]
    assert len(pairs(verdicts)) == len(verdicts) - 1


def test_the_set_covers_each_kind_in_english_and_other_languages():
    regressions = read_regressions()
    assert len({r.prompt.casefold() for r in regressions}) == len(regressions) >= 240
    counted = Counter(r.kind for r in regressions)
    assert all(counted[kind] >= 20 for kind in HARD)
    assert {r.forbidden for r in regressions if r.kind in HARD} == {frozenset({"small", "skip"})}
    assert {r.forbidden for r in regressions if r.kind not in HARD} == {frozenset({"strong"})}
    assert sum(not r.prompt.isascii() for r in regressions) >= 0.2 * len(regressions)


def _grams(text):
    plain = re.sub(r"\W+", " ", f" {text.casefold()} ")
    return {plain[i : i + 4] for i in range(len(plain) - 3)}


def test_no_prompt_of_the_set_is_nearly_a_training_row():
    rows = [(row["text"], _grams(row["text"])) for row in map(json.loads, EXTRA.read_text("utf-8").splitlines())]
    near = []
    for regression in read_regressions():
        wanted = _grams(regression.prompt)
        near += [(regression.prompt, text) for text, has in rows if len(wanted & has) > 0.65 * len(wanted | has)]
    assert near == []
