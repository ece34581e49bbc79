"""The columns of a verifier by the embedder it is for: which blocks there are, and what they learned. numpy only.

Every verifier reads words and static word vectors; that of `minilm` reads contextual vectors too, at some 10 ms a new text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix
from classifiers.errors import ArtifactError
from classifiers.pairs.features import Block, PairFeatures
from classifiers.pairs.projection import ProjectedFeatures, Projection
from classifiers.text.embed import StaticEmbedder

WORDLLAMA: Final = "wordllama"
MINILM: Final = "minilm"
EMBEDDERS: Final = (WORDLLAMA, MINILM)
LEARNED: Final = {WORDLLAMA: "learned_static", MINILM: "learned_contextual"}
"""The column of each embedder's projection, and the prefix of its arrays."""

Arrays = Mapping[str, npt.NDArray[Any]]


class Featurizer:
    """Blocks side by side. Safe to share between threads."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks: Final = tuple(blocks)
        self.names: Final[tuple[str, ...]] = tuple(name for block in blocks for name in block.names)
        if len(set(self.names)) < len(self.names):
            raise ValueError("two columns have one name")

    def rows(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> Matrix:
        """(len(kept), len(names)) float32, a row for each pair of asked with one of kept; the same the other way round."""
        return np.concatenate([block.rows(asked, kept, cosines) for block in self._blocks], axis=1)


@lru_cache(maxsize=1)
def static_embedder() -> StaticEmbedder:
    """wordllama's vectors, loaded once. Raises ArtifactError."""
    return StaticEmbedder.load()


def embedder_of(kind: str) -> Any:
    """The embedder of that name: `classifiers.base.Embedder`, loaded once. Raises ArtifactError."""
    if kind == WORDLLAMA:
        return static_embedder()
    if kind == MINILM:
        return _minilm()
    raise ArtifactError(f"there is no embedder '{kind}' for pairs; known: {', '.join(EMBEDDERS)}")


@lru_cache(maxsize=1)
def _minilm() -> Any:
    from classifiers.text.minilm import MiniLMEmbedder  # its runtime is an extra

    return MiniLMEmbedder.load()


def plain_blocks(kind: str, arrays: Arrays, embedder: Any = None) -> list[Block]:
    """The blocks that only count: what needs no labels to be made. embedder: in place of `embedder_of(kind)`."""
    blocks: list[Block] = [PairFeatures(static_embedder(), arrays["rarity"].astype(np.float32))]
    if kind == MINILM:
        from classifiers.pairs.contextual import ContextualFeatures

        blocks.append(ContextualFeatures(embedder or embedder_of(kind), arrays["piece_rarity"]))
    return blocks


def learned_kinds(kind: str) -> tuple[str, ...]:
    """The embedders whose sentence vectors have a learned score in the verifier of `kind`."""
    return (WORDLLAMA,) if kind == WORDLLAMA else (WORDLLAMA, kind)


def featurizer_of(kind: str, arrays: Arrays, embedder: Any = None) -> Featurizer:
    """The columns of a verifier. embedder: in place of the installed one of that kind.

    Raises KeyError or ValueError if an array is missing or misshapen, ArtifactError.
    """
    own = embedder or embedder_of(kind)
    blocks = plain_blocks(kind, arrays, own)
    for of in learned_kinds(kind):
        prefix = LEARNED[of]
        embedder = own if of == kind else embedder_of(of)
        learned = {name.removeprefix(f"{prefix}_"): array for name, array in arrays.items() if name.startswith(f"{prefix}_")}
        blocks.append(ProjectedFeatures(embedder, Projection.from_arrays(learned, embedder.dim), prefix))
    return Featurizer(blocks)
