"""The matcher of the policy in force: made of its verifier and its embedder, which outlives reloads that keep it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

from gateway.cache.base import Embedding
from gateway.cache.embedding import CacheEmbedder
from gateway.cache.semantic import Matcher
from gateway.providers.http import HttpClient
from gateway.router import Router


class Matching:
    """Owned by the application's lifespan."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._embedder: CacheEmbedder | None = None
        self._recipe: Hashable = None

    async def matcher(self, router: Router) -> Matcher | None:
        """For this policy; None when no route looks for similar questions. Raises ConfigError for an unfit embedder."""
        if router.verifier is None or router.embedder is None:
            await self.aclose()
            return None
        from gateway.cache.embedding_setup import embedder_recipe, make_embedder  # with numpy and the embedders

        recipe, old = embedder_recipe(router.policy), self._embedder
        if old is not None and recipe == self._recipe:
            return Matcher(old, router.verifier, time.monotonic)
        # In a thread: loading one and testing it may take a second.
        embedder = await asyncio.to_thread(make_embedder, router.policy, router.embedder, self._http)
        self._embedder, self._recipe = embedder, recipe
        if old is not None:
            await old.aclose()  # requests that still hold it find no similar question, and ask a model
        return Matcher(embedder, router.verifier, time.monotonic)

    async def embed(self, text: str) -> Embedding | None:
        """The vector of a text in the embedding now in use; None where there is none."""
        embedded = await self._embedder.embed(text) if self._embedder is not None else None
        return embedded.vector if embedded is not None else None

    @property
    def problem(self) -> str | None:
        """Why no similar question is looked for just now; None when they are, or need not be."""
        return self._embedder.problem if self._embedder is not None else None

    async def aclose(self) -> None:
        if self._embedder is not None:
            await self._embedder.aclose()
            self._embedder = self._recipe = None
