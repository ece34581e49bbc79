"""Calibration: one temperature and a bias per class, fitted on predictions for rows the model had not seen."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Probabilities, Weights
from classifiers.shipped.softmax import softmax

NEWTON_STEPS_MAX: Final = 50
RIDGE: Final = 1e-6  # the biases are determined only up to a constant


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps logits z to scale * z + bias. A scale under 1 makes the model less sure."""

    scale: float
    bias: npt.NDArray[np.float64]  # (k,)

    def apply(self, logits: npt.NDArray[np.float64]) -> Probabilities:
        """(n, k) logits, or logarithms of probabilities, to (n, k) calibrated probabilities."""
        return softmax(self.scale * logits + self.bias)


def calibrate(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.intp], weights: Weights) -> Calibration:
    """The calibration of least weighted log loss, by Newton's method.

    logits: (n, k) of rows held out when the model was fitted. labels: (n,) column numbers. weights: (n,).
    Guo et al., "On Calibration of Modern Neural Networks" (2017), 4.2; the bias after Alexandari et al. (2020).
    """
    n, k = logits.shape
    target = np.eye(k)[labels]
    share = weights / weights.sum()
    jacobian = np.concatenate([logits[:, :, None], np.broadcast_to(np.eye(k), (n, k, k))], axis=2)  # (n, k, 1 + k)
    theta = np.append(1.0, np.zeros(k))
    for _ in range(NEWTON_STEPS_MAX):
        p = softmax(jacobian @ theta)
        slope = np.einsum("n,nk,nkt->t", share, p - target, jacobian)
        mean = np.einsum("nk,nkt->nt", p, jacobian)
        curve = np.einsum("n,nk,nks,nkt->st", share, p, jacobian, jacobian, optimize=True)
        curve -= np.einsum("n,ns,nt->st", share, mean, mean)
        step = np.linalg.solve(curve + RIDGE * np.eye(1 + k), slope)
        theta -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    return Calibration(float(theta[0]), theta[1:] - theta[1:].mean())
