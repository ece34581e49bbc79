"""A linear model on hashed n-grams, weighted by how telling they are: the words' part of the routing model. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.text.ngrams import Buckets, Counts

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lexical:
    """One table for each kind of n-gram; k outputs.

    idf: a (2**bits,) for each table, 0 for buckets seen in fewer than two training texts. weights: a (2**bits, k) for
    each. bias: (k,). All float32 of values that half precision holds, as they are stored: turning a text's rows into
    single precision takes longer than multiplying them.
    """

    idf: tuple[Singles, ...]
    weights: tuple[Singles, ...]
    bias: Singles

    def predict(self, ngrams: Sequence[tuple[Buckets, Counts]]) -> Singles:
        """(k,) outputs for a text's n-grams, one pair of buckets and counts for each table."""
        total = self.bias
        for (buckets, counts), idf, weights in zip(ngrams, self.idf, self.weights, strict=True):
            total = total + tf_idf(counts, idf.take(buckets)) @ weights.take(buckets, axis=0)
        return total


def tf_idf(counts: Counts, idf: Singles) -> Singles:
    """(n,) counts of a text's n-grams to (n,) weights of length 1, all 0 if none is known.

    Sublinear: (1 + ln count) * idf, as Manning et al., "Introduction to Information Retrieval" (2008), 6.4.1.
    """
    values: Singles = (1 + np.log(counts)) * idf
    length = float(np.sqrt(values @ values))
    return values / np.float32(length) if length > 0 else values
