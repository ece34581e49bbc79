"""A forest: each tree's leaf is the one that following its questions one by one leads to."""

import numpy as np
import pytest

from classifiers.routing.forest import Forest

COLUMNS = 5


def grown(trees: int, levels: int, seed: int) -> Forest:
    """Trees whose branches end at random, so that some leaves lie deep and some are roots."""
    draw = np.random.default_rng(seed)
    left: list[int] = []
    right: list[int] = []

    def grow(level: int) -> int:
        node = len(left)
        left.append(node)
        right.append(node)
        if level < levels and draw.random() < 0.8:
            left[node] = grow(level + 1)
            right[node] = grow(level + 1)
        return node

    roots = [grow(0) for _ in range(trees)]
    nodes = len(left)
    return Forest(
        feature=draw.integers(0, COLUMNS, nodes).astype(np.int16),
        threshold=draw.integers(-2, 3, nodes).astype(np.float32),  # whole numbers, as the rows: many are equal
        left=np.array(left, np.int32),
        right=np.array(right, np.int32),
        value=draw.normal(size=(nodes, 3)).astype(np.float16),
        roots=np.array(roots, np.int32),
    )


def followed(forest: Forest, row: np.ndarray, node: int) -> tuple[int, int]:
    """The leaf, and the steps to it."""
    steps = 0
    while forest.left[node] != node:
        side = forest.left if row[forest.feature[node]] <= forest.threshold[node] else forest.right
        node, steps = int(side[node]), steps + 1
    return node, steps


@pytest.mark.parametrize("seed", range(5))
def test_leaves_are_those_that_the_questions_lead_to(seed: int) -> None:
    forest = grown(trees=20, levels=9, seed=seed)
    rows = np.random.default_rng(seed).integers(-3, 4, (50, COLUMNS)).astype(np.float32)
    for row in rows:
        leaves = [followed(forest, row, int(root))[0] for root in forest.roots]
        assert np.array_equal(forest.predict(row), forest.value[leaves].mean(axis=0, dtype=np.float32))


def test_levels_are_those_of_the_deepest_tree() -> None:
    forest = grown(trees=20, levels=6, seed=1)
    rows = np.random.default_rng(2).integers(-3, 4, (400, COLUMNS)).astype(np.float32)
    steps = [followed(forest, row, int(root))[1] for row in rows for root in forest.roots]
    assert max(steps) == forest.levels == 6


def test_a_tree_may_be_a_single_leaf() -> None:
    forest = grown(trees=1, levels=0, seed=1)
    assert forest.levels == 0
    assert np.array_equal(forest.predict(np.zeros(COLUMNS, np.float32)), forest.value[0].astype(np.float32))
