"""A linear model on hashed n-grams, weighted by how telling they are: the words' part of the routing model. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.ngrams import Buckets, Counts

Half = npt.NDArray[np.float16]
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lexical:
    """One table for each kind of n-gram; k outputs.

    idf: a (2**bits,) float16 for each table, 0 for buckets seen in fewer than two training texts. weights: a (2**bits, k)
    float16 for each. bias: (k,) float32.
    """

    idf: tuple[Half, ...]
    weights: tuple[Half, ...]
    bias: Singles

    def predict(self, ngrams: Sequence[tuple[Buckets, Counts]]) -> Singles:
        """(k,) outputs for a text's n-grams, one pair of buckets and counts for each table."""
        total = self.bias
        for (buckets, counts), idf, weights in zip(ngrams, self.idf, self.weights, strict=True):
            values = tf_idf(counts, idf[buckets])
            total = total + values @ weights[buckets].astype(np.float32)
        return total


def tf_idf(counts: Counts, idf: Half | Singles) -> Singles:
    """(n,) counts of a text's n-grams to (n,) weights of length 1, all 0 if none is known.

    Sublinear: (1 + ln count) * idf, as Manning et al., "Introduction to Information Retrieval" (2008), 6.4.1.
    """
    values: Singles = (1 + np.log(counts)) * idf.astype(np.float32)
    length = float(np.sqrt(values @ values))
    return values / np.float32(length) if length > 0 else values
