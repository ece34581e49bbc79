"""Fit a routing model to graded prompts. Training only: imports scikit-learn and scipy.

Each regression predicts every row once without having seen it or its near-duplicates; how the regressions are mixed,
the calibration, and each model's abilities are read off these held-out predictions. What is served is fitted on all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from classifiers.base import Ids
from classifiers.routing.calibrate_gain import calibrate_gain, probability
from classifiers.routing.model import EFFORT_MAX, GAIN, RoutingModel, TokenEmbedder, fit_quality, qualities
from classifiers.routing.near_duplicates import group_near_duplicates
from classifiers.routing.parts import Looked, fit_regressions
from classifiers.routing.regressions import COUNT, Regressions
from classifiers.routing.rows import Graded, graded
from classifiers.routing.views import view

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int, str], None]

FOLDS: Final = 5
# A topic's mean gain tells as much as its rows do; of a topic with 20 rows half is believed.
TOPIC_PRIOR: Final = 20.0
TOPIC_SHARE: Final = 0.5  # of the gain's own weight; 0.3 to 1 measure alike
# Of n-grams, kernel, forest. Against equal votes: 0.013 APGR more with 600 rows, 0.004 with 250, 0.002 less with 2,800.
VOTES: Final = (2.0, 1.0, 1.0)
LATENT_TRAITS: Final = 2
# What a few labels cannot tell, the effort that a prompt asks for does: it weighs as much as this many rows would. With 250
# labels of MMLU it lifts the mean APGR from 0.59 to 0.62, with 600 of GSM8K by 0.01; with thousands it is next to nothing.
EFFORT_ROWS: Final = 300
EFFORT_WEIGHT_MAX: Final = 1.2  # deviations of the gain for one of effort
LATENT_MODELS_MIN: Final = 3
FAMILIARITY_STEPS: Final = 65
SLOPE_MIN: Final = 1e-3  # of a trait that could not be learned: held-out predictions then say nothing


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, and what it says of its own rows without having seen them. n rows, columns as `model.models`.

    gain, p_strong: (n,). predicted, true: (n, m) quality, true is nan where a model gave no answer.
    """

    model: RoutingModel
    prompts: list[str]
    gain: Floats
    p_strong: Floats
    predicted: Floats
    true: Floats


def fit_routing(
    rows: Sequence[Mapping[str, Any]],
    weak: str,
    strong: str,
    *,
    seed: int = 0,
    embedder: TokenEmbedder,
    progress: Progress | None = None,
) -> Fitted:
    """A model that ranks prompts by the gain of `strong` over `weak`; the same for the same rows and seed.

    rows: `{prompt, q: {model: quality 0..1}}`; those that grade both models are used, with all the models they grade, and
    with `subject`, `topic`, `category` or `task` as a hint if they name one. progress: told (steps done, steps in all,
    what comes next). Takes some minutes for 8,000 rows on one core.
    Raises ValueError, saying what is wrong, for rows that cannot be learned from.
    """
    tell = progress or (lambda done, total, what: None)
    data = graded(rows, weak, strong)
    n, total = len(data.prompts), FOLDS + 2
    tell(0, total, f"looking at {n} prompts")
    tokens = [embedder.window(prompt)[0] for prompt in data.prompts]
    views = [view(text, ids, embedder.encode_ids(ids)) for text, ids in zip(data.prompts, tokens, strict=True)]
    looked = Looked(views)
    folds = _folds(tokens, seed)
    traits, topics = _traits(data, weak, strong), _topics(data)
    held_out, effort = np.zeros((n, 0)), np.zeros(n)
    with threadpool_limits(1):
        for fold in range(FOLDS):
            tell(1 + fold, total, f"fitting without part {fold + 1} of {FOLDS}")
            seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            regressions = fit_regressions(looked, seen, _targets(traits[seen], topics[seen]), seed)
            found = [regressions.predict(views[row]) for row in unseen]
            if not held_out.size:
                held_out = np.zeros((n, len(found[0][0])))
            held_out[unseen] = [outputs for outputs, _, _ in found]
            effort[unseen] = [one for _, _, one in found]
        tell(1 + FOLDS, total, "fitting on all")
        whole = fit_regressions(looked, np.arange(n), _targets(traits, topics), seed)
    mix, bias = _mix(held_out, traits, len(np.unique(topics)) > 1)
    expected = held_out @ mix + bias
    scale = np.maximum(expected.std(axis=0), 1e-9)
    effort_weight = min(EFFORT_ROWS / n, EFFORT_WEIGHT_MAX) / max(float(effort.std()), 1e-3)
    expected[:, GAIN] += effort_weight * np.clip(effort, -EFFORT_MAX, EFFORT_MAX) * scale[GAIN]
    quality = [_ability(expected / scale, data.of(model)) for model in data.models]
    tell(total, total, "done")
    model = RoutingModel(
        models=data.models,
        weak=weak,
        strong=strong,
        regressions=whole,
        mix=mix.astype(np.float32),
        trait_bias=bias.astype(np.float32),
        trait_scale=scale.astype(np.float32),
        effort_weight=np.array([effort_weight], np.float32),
        calibration=calibrate_gain(expected[:, GAIN], traits[:, GAIN] > 0),
        quality_weights=np.array(quality),
        familiarity_steps=_familiarity(looked, whole),
        embedder=embedder,
    )
    gain = expected[:, GAIN]
    p_strong = np.array([probability(model.calibration, one) for one in gain.tolist()])
    return Fitted(model, data.prompts, gain, p_strong, qualities(model.quality_weights, expected / scale), data.quality)


