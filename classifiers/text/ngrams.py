"""Hashed n-grams of characters and of tokens: which buckets of a table a text falls in, and how often. numpy only.

A bucket is the top bits of a mixed polynomial hash (Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning", 2009), so nothing has to be remembered of the training texts, and no text can be read back from a table.
The same text gives the same buckets on every machine and in every version: tables of weights are stored by bucket.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Ids
from classifiers.text.normalise import flattened

Buckets = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]
Hashes = npt.NDArray[np.uint64]

CHARS_MAX: Final = 4_096
SHARE_OF_HEAD: Final = 0.75
BASE: Final = np.uint64(0x100000001B3)  # odd, so that a product loses no bits (the prime of FNV-1a)
MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads the sum over the top bits (Knuth, 6.4)
FOLD: Final = np.uint64(32)
ONE: Final = np.uint64(1)  # added to each code, so that a run of zeros has a length: a digit
BITS_MAX: Final = 32


def char_ngrams(text: str, sizes: Sequence[int], bits: int, chars_max: int = CHARS_MAX) -> tuple[Buckets, Counts]:
    """Buckets of the text's runs of `sizes` characters, ascending, and how often each occurs.

    The text is lowered, its white space made single spaces, and a space put at both ends, so that a run knows where
    words begin. Of a text over `chars_max` characters three quarters are its head and the rest its tail. bits: the
    table has 2**bits buckets. Any str, lone surrogates too; ([], []) for one with nothing but white space.
    """
    _check(sizes, bits)
    flat = flattened(bounded(text, chars_max).lower())
    return _as_floats(_counted(_buckets(_runs(_codes(flat) + ONE, sizes), bits))) if flat else _no_ngrams()


def token_ngrams(ids: Sequence[int] | Ids, sizes: Sequence[int], bits: int) -> tuple[Buckets, Counts]:
    """Buckets of the runs of `sizes` token ids, ascending, and how often each occurs. ids: 0 or above."""
    _check(sizes, bits)
    return _as_floats(_counted(_buckets(_runs(np.asarray(ids, np.uint64) + ONE, sizes), bits))) if len(ids) else _no_ngrams()


def both_ngrams(
    flat: str, char_sizes: Sequence[int], ids: Ids, token_sizes: Sequence[int], bits: int
) -> tuple[Buckets, Places, int]:
    """What `char_ngrams` and `token_ngrams` find, as places in the two tables one after the other, and how often each occurs.

    flat: a text in small letters, `flattened`. The places are ascending, those of tokens from 2**bits on; the number says how
    many are of characters. One pass over both takes half the time of two: on a prompt of a page it goes into calling numpy.
    """
    digits = np.concatenate((_codes(flat), ids), dtype=np.uint64, casting="unsafe")
    digits += ONE
    runs = _runs(digits, range(1, max(*char_sizes, *token_sizes) + 1))
    # Those that reach from the last characters into the first tokens are left out.
    of_chars = [runs[n - 1][: max(len(flat) - n + 1, 0)] for n in char_sizes]
    of_tokens = [runs[n - 1][len(flat) :] for n in token_sizes]
    buckets = _buckets(of_chars + of_tokens, bits)
    tokens_from = np.uint32(1 << bits)
    tail = buckets[sum(map(len, of_chars)) :]
    tail |= tokens_from
    places, counts = _counted(buckets)
    return places, counts, int(places.searchsorted(tokens_from))


def _codes(text: str) -> npt.NDArray[np.uint8 | np.uint32]:
    """(n,) code points."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _check(sizes: Sequence[int], bits: int) -> None:
    if not 1 <= bits <= BITS_MAX or not sizes or min(sizes) < 1:
        raise ValueError(f"sizes {list(sizes)} must be 1 or above and bits {bits} from 1 to {BITS_MAX}")


def _runs(digits: Hashes, sizes: Sequence[int]) -> list[Hashes]:
    """A hash of each run of each of the sizes, sizes ascending; place i is of the run that begins at i. digits: codes + 1."""
    run = digits
    hashed = [run] if 1 in sizes else []
    for n in range(2, max(sizes) + 1):
        run = run[:-1] * BASE
        run += digits[n - 1 :]
        if n in sizes:
            hashed.append(run)
    return hashed


def _buckets(runs: Sequence[Hashes], bits: int) -> Buckets:
    """(n,) the bucket of each run of all the lists, in their order."""
    mixed = np.concatenate(runs) if runs else np.zeros(0, np.uint64)
    mixed *= MIX
    mixed ^= mixed >> FOLD
    mixed *= MIX
    mixed >>= np.uint64(64 - bits)
    return mixed.astype(np.uint32)


def _counted(buckets: Buckets) -> tuple[Buckets, Places]:
    """The different ones, ascending, and how often each occurs. Sorts them in place."""
    if not len(buckets):
        return buckets, np.zeros(0, np.intp)
    buckets.sort()
    begins = np.empty(len(buckets) + 1, np.bool_)  # a bucket's first, and the end
    begins[0] = begins[-1] = True
    np.not_equal(buckets[1:], buckets[:-1], out=begins[1:-1])
    starts = begins.nonzero()[0]
    return buckets.take(starts[:-1]), starts[1:] - starts[:-1]


def _as_floats(counted: tuple[Buckets, Places]) -> tuple[Buckets, Counts]:
    return counted[0], counted[1].astype(np.float32)


def bounded(text: str, chars_max: int = CHARS_MAX) -> str:
    """The text, or of one over `chars_max` characters its head, three quarters of that, and its tail."""
    if len(text) <= chars_max:
        return text
    head = int(chars_max * SHARE_OF_HEAD)
    return f"{text[:head]} {text[len(text) - (chars_max - head) :]}"


def _no_ngrams() -> tuple[Buckets, Counts]:
    return np.zeros(0, np.uint32), np.zeros(0, np.float32)
