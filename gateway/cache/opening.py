"""Open the cache's store: in memory, or shared in Redis, whose library is imported only then."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.cache.base import Store
from gateway.cache.guarded import Guarded
from gateway.cache.memory import MemoryStore
from gateway.redis_url import check_redis_url

log = logging.getLogger("turnout.cache")


async def open_store(redis_url: str | None, bytes_max: int, failed: Callable[[str], None]) -> Store:
    """`make_store`, and a first look whether it is there."""
    store = make_store(redis_url, bytes_max, failed)
    await see_store(store)
    return store


async def see_store(store: Store) -> None:
    """Look whether a store over the network is there, so that readiness is right from the start."""
    if isinstance(store, Guarded):
        await store.check()
        if store.problem is None:
            log.info("the cache is shared in %s", store.address)


def make_store(redis_url: str | None, bytes_max: int, failed: Callable[[str], None]) -> Store:
    """The store: of this process's memory, bytes_max large, without a URL; else of Redis, be it there already or not.

    failed: is called with the cause of each fault, for metrics. Raises ConfigError for a URL that cannot be used.
    """
    if not redis_url:
        return MemoryStore(bytes_max)
    check_redis_url(redis_url)
    from gateway.cache.redis import RedisStore

    return Guarded(RedisStore(redis_url), failed)
