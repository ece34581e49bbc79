"""What a Redis can do for the cache: which version it is, whether it has vector sets, and how it is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.redis_link import RedisLink

VECTOR_COMMANDS: Final = ("VADD", "VSIM", "VREM", "VEMB", "VRANDMEMBER")


@dataclass(frozen=True, slots=True)
class Server:
    """problem: what does not work here. advice: what works, but not for long. Both with the remedy, None for nothing."""

    version: str
    has_vectors: bool
    problem: str | None = None
    advice: str | None = None


async def look_at(link: RedisLink) -> Server:
    """What is at the other end. Raises StoreUnavailable."""
    info, *commands = await link.run(("INFO",), *(("COMMAND", "INFO", name) for name in VECTOR_COMMANDS))
    for reply in (info, *commands):
        if isinstance(reply, StoreUnavailable) and reply.cause != "denied":
            raise reply
    facts = _facts(info)
    version = facts.get("redis_version", "of an unknown version")
    # One that may not be asked what it knows is believed to know all: what it does not will show.
    has_vectors = all(isinstance(reply, StoreUnavailable) or bool(reply and reply[0]) for reply in commands)
    problem = None
    if facts.get("redis_mode") == "cluster":
        problem = f"Redis {version} runs as a cluster, which is not supported: use one primary, with replicas if you like"
    elif not has_vectors:
        problem = (
            f"Redis {version} has no vector sets, so the cache matches equal requests only; "
            "for similar questions use Redis 8.0 or later"
        )
    return Server(version, has_vectors, problem, _advice(facts))


def _facts(info: object) -> dict[str, str]:
    if not isinstance(info, bytes):
        return {}
    lines = info.decode("utf-8", "replace").splitlines()
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _advice(facts: dict[str, str]) -> str | None:
    if facts.get("maxmemory") == "0":
        return "it has no maxmemory, so the cache may fill its machine; set maxmemory, and maxmemory-policy allkeys-lru"
    if facts.get("maxmemory_policy") == "noeviction":
        return "its maxmemory-policy is noeviction: once full it takes no more answers; set maxmemory-policy allkeys-lru"
    return None
