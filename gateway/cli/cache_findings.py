"""What the doctor finds of the cache: where it is, whether it can be asked, and what tells similar questions apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gateway.cache.embedding_setup import check_embedder
from gateway.cache.guarded import Guarded
from gateway.cache.opening import open_store
from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.policy.schema_cache import EmbeddingModel
from gateway.router import Router
from gateway.settings import Settings

MB = 1024 * 1024


def find_cache(settings: Settings, router: Router) -> Iterator[Finding]:
    """The store, and the embedder and verifier if some route looks for similar questions. Never raises for what is wrong."""
    policy = router.policy
    if policy.cache_modes == {"off"}:
        yield Finding("ok", "cache", "no route has one")
        return
    yield _store(settings)
    if router.verifier is None:
        return
    try:
        check_embedder(policy, router.embedder)
    except ConfigError as exc:
        yield Finding("broken", "cache", str(exc))
        return
    wanted = policy.cache_setup.embedder
    name = f"{wanted.model}, tested when it is first asked" if isinstance(wanted, EmbeddingModel) else wanted
    judge = policy.cache_setup.judge
    yield Finding("ok", "cache", f"embedder {name}; audits are judged by {judge or 'comparing texts'}")


def _store(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("ok", "cache", f"in this process's memory, {settings.cache_bytes_max / MB:g} MB; replicas share none")
    try:
        address, problem = asyncio.run(_looked(settings.redis_url))
    except ConfigError as exc:
        return Finding("broken", "cache", str(exc))
    if problem is None:
        return Finding("ok", "cache", f"{address} answers")
    return Finding("missing", "cache", problem, "requests go on without what it cannot do")


async def _looked(redis_url: str) -> tuple[str, str | None]:
    def told(cause: str) -> None:
        """The doctor says it once, from `problem`."""

    store = await open_store(redis_url, 0, told)
    try:
        assert isinstance(store, Guarded), "a URL leads to Redis"
        return store.address, store.problem
    finally:
        await store.aclose()
