"""Whether the address of a Redis can be used, said to the operator. Loads the library `redis` only when there is one."""

from __future__ import annotations

import importlib.util

from gateway.errors import ConfigError


def check_redis_url(url: str) -> None:
    """Raises ConfigError, with the remedy and without the password, for an address that no link can be made of."""
    if importlib.util.find_spec("redis") is None:
        raise ConfigError(
            "TURNOUT_REDIS_URL or REDIS_URL is set, but the Redis client is not installed: "
            "pip install 'turnout[redis]', or unset it and do without what replicas share"
        )
    from gateway.redis_link import RedisLink

    try:
        RedisLink(url)
    except ValueError as exc:
        raise ConfigError(
            f"TURNOUT_REDIS_URL or REDIS_URL {exc}; give an address such as redis://user:password@host:6379/0, "
            "rediss:// for TLS or unix:///path/to/socket"
        ) from exc
