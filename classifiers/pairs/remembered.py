"""A token embedder that runs its model once a text, for training: every text is in several pairs and read in several passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix, Vector
from classifiers.text.minilm import TokenVectors


class TokenEmbedder(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def token_vectors(self, text: str) -> TokenVectors: ...


class RememberedVectors:
    """What the embedder gives, kept for good: 14 kB a question, 1.3 GB for 95,000. Not for serving, which has bounds.

    Token vectors are kept in half precision, sentence vectors whole.
    """

    def __init__(self, embedder: TokenEmbedder) -> None:
        self.name: Final = embedder.name
        self.dim: Final = embedder.dim
        self._embedder: Final = embedder
        self._kept: Final[dict[str, tuple[TokenVectors, npt.NDArray[np.float16]]]] = {}

    def token_vectors(self, text: str) -> TokenVectors:
        read, halves = self._of(text)
        return TokenVectors(read.pieces, read.words, read.spans, halves.astype(np.float32), read.sentence, read.is_whole)

    def encode(self, text: str) -> Vector:
        """(dim,) of length 1, or all zero."""
        return self._of(text)[0].sentence

    def encode_many(self, texts: Sequence[str]) -> Matrix:
        """(n,) texts to (n, dim)."""
        out = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(out, texts, strict=True):
            row[:] = self.encode(text)
        return out

    def _of(self, text: str) -> tuple[TokenVectors, npt.NDArray[np.float16]]:
        found = self._kept.get(text)
        if found is None:
            read = self._embedder.token_vectors(text)
            halves = read.matrix.astype(np.float16)
            # Without the matrix: what is kept of it is the halves.
            bare = TokenVectors(read.pieces, read.words, read.spans, read.matrix[:0].copy(), read.sentence, read.is_whole)
            found = self._kept[text] = (bare, halves)
        return found
