"""The text that decisions are about."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from classifiers.embed import StaticEmbedder


class Prompt:
    """The last words of the user, and their embedding, made at most once a request."""

    def __init__(self, text: str, embedder: StaticEmbedder | None) -> None:
        self.text = text
        self._embedder = embedder
        self._encoded: tuple[npt.NDArray[np.float32], bool] | None = None

    def embedding(self) -> npt.NDArray[np.float32]:
        """(dim,) float32 of unit length, or zeros for a text without a known token."""
        return self._encode()[0]

    @property
    def is_whole(self) -> bool:
        """Whether the embedding saw all of the text; if not, two different texts can look the same."""
        return self._encode()[1]

    def _encode(self) -> tuple[npt.NDArray[np.float32], bool]:
        if self._encoded is None:
            assert self._embedder is not None, "the policy needs no embedding"
            self._encoded = self._embedder.encode_whole(self.text)
        return self._encoded