def _folds(tokens: Sequence[Ids], seed: int) -> npt.NDArray[np.intp]:
    """(n,) the fold in which a row is held out. Near-duplicates are held out together; folds are of about one size."""
    group = group_near_duplicates(tokens)
    groups, sizes = np.unique(group, return_counts=True)
    if len(groups) < FOLDS:
        raise ValueError(f"the prompts are near-duplicates of {len(groups)}; at least {FOLDS} that differ are needed")
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    fold_of = np.zeros(len(group), np.intp)
    filled = np.zeros(FOLDS, np.int64)
    for g in sorted(shuffled.tolist(), key=lambda g: -int(sizes[g])):
        smallest = int(filled.argmin())
        fold_of[groups[g]] = smallest
        filled[smallest] += sizes[g]
    return fold_of[group]


def _traits(data: Graded, weak: str, strong: str) -> Floats:
    """(n, t) what each prompt showed: the gain, how easy it was for the models asked, and up to two more.

    The others are principal components of what gain and ease leave unsaid, where three models or more were asked.
    """
    gain = data.of(strong) - data.of(weak)
    about = data.quality - np.nanmean(data.quality, axis=0)
    ease = np.nanmean(about, axis=1)
    columns = [gain, ease]
    common = np.isfinite(data.quality).mean(axis=0) > 0.5
    if common.sum() >= LATENT_MODELS_MIN:
        rest = np.nan_to_num(about[:, common] - ease[:, None])
        models = [model for model, is_common in zip(data.models, common, strict=True) if is_common]
        told = (np.array([model == strong for model in models]) - np.array([model == weak for model in models], float)) / 2**0.5
        rest -= np.outer(rest @ told, told)
        _, directions = np.linalg.eigh(rest.T @ rest)
        columns += list((rest @ directions[:, ::-1][:, : min(LATENT_TRAITS, len(models) - 2)]).T)
    return np.column_stack(columns)


def _topics(data: Graded) -> npt.NDArray[np.intp]:
    """(n,) a number for each row's topic; all 0 if fewer than two topics are named."""
    names = ["" if topic is None else topic for topic in data.topics]
    _, numbers = np.unique(names, return_inverse=True)
    return numbers.astype(np.intp)


def _targets(traits: Floats, topics: npt.NDArray[np.intp]) -> Floats:
    """(n, t + 1) the traits and, as a less noisy look at the gain, the mean gain of each row's topic."""
    gain = traits[:, GAIN]
    rows = np.bincount(topics)
    mean = (np.bincount(topics, gain) + TOPIC_PRIOR * gain.mean()) / (rows + TOPIC_PRIOR)
    return np.column_stack((traits, mean[topics]))


def _mix(held_out: Floats, traits: Floats, has_topics: bool) -> tuple[Floats, Floats]:
    """(3k, t) and (t,) from the regressions' outputs to traits, by their held-out predictions.

    Each regression's outputs are divided by their deviation, then averaged by VOTES, then put on the trait's own scale.
    The votes are fixed: a few hundred noisy gains cannot tell which regression is better.
    """
    k = held_out.shape[1] // COUNT
    t = traits.shape[1]
    mix = np.zeros((COUNT * k, t))
    unit = 1 / np.maximum(held_out.std(axis=0), 1e-9)
    for part in range(COUNT):
        own = np.arange(t) + part * k
        mix[own, np.arange(t)] = VOTES[part] * unit[own]
        # Without topics that output is each fold's mean gain, which falls where the held-out gain is high.
        if has_topics:
            mix[part * k + t, GAIN] = TOPIC_SHARE * unit[part * k + t]
        gain = held_out[:, part * k : (part + 1) * k] @ mix[part * k : (part + 1) * k, GAIN]
        mix[part * k : (part + 1) * k, GAIN] *= VOTES[part] / max(float(gain.std()), 1e-9)
    bias = np.zeros(t)
    for trait in range(t):
        voted = held_out @ mix[:, trait]
        slope = float(np.cov(voted, traits[:, trait])[0, 1]) / max(float(voted.var()), 1e-12)
        mix[:, trait] *= max(slope, SLOPE_MIN)
        bias[trait] = traits[:, trait].mean() - float((held_out @ mix[:, trait]).mean())
    return mix, bias


def _ability(scaled: Floats, quality: Floats) -> Floats:
    """(1 + t,) how one model's quality follows the traits, from the rows it was asked."""
    asked = np.isfinite(quality)
    prior = np.append(quality[asked].mean(), np.zeros(scaled.shape[1]))
    return fit_quality(scaled[asked], quality[asked], prior)


def _familiarity(looked: Looked, regressions: Regressions) -> npt.NDArray[np.float32]:
    """(FAMILIARITY_STEPS,) ascending likeness of training rows to the nearest landmark other than themselves."""
    kernel = regressions.kernel
    nearest = [kernel.nearest_to_others(kernel.standardised(seen.hand), kernel.centred(seen.embedding)) for seen in looked.views]
    return np.quantile(nearest, np.linspace(0, 1, FAMILIARITY_STEPS)).astype(np.float32)
