"""Hashed n-grams of characters and of tokens: which buckets of a table a text falls in, and how often. numpy only.

A bucket is the top bits of a mixed polynomial hash (Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning", 2009), so nothing has to be remembered of the training texts, and no text can be read back from a table.
The same text gives the same buckets on every machine and in every version: tables of weights are stored by bucket.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Buckets = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.float32]

CHARS_MAX: Final = 4_096
SHARE_OF_HEAD: Final = 0.75
BASE: Final = np.uint64(0x100000001B3)  # odd, so that a product loses no bits (the prime of FNV-1a)
MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads the sum over the top bits (Knuth, 6.4)
FOLD: Final = np.uint64(32)
BITS_MAX: Final = 32


def char_ngrams(text: str, sizes: Sequence[int], bits: int, chars_max: int = CHARS_MAX) -> tuple[Buckets, Counts]:
    """Buckets of the text's runs of `sizes` characters, ascending, and how often each occurs.

    The text is lowered, its white space made single spaces, and a space put at both ends, so that a run knows where
    words begin. Of a text over `chars_max` characters three quarters are its head and the rest its tail. bits: the
    table has 2**bits buckets. Any str, lone surrogates too; ([], []) for one with nothing but white space.
    """
    words = _bounded(text, chars_max).lower().split()
    if not words:
        return _no_ngrams()
    codes = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    return _counted(codes.astype(np.uint64), sizes, bits)


def token_ngrams(ids: Sequence[int], sizes: Sequence[int], bits: int) -> tuple[Buckets, Counts]:
    """Buckets of the runs of `sizes` token ids, ascending, and how often each occurs. ids: 0 or above."""
    if not len(ids):
        return _no_ngrams()
    return _counted(np.asarray(ids, np.uint64), sizes, bits)


def _counted(codes: npt.NDArray[np.uint64], sizes: Sequence[int], bits: int) -> tuple[Buckets, Counts]:
    if not 1 <= bits <= BITS_MAX or not sizes or min(sizes) < 1:
        raise ValueError(f"sizes {list(sizes)} must be 1 or above and bits {bits} from 1 to {BITS_MAX}")
    shift = np.uint64(64 - bits)
    longest = max(sizes)
    hashed: list[npt.NDArray[np.uint32]] = []
    run = np.zeros(len(codes), np.uint64)  # run[i]: hash of the n codes from i on
    for n in range(1, min(longest, len(codes)) + 1):
        run = run[: len(codes) - n + 1] * BASE + codes[n - 1 :] + np.uint64(1)
        if n in sizes:
            mixed = run * MIX
            mixed = (mixed ^ (mixed >> FOLD)) * MIX
            hashed.append((mixed >> shift).astype(np.uint32))
    if not hashed:
        return _no_ngrams()
    ordered = np.concatenate(hashed)
    ordered.sort()
    begins = np.ones(len(ordered) + 1, np.bool_)  # a bucket's first, and the end
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:-1])
    starts = begins.nonzero()[0]
    return ordered[starts[:-1]], (starts[1:] - starts[:-1]).astype(np.float32)


def _bounded(text: str, chars_max: int) -> str:
    if len(text) <= chars_max:
        return text
    head = int(chars_max * SHARE_OF_HEAD)
    return f"{text[:head]} {text[len(text) - (chars_max - head) :]}"


def _no_ngrams() -> tuple[Buckets, Counts]:
    return np.zeros(0, np.uint32), np.zeros(0, np.float32)
