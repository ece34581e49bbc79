"""Regression trees as arrays: all trees of a forest descend together, one level at a time. numpy only."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.intp]


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
    # Made of the above: a node's place is twice its number, so that place + 1 is the way right. Indexing by the machine's
    # own integers, twice as many as there are nodes, spares a multiplication and a conversion at each level.
    levels: int = field(init=False, repr=False)
    _next: Places = field(init=False, repr=False)  # (2N,) places
    _column: Places = field(init=False, repr=False)  # (2N,)
    _bound: npt.NDArray[np.float32] = field(init=False, repr=False)  # (2N,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", _levels(self.left, self.right, self.roots))
        object.__setattr__(self, "_next", np.column_stack((self.left, self.right)).ravel().astype(np.intp) * 2)
        object.__setattr__(self, "_column", np.repeat(self.feature, 2).astype(np.intp))
        object.__setattr__(self, "_bound", np.repeat(self.threshold, 2))

    def predict(self, columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(d,) one row, finite, to (k,) mean over the trees of the leaf that the row falls in."""
        place = self.roots.astype(np.intp) * 2
        below, column, bound = self._next, self._column, self._bound
        for _ in range(self.levels):  # who is at a leaf stays there: asking whether all are costs more than going on
            place = below[place + (columns[column[place]] > bound[place])]
        mean: npt.NDArray[np.float32] = self.value[place >> 1].mean(axis=0, dtype=np.float32)
        return mean

    def predict_rows(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, d) rows, finite, to (n, k), each as `predict` gives it. For a handful: n × t places are in memory at once."""
        n, width = rows.shape
        values, start = rows.ravel(), np.arange(n)[:, None] * width
        place = np.tile(self.roots.astype(np.intp) * 2, (n, 1))
        for _ in range(self.levels):
            is_right = values.take(start + self._column.take(place)) > self._bound.take(place)
            place = self._next.take(place + is_right)
        mean: npt.NDArray[np.float32] = self.value[place >> 1].mean(axis=1, dtype=np.float32)
        return mean


def _levels(left: npt.NDArray[np.int32], right: npt.NDArray[np.int32], roots: npt.NDArray[np.int32]) -> int:
    """Steps from the roots after which every way has come to a leaf. Ends because children come after their parents."""
    at, steps = np.unique(roots), 0
    while True:
        at = at[(left[at] != at) | (right[at] != at)]
        if not len(at):
            return steps
        at = np.unique(np.concatenate((left[at], right[at])))
        steps += 1
