"""What audits and feedback teach: by how much a route's, or an entry's, pairs are likelier or less likely the same than scored.

The idea of a threshold of its own for every entry, learned from what was observed of it, is vCache's (Schroeder et al.,
arXiv 2502.03771). Here each subject has an offset on the verifier's log-odds, which starts at 0 and moves with evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from gateway.cache.base import Observation

ROUTE_SD: Final = 1.0
"""Prior standard deviation of a route's offset, in log-odds: how far the shipped curve may be off on other traffic."""
ENTRY_SD: Final = 1.5
OFFSET_MAX: Final = 2.0
"""Evidence loosens an entry by no more than this, however much there is: what was seen says little of pairs unlike it."""
ROUTE_OFFSET_MAX: Final = 0.5
"""And a route by less, which other callers share."""
STEPS: Final = 12
LOG_ODDS_MAX: Final = 12.0
OBJECTION_STEP: Final = 1.0
"""Log-odds that each counter-example close to the question asks for on top."""


def route_subject(route: str) -> bytes:
    """What a route's observations are kept under: of hits, and of near misses."""
    return b"route:" + route.encode()


def audit_subject(route: str) -> bytes:
    """What the verdicts on a route's audited hits are kept under: the measure of its precision, and nothing else."""
    return b"audit:" + route.encode()


def log_odds(probability: float) -> float:
    """Bounded, so that 0 and 1 are numbers too."""
    if probability <= 0.0:
        return -LOG_ODDS_MAX
    if probability >= 1.0:
        return LOG_ODDS_MAX
    return min(max(math.log(probability / (1.0 - probability)), -LOG_ODDS_MAX), LOG_ODDS_MAX)


def offset(observations: Sequence[Observation], prior_sd: float) -> float:
    """What to add to the log-odds of a score, in [-LOG_ODDS_MAX, OFFSET_MAX]; 0 where nothing was observed.

    Of P(same | score) = sigmoid(log_odds(score) + offset) with offset ~ N(0, prior_sd²): the mode of the posterior, less
    what uncertainty is left of the prior's where it would loosen, so that a few lucky hits do not. Newton's method on a
    concave function of one variable.
    """
    if not observations:
        return 0.0
    points = [(log_odds(seen.score), float(seen.is_same)) for seen in observations]
    precision = 1.0 / (prior_sd * prior_sd)
    at, curvature = 0.0, precision
    for _ in range(STEPS):
        slope, curvature = -precision * at, precision
        for x, y in points:
            p = 1.0 / (1.0 + math.exp(-max(min(x + at, 30.0), -30.0)))
            slope += y - p
            curvature += p * (1.0 - p)
        step = slope / curvature
        at += max(min(step, 2.0), -2.0)
        if abs(step) < 1e-6:
            break
    if at > 0.0:
        at = max(at - math.sqrt(1.0 / curvature), 0.0)
    return max(min(at, OFFSET_MAX), -LOG_ODDS_MAX)
