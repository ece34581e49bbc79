"""Metrics and calibration against cases done by hand."""

import numpy as np
import pytest

from classifiers.measure.metrics import classification, expected_calibration_error, log_loss, precision_at
from classifiers.measure.routing_metrics import apgr
from classifiers.shipped.calibrate import calibrate
from classifiers.shipped.softmax import softmax


def test_apgr_of_a_constant_score_is_one_half():
    assert apgr(np.zeros(4), np.array([1.0, 0, 0, 1]), np.array([1.0, 1, 0, 1])) == pytest.approx(0.5)


def test_apgr_of_the_one_gaining_prompt_found_first_is_seven_eighths():
    assert apgr(np.array([0.0, 9, 0, 0]), np.array([1.0, 0, 0, 1]), np.array([1.0, 1, 0, 1])) == pytest.approx(0.875)


def test_ece_is_the_gap_of_each_bin_weighted():
    confidence, is_right = np.array([0.9, 0.9, 0.5, 0.5]), np.array([True, False, True, True])
    assert expected_calibration_error(confidence, is_right, np.ones(4)) == pytest.approx((0.4 + 0.5) / 2)
    assert expected_calibration_error(confidence, is_right, np.array([1.0, 1, 0, 0])) == pytest.approx(0.4)


def test_log_loss_of_an_even_guess_is_ln_two():
    assert log_loss(np.full((3, 2), 0.5), np.array([0, 1, 1]), np.ones(3)) == pytest.approx(np.log(2))


def test_classification_counts_what_is_said_of_what_is():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.49, 0.51]])
    report = classification(probabilities, np.array([0, 0, 1, 1]), np.ones(4), ("a", "b"), abstain_below=0.55)
    assert report["confusion"] == [[1, 1], [0, 2]]
    assert report["accuracy"] == 0.75
    assert report["by_class"]["b"] == {"rows": 2, "precision": pytest.approx(2 / 3), "recall": 1.0}
    assert (report["coverage"], report["accuracy_when_kept"]) == (0.75, pytest.approx(2 / 3))


def test_precision_of_nothing_taken_is_none():
    nothing = precision_at(np.array([0.1]), np.array([True]), 0.9)
    assert (nothing["rows"], nothing["precision"], nothing["recall"]) == (0, None, 0.0)


def test_calibration_finds_the_scale_and_bias_that_made_the_labels():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=2, size=(6_000, 3))
    truth = softmax(0.5 * logits + [0.3, 0, -0.3])
    labels = np.array([rng.choice(3, p=row) for row in truth])
    found = calibrate(logits, labels, np.ones(len(labels)))
    assert found.scale == pytest.approx(0.5, abs=0.05)
    assert found.bias == pytest.approx([0.3, 0, -0.3], abs=0.08)
    before, after = softmax(logits), found.apply(logits)
    assert log_loss(after, labels, np.ones(len(labels))) < log_loss(before, labels, np.ones(len(labels)))


def test_softmax_of_large_logits_is_finite():
    assert softmax(np.array([1e4, 0.0])) == pytest.approx([1, 0])
