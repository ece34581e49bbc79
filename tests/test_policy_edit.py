"""A number is put into a policy file; nothing else in it changes."""

import pytest
import yaml

from gateway.cli.policy_edit import set_classifier_number


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("classifier: {}\nroutes: []\n", "classifier: {strong_above: 0.420000}\nroutes: []\n"),
        ("classifier: {artifact: mine}  # ours\n", "classifier: {artifact: mine, strong_above: 0.420000}  # ours\n"),
        ("classifier: {strong_above: 0.9, max_ms: 5}\n", "classifier: {strong_above: 0.420000, max_ms: 5}\n"),
        (
            "a: 1\nclassifier:\n    artifact: mine   # a folder\n\n    max_ms: 5\nroutes: []\n",
            "a: 1\nclassifier:\n    strong_above: 0.420000\n    artifact: mine   # a folder\n\n    max_ms: 5\nroutes: []\n",
        ),
        (
            "classifier:  # which\n  # why\n  strong_above: 0.9  # as measured\n  max_ms: 5\n",
            "classifier:  # which\n  # why\n  strong_above: 0.420000  # as measured\n  max_ms: 5\n",
        ),
        ("classifier:\n  artifact: mine", "classifier:\n  strong_above: 0.420000\n  artifact: mine"),
    ],
)
def test_one_number_changes_and_the_rest_stays(before: str, after: str) -> None:
    assert set_classifier_number(before, "strong_above", 0.42) == after
    assert yaml.safe_load(after)["classifier"]["strong_above"] == 0.42


def test_an_abstain_threshold_with_a_longer_name_is_left_alone() -> None:
    text = "classifier: {intent_above: 0.9}\n"
    assert set_classifier_number(text, "strong_above", 0.5) == "classifier: {intent_above: 0.9, strong_above: 0.500000}\n"


@pytest.mark.parametrize("text", ["routes: []\n", "classifier: &x {a: {b: 1}}\n"])
def test_what_cannot_be_edited_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="strong_above"):
        set_classifier_number(text, "strong_above", 0.5)
