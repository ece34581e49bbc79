"""Examples as the matrices that learners fit on and are measured by. Training only."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Weights
from classifiers.routing.near_duplicates import group_near_duplicates
from classifiers.shipped.augment import OWN_COPIES
from classifiers.shipped.head import CLASSES, view
from classifiers.shipped.head_fit import Table
from classifiers.shipped.sources import COMMANDS, SMALL_TALK_SET, SOURCES, Example
from classifiers.text.embed import TOKENS_MAX, StaticEmbedder
from classifiers.text.normalise import normalise

Labels = npt.NDArray[np.intp]


class Rows:
    """n examples: what a head sees of each, and what is known of it.

    labels: (n,) column numbers, -1 for none. weights: (n,) adding up to 1, by the masses of the sources; 0 without label.
    weak, strong: (n,) quality of the two models, NaN where not graded.
    """

    def __init__(self, examples: Sequence[Example], embedder: StaticEmbedder) -> None:
        self.table: Final = Table.of([view(example.text, embedder) for example in examples])
        self.labels: Final[Labels] = np.array([CLASSES.index(e.label) if e.label else -1 for e in examples])
        self.sources: Final = np.array([example.source for example in examples])
        self.weak: Final = np.array([np.nan if e.weak is None else e.weak for e in examples])
        self.strong: Final = np.array([np.nan if e.strong is None else e.strong for e in examples])
        self.is_labelled: Final = self.labels >= 0
        self.weights: Final = self._weights()

    @property
    def names(self) -> npt.NDArray[np.str_]:
        """(n,) class names. Every row must be labelled."""
        return np.array([CLASSES[label] for label in self.labels])

    @property
    def parts(self) -> npt.NDArray[np.str_]:
        """(n,) what `head.PARTS` calls the row: its class, `small` divided into commands and questions."""
        small = np.where(np.isin(self.sources, COMMANDS), "command", "question")
        return np.where(self.names == "small", small, self.names)

    def costed(self, hard: float, intents: float) -> Weights:
        """(n,) the weights to fit by, adding up to 1, dearer where a mistake costs more.

        hard: the project's own hard rows times this, as calling these easy is worse than the reverse. intents: small talk
        and commands times this, as a false skip gives a canned answer to somebody who wanted something done.
        """
        weights = self.weights.copy()
        weights[(self.sources == "own") & (self.labels == CLASSES.index("strong"))] *= hard
        weights[np.isin(self.sources, (SMALL_TALK_SET, *COMMANDS))] *= intents
        total: Weights = weights / weights.sum()
        return total

    def _weights(self) -> Weights:
        weights = np.zeros(len(self.labels))
        for source in SOURCES:
            rows = (self.sources == source.name) & self.is_labelled
            if rows.any():
                weights[rows] = source.mass / rows.sum()
        total: Weights = weights / weights.sum()
        return total


def folds_of(examples: Sequence[Example], embedder: StaticEmbedder, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """A fold for each row of `augment(examples)`: a text, its near-duplicates and its copies are all in one."""
    group = group_near_duplicates([embedder.token_ids(normalise(example.text))[:TOKENS_MAX] for example in examples])
    own = [n for n, example in enumerate(examples) if example.source == "own"]
    by_group = np.random.default_rng(seed).integers(0, folds, len(examples))  # a group's number is one of its rows'
    fold: Labels = by_group[np.concatenate([group, np.tile(group[own], OWN_COPIES)])]
    return fold
