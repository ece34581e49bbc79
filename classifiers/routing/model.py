"""Is the strong model worth it? A fitted model that ranks prompts by what the strong model would gain. numpy only.

Three regressions look at a text: a linear one on n-grams, a kernel one on hand features, a forest on hand features and
embedding. Their mean estimates a few traits of the prompt: the gain of the strong model over the weak one, how easy
the prompt is, and what else sets the models apart. The gain ranks; each model's quality is a linear function of the
traits, so a new model joins with a handful of graded answers. `routing_fit` makes these models, `routing_arrays` turns
them into plain arrays and back.

Gain is ranked, not the better model picked, after Ong et al., "RouteLLM" (arXiv 2406.18665). Traits after item response
theory: few latent traits a prompt, one ability a model for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Ids, Vector
from classifiers.routing.calibrate_gain import probability
from classifiers.routing.regressions import Regressions
from classifiers.routing.rows import answer
from classifiers.routing.views import View, view

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

GAIN: Final = 0  # the first trait
# What was learned of other prompts says little of one unlike them all; there, effort counts beside it. Measured on pairs
# of sets, trained on one and asked about the other: mean APGR 0.52 without, 0.54 with; at home up to 0.01 less.
STRANGE_BELOW: Final = 0.05  # familiarity
EFFORT_WEIGHT: Final = 1.0  # deviations of the gain for a deviation of effort
EFFORT_MAX: Final = 1.5  # a long text among short ones is odd, not that much harder
# A newcomer's answers pull against the mean of the models known: an offset weighs as much as 2 answers, a trait as 20.
OFFSET_PRIOR: Final = 2.0
TRAIT_PRIOR: Final = 20.0


class TokenEmbedder(Protocol):
    """What `StaticEmbedder` offers that the routing model needs."""

    @property
    def name(self) -> str: ...

    def window(self, text: str) -> tuple[Ids, bool]:
        """The token ids that count, and whether they are all of the text."""
        ...

    def encode_ids(self, ids: Ids) -> Vector:
        """(d,) float32 of length 1 of tokens that `window` gave; all zero for none."""
        ...


@dataclass(frozen=True, slots=True)
class Routing:
    """What is expected of one prompt.

    gain_rank: expected quality of the strong model less that of the weak one; higher means the strong model.
    p_strong: calibrated probability that the strong model answers better; rises with gain_rank.
    quality: expected quality of each model, 0 to 1. familiarity: share of the training prompts that are at most as like
    their fellows as this one is; near 0 for a prompt unlike any.
    """

    gain_rank: float
    p_strong: float
    quality: dict[str, float]
    familiarity: float


@dataclass(frozen=True, slots=True)
class RoutingModel:
    """Safe to share between threads: nothing changes after construction.

    k outputs of each regression, t traits. mix: (3k, t) and trait_bias: (t,) from the regressions' outputs to traits.
    calibration: (b, 2) gains and the log odds there.
    trait_scale: (t,) deviation of each trait. effort_weight: (1,) of effort at home, in deviations of the gain; the fewer
    the training rows, the more. quality_weights: (len(models), 1 + t), offset first, of scaled traits.
    familiarity_steps: ascending likeness to the nearest landmark at equal shares of the training prompts.
    """

    models: tuple[str, ...]
    weak: str
    strong: str
    regressions: Regressions
    mix: Singles
    trait_bias: Singles
    trait_scale: Singles
    effort_weight: Singles
    calibration: Floats
    quality_weights: Floats
    familiarity_steps: Singles
    embedder: TokenEmbedder

    def score(self, text: str) -> Routing:
        """What to expect of the text."""
        ids, _ = self.embedder.window(text)
        return self.score_view(view(text, ids, self.embedder.encode_ids(ids)))

    def score_many(self, texts: Sequence[str]) -> list[Routing]:
        """`score` of each text, in order. One thread; about a millisecond a text."""
        return [self.score(text) for text in texts]

    def score_view(self, seen: View) -> Routing:
        """What to expect of a text that has been looked at."""
        traits, familiarity = self.traits(seen)
        gain = float(traits[GAIN])
        return Routing(
            gain_rank=gain,
            p_strong=probability(self.calibration, gain),
            quality=dict(zip(self.models, qualities(self.quality_weights, traits / self.trait_scale).tolist(), strict=True)),
            familiarity=familiarity,
        )

    def traits(self, seen: View) -> tuple[Floats, float]:
        """(t,) traits of a text, and its familiarity."""
        outputs, nearest, effort = self.regressions.predict(seen)
        traits = (outputs @ self.mix + self.trait_bias).astype(np.float64)
        familiarity = float(np.interp(nearest, self.familiarity_steps, _shares(len(self.familiarity_steps))))
        strangeness = max(0.0, 1 - familiarity / STRANGE_BELOW)
        weight = max(float(self.effort_weight[0]), strangeness * EFFORT_WEIGHT)
        traits[GAIN] += weight * min(max(effort, -EFFORT_MAX), EFFORT_MAX) * float(self.trait_scale[GAIN])
        return traits, familiarity


@lru_cache
def _shares(steps: int) -> Floats:
    """(steps,) from 0 to 1. Not to be written to: it is shared."""
    shares = np.linspace(0.0, 1.0, steps)
    shares.flags.writeable = False
    return shares


def qualities(weights: Floats, scaled: Floats) -> Floats:
    """(models, 1 + t) and (..., t) scaled traits to (..., models) expected quality, in [0, 1]."""
    clipped: Floats = np.minimum(np.maximum(weights[:, 0] + scaled @ weights[:, 1:].T, 0.0), 1.0)
    return clipped


def fit_quality(scaled: Floats, quality: Floats, prior: Floats) -> Floats:
    """(1 + t,) offset and weights of one model: ridge regression towards `prior`.

    scaled: (n, t) traits divided by their deviation. quality: (n,) in [0, 1].
    """
    columns = np.column_stack((np.ones(len(scaled)), scaled))
    pull = np.diag([OFFSET_PRIOR] + [TRAIT_PRIOR] * scaled.shape[1])
    return np.linalg.solve(columns.T @ columns + pull, columns.T @ quality + pull @ prior).astype(np.float64)


def add_model(model: RoutingModel, rows: Sequence[Mapping[str, object]], name: str) -> RoutingModel:
    """The model with one more name in `models`, or with that name's weights anew; nothing else is refitted.

    rows: `{prompt, q}` as for training, some 20 to 50 of which grade `name`. With few rows the newcomer behaves like the
    mean of the models known, moved to its own mean quality. Raises ValueError if no row grades it, or a grade is not
    from 0 to 1.
    """
    graded = [(prompt, grade) for prompt, grade in (answer(row, name, n) for n, row in enumerate(rows, 1)) if grade is not None]
    if not graded:
        raise ValueError(f"no row grades '{name}': give some 20 to 50 of its answers a quality from 0 to 1")
    tokens = [model.embedder.window(text)[0] for text, _ in graded]
    views = [view(text, ids, model.embedder.encode_ids(ids)) for (text, _), ids in zip(graded, tokens, strict=True)]
    scaled = np.stack([model.traits(seen)[0] for seen in views]) / model.trait_scale
    others = [n for n, known in enumerate(model.models) if known != name]
    prior = model.quality_weights[others].mean(axis=0)
    weights = fit_quality(scaled, np.array([grade for _, grade in graded]), prior)
    kept = model.quality_weights[others]
    models = tuple(model.models[n] for n in others)
    return replace(model, models=(*models, name), quality_weights=np.vstack((kept, weights)))
