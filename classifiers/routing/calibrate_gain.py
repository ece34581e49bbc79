"""From an expected gain to the probability that the strong model answers better. numpy only.

A logistic curve alone bends too little where prompts of several kinds are pooled (measured: expected calibration error
0.07 on a mixture of tasks), bins alone are noise with few rows: each bin is pulled towards the curve.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROWS_A_BIN: Final = 60
BINS_MAX: Final = 24
CURVE_ROWS: Final = 15.0  # the curve speaks in a bin like this many rows
NEWTON_STEPS_MAX: Final = 50
SLOPE_MIN: Final = 1e-3
REACH: Final = 20.0  # deviations beyond the outer bins that the curve's slope is followed
ODDS_MAX: Final = 12.0
# Of the curve's slope, kept where bins are pooled: a threshold on the probability must be able to part any two gains.
TILT: Final = 0.05


def probability(knots: Floats, gain: float) -> float:
    """The probability, within (0, 1), at a gain. knots: (b, 2) ascending gains and their log odds, joined by lines."""
    return float(1 / (1 + np.exp(-np.interp(gain, knots[:, 0], knots[:, 1]))))


def calibrate_gain(gain: Floats, is_better: npt.NDArray[np.bool_]) -> Floats:
    """(b, 2) knots for `probability`, neither column descending.

    gain: (n,) expected for rows held out when the model was fitted. is_better: (n,) whether the gain came true.
    """
    unit = max(float(gain.std()), 1e-9)
    slope, offset = _curve(gain / unit, is_better)
    order = np.argsort(gain, kind="stable")
    bins = np.array_split(order, int(np.clip(len(gain) // ROWS_A_BIN, 1, BINS_MAX)))
    centre = np.array([gain[rows].mean() for rows in bins])
    size = np.array([len(rows) for rows in bins], np.float64)
    curve = 1 / (1 + np.exp(-np.clip(slope * centre / unit + offset, -ODDS_MAX, ODDS_MAX)))
    share = (np.array([is_better[rows].sum() for rows in bins]) + CURVE_ROWS * curve) / (size + CURVE_ROWS)
    share = np.clip(_ascending(share, size), 1e-5, 1 - 1e-5)
    odds = np.log(share / (1 - share)) + TILT * slope * (centre - centre.mean()) / unit
    ends = np.array([centre[0] - REACH * unit, centre[-1] + REACH * unit])
    beyond = np.clip([odds[0] - slope * REACH, odds[-1] + slope * REACH], -ODDS_MAX, ODDS_MAX)
    knots: Floats = np.column_stack((np.r_[ends[0], centre, ends[1]], np.r_[beyond[0], odds, beyond[1]]))
    return knots


def _curve(scaled: Floats, is_better: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope, above 0, and offset of the log odds: logistic regression with softened labels.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999). A gain that says nothing of unseen rows gets a slope
    near 0: the same probability for all.
    """
    better = int(is_better.sum())
    label = np.where(is_better, (better + 1) / (better + 2), 1 / (len(scaled) - better + 2))
    flat = float(np.log(label.mean() / (1 - label.mean())))
    columns = np.column_stack((scaled, np.ones(len(scaled))))
    theta = np.array([0.0, flat])
    for _ in range(NEWTON_STEPS_MAX):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta, -30, 30)))
        curvature = columns.T @ (columns * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, columns.T @ (p - label))
        theta -= np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-9:
            break
    return (float(theta[0]), float(theta[1])) if theta[0] >= SLOPE_MIN else (SLOPE_MIN, flat)


def _ascending(values: Floats, weights: Floats) -> Floats:
    """The nearest values that never descend, by pooling neighbours that do (Ayer et al., 1955)."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, count = value, weight, 1
        while pools and pools[-1][0] >= mean:
            before, weighed, many = pools.pop()
            mean = (mean * total + before * weighed) / (total + weighed)
            total, count = total + weighed, count + many
        pools.append((mean, total, count))
    return np.repeat([mean for mean, _, _ in pools], [count for _, _, count in pools])
