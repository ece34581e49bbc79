"""Which texts are nearly the same, so that cross-validation never sees one and is asked about its twin. Training only."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Ids
from classifiers.text.ngrams import token_ngrams

RUN: Final = 5  # tokens; shared by paraphrases of one template, seldom by strangers
BANDS: Final = 4
ROWS_A_BAND: Final = 3  # texts that share 60 % of their runs meet with probability 0.62, 80 %: 0.94, 20 %: 0.03


def group_near_duplicates(texts: Sequence[Sequence[int] | Ids]) -> npt.NDArray[np.intp]:
    """(n,) a group number for each text's token ids; near-duplicates share theirs, and so do chains of them.

    MinHash with banding: Broder, "On the Resemblance and Containment of Documents" (1997).
    """
    multipliers = np.random.default_rng(0).integers(0, 2**63, BANDS * ROWS_A_BAND, np.uint64) * np.uint64(2) + np.uint64(1)
    group = np.arange(len(texts))
    first: dict[tuple[int, ...], int] = {}
    for n, ids in enumerate(texts):
        runs, _ = token_ngrams(ids, [min(RUN, max(len(ids), 1))], 32)
        if not len(runs):
            continue
        least = ((runs[:, None].astype(np.uint64) + np.uint64(1)) * multipliers >> np.uint64(16)).min(axis=0)
        for band in range(BANDS):
            key = (band, *least[band * ROWS_A_BAND : (band + 1) * ROWS_A_BAND].tolist())
            group[_root(group, n)] = _root(group, first.setdefault(key, n))
    return np.array([_root(group, n) for n in range(len(texts))], np.intp)


def _root(group: npt.NDArray[np.intp], n: int) -> int:
    while group[n] != n:
        group[n] = group[group[n]]
        n = int(group[n])
    return n
