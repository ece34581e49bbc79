"""Open the limiter: of this process alone, or shared in Redis, whose library is imported only then."""

from __future__ import annotations

from collections.abc import Callable

from gateway.limits.base import Limiter
from gateway.limits.memory import MemoryLimits
from gateway.redis_url import check_redis_url


async def open_limiter(redis_url: str | None, failed: Callable[[str], None], *, is_wanted: bool) -> Limiter:
    """The limiter: of this process without a URL, else of all that use the Redis there, be it there already or not.

    is_wanted: the policy has limits, so Redis is looked for at once. failed: is called with the cause of each fault, for
    metrics. Raises ConfigError for a URL that cannot be used.
    """
    if not redis_url:
        return MemoryLimits()
    check_redis_url(redis_url)
    from gateway.limits.redis import RedisCounts
    from gateway.limits.shared import SharedLimits
    from gateway.redis_link import RedisLink

    limiter = SharedLimits(RedisCounts(RedisLink(redis_url)), failed)
    if is_wanted:
        await limiter.check()
    return limiter
