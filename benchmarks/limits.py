"""What a limit costs: `python -m benchmarks.limits` prints a line for each way of counting. Needs the Redis of the tests.

Of Redis it is the time that the server says its script took; of memory the processor time of this process. The least of
several rounds, since others share the machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway import chat
from gateway.limits.base import BUCKETS, Ask, Window
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimits
from gateway.limits.redis import PREFIX, RedisCounts
from gateway.metrics import Metrics
from gateway.policy.limits import LimitRule, Rate
from gateway.redis_link import RedisLink
from gateway.request import ChatRequest
from gateway.tenant import Tenant
from tests.redis_server import RedisServer

ROUNDS: Final = 10
CALLS: Final = 500
FULL: Final = 50  # buckets in use, of the 60 that a window has
PLENTY: Final = 10**12


async def in_memory() -> float:
    """µs for a request with a limit on requests and one on tokens: reserved, told in headers, settled."""
    rules = (LimitRule(0, "key", Rate(PLENTY, 60), Rate(PLENTY, 60)),)
    body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "x" * 400}]})
    limits, best_s = Limits(MemoryLimits(), Metrics()), float("inf")
    for _ in range(ROUNDS):
        requests = [ChatRequest("r", body, chat.read_head(body)) for _ in range(CALLS)]
        began = time.process_time()
        for request in requests:
            allowance = limits.of_caller(rules, Tenant("caller"), request)
            assert allowance is not None, "a limit holds for every key"
            await allowance.reserve()
            assert allowance.headers
            allowance.settle([])
        best_s = min(best_s, time.process_time() - began)
    return best_s / CALLS * 1e6


async def in_redis(server: RedisServer, link: RedisLink, windows: Sequence[Window], amount: int) -> float:
    """µs of the server for one request over these windows, FULL of whose buckets are in use."""
    counts = RedisCounts(link)
    now = int(time.time())
    for window in windows:
        buckets = [str(part) for bucket in range(now - FULL, now) for part in (bucket, 1000)]
        ends = ["oldest", str(now - BUCKETS), "newest", str(now), "total", str(FULL * 1000)]
        server.command("HSET", PREFIX + window.id, *buckets, *ends)
    best_us = float("inf")
    for _ in range(ROUNDS):
        server.command("CONFIG", "RESETSTAT")
        for _ in range(CALLS):
            await counts.reserve([Ask(window, amount) for window in windows])
        [info] = await link.run(("INFO", "commandstats"))
        lines = [line for line in info.decode().splitlines() if line.startswith("cmdstat_evalsha:")]
        best_us = min(best_us, float(lines[0].partition("usec_per_call=")[2].partition(",")[0]))
    return best_us


def window(holder: str, limit: int) -> Window:
    return Window("key", holder, holder, "requests", limit, 60, 0)


async def main() -> None:
    sys.stdout.write(f"in memory, requests and tokens: {await in_memory():.0f} µs a request\n")
    with RedisServer() as server:
        link = RedisLink(server.url)
        for said, windows, amount in (
            ("one window", [window("a", PLENTY)], 1),
            ("two windows", [window("b", PLENTY), window("c", PLENTY)], 1),
            ("two windows, refused", [window("d", FULL * 1000), window("e", FULL * 1000)], 1),
        ):
            sys.stdout.write(f"in Redis, {said}: {await in_redis(server, link, windows, amount):.0f} µs of the server\n")
        await link.aclose()


if __name__ == "__main__":
    asyncio.run(main())
