"""The shared cache, asked without a gateway."""

from __future__ import annotations

from typing import Any

from gateway.cache.base import Selection, Store
from gateway.cache.opening import open_store
from gateway.edge.cache_entries import kept_json
from gateway.errors import ConfigError, StoreUnavailable


async def inspect_directly(redis_url: str, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """Kept answers, as the admin API shows them. Raises ConfigError."""
    store = await _opened(redis_url)
    try:
        return [kept_json(kept) for kept in await store.entries(selection, limit)]
    except StoreUnavailable as exc:
        raise ConfigError(_unreachable(exc)) from exc
    finally:
        await store.aclose()


async def evict_directly(redis_url: str, selection: Selection) -> int:
    """Forget those that match; how many there were. Raises ConfigError."""
    store = await _opened(redis_url)
    try:
        return await store.evict(selection)
    except StoreUnavailable as exc:
        raise ConfigError(_unreachable(exc)) from exc
    finally:
        await store.aclose()


async def _opened(redis_url: str) -> Store:
    def ignored(cause: str) -> None:
        """Nobody counts the failures of one command; it says the one that matters."""

    return await open_store(redis_url, 0, ignored)


def _unreachable(exc: StoreUnavailable) -> str:
    return f"the cache in Redis cannot be asked: {exc}; check TURNOUT_REDIS_URL, or ask a gateway with --url"
