"""Regression trees as arrays: all trees of a forest descend together, one level at a time. numpy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Forest:
    """t trees with N nodes in all, k outputs.

    A leaf is its own child. feature: (N,) int16 column to look at. threshold: (N,) float32; at most this goes left.
    left, right: (N,) int32 node numbers, a child always after its parent. value: (N, k) float16, used at leaves.
    roots: (t,) int32.
    """

    feature: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float16]
    roots: npt.NDArray[np.int32]

    def predict(self, columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(d,) one row to (k,) mean over the trees of the leaf that the row falls in."""
        node = self.roots
        while True:
            goes_left = columns[self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            # Children come after their parents, so this ends after as many steps as the deepest tree has levels.
            if np.array_equal(below, node):
                mean: npt.NDArray[np.float32] = self.value[node].mean(axis=0, dtype=np.float32)
                return mean
            node = below
