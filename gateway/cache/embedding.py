"""A question as a vector: the port of what makes one. Vectors of two spaces are never compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.cache.base import Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """vector: (dim,) float32 of length 1; None where it was paid for and is not of the whole text.

    cost_nusd: what it cost; 0 where it was made here or known already, None unknown.
    """

    vector: Embedding | None
    cost_nusd: int | None = 0


class CacheEmbedder(Protocol):
    """Makes the vectors that similar questions are found by."""

    @property
    def space(self) -> str:
        """A name that changes whenever the vectors would: with weights, tokenizer, model or dimensions."""
        ...

    @property
    def problem(self) -> str | None:
        """Why no similar question is looked for just now, for people; None when they are."""
        ...

    async def embed(self, text: str) -> Embedded | None:
        """The vector of a text.

        None where there is none to match by: the text is empty, longer than the embedder reads (two texts that differ in
        their tails would be one), or it cannot be embedded just now. Never raises.
        """
        ...

    async def self_test(self) -> str | None:
        """Why it must not be used: texts known to differ look alike to it (embedding_probe.py). None if it is fit."""
        ...

    async def aclose(self) -> None:
        """Let go of threads and tasks. Nothing is embedded after it."""
        ...
