"""A verifier beside an embedding that it was not fitted with: it gets the cosines of its own."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.pairs.verifier import Verifier
from classifiers.text.embed import StaticEmbedder


class OwnCosines:
    """A Verifier over wordllama's vectors, whatever embedding found the candidates."""

    is_quick = True

    def __init__(self, verifier: Verifier, embedder: StaticEmbedder) -> None:
        self._verifier, self._embedder = verifier, embedder

    def scores(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> list[float]:
        """As the verifier's; `cosines` are another embedding's and say nothing here."""
        vector = self._embedder.encode(asked)
        own = [float(vector @ self._embedder.encode(text)) for text in kept]
        return self._verifier.scores(asked, kept, own)

    def excluded(self, asked: str, kept: Sequence[str]) -> list[bool]:
        return self._verifier.excluded(asked, kept)

    def bar(self, false_hit_budget: float) -> float:
        return self._verifier.bar(false_hit_budget)
