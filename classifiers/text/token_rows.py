"""Token vectors in single precision, of those tokens that texts have had: what is stored in half takes half as much."""

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Ids, Matrix

ROWS_FIRST: Final = 1_024  # room for so many before it is doubled


class TokenRows:
    """Rows of a (vocabulary, dim) array. Safe to share between threads.

    Turning the rows of each text into single precision costs eight times their mean itself. All at once they are 33 MB and
    36 ms, most of it for tokens that never come: a row is turned when its token first does.
    """

    def __init__(self, stored: npt.NDArray[np.float16 | np.float32]) -> None:
        self._stored: Final = stored
        self._met = 0
        self._rows: Matrix = np.empty((min(ROWS_FIRST, len(stored)), stored.shape[1]), np.float32)
        self._place_of: Final = np.full(len(stored), -1, np.intp)  # in _rows, by token; -1 for one not met
        self._lock: Final = threading.Lock()

    def take(self, ids: Ids) -> Matrix:
        """(n,) token ids, at least one, to (n, dim)."""
        places = self._place_of.take(ids)
        if np.minimum.reduce(places) < 0:
            self._meet(ids)
            places = self._place_of.take(ids)
        rows: Matrix = self._rows.take(places, axis=0)
        return rows

    def _meet(self, ids: Ids) -> None:
        with self._lock:
            new = np.unique(ids[self._place_of[ids] < 0])
            whole = self._met + len(new)
            rows = self._rows
            if whole > len(rows):
                rows = np.empty((min(max(whole, 2 * len(rows)), len(self._stored)), rows.shape[1]), np.float32)
                rows[: self._met] = self._rows[: self._met]
            rows[self._met : whole] = self._stored[new]
            # INVARIANT: in this order. Who finds a place here, on another thread, finds its row there.
            self._rows = rows
            self._place_of[new] = np.arange(self._met, whole)
            self._met = whole
