"""Gateways as processes of their own, for tests that end them: started from a folder, asked, signalled, and looked at after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from benchmarks.crashes import free_port, serve, workers_of
from benchmarks.server import Server

START_S = 40.0
END_S = 30.0

# Each answer takes forty seconds.
SLOW = """
version: 1
providers: {rehearsed: {kind: fake, ttft: 20ms, tokens_per_second: 4, words: 160}}
models: {m: {provider: rehearsed, id: x, price: {input: 1, output: 2}}}
routes: [{name: all, model: m}]
"""


@asynccontextmanager
async def gateway(folder: Path, *, policy: str | None = None, workers: int = 1, **env: str) -> AsyncIterator[Server]:
    """A gateway that serves; every process of it is gone when the block is left."""
    more = {} if policy is None else {"policy": policy}
    with serve(folder, free_port(), workers=workers, **more, **env) as server:
        await asyncio.to_thread(server.wait_ready, "/health/ready", START_S)
        if workers > 1:
            await all_serve(server, workers)
        yield server


async def all_serve(server: Server, workers: int, but: Collection[int] = ()) -> list[int]:
    """Process ids of the workers, once there are so many and the log says of each that it serves. but: not these."""
    async with asyncio.timeout(START_S):
        while True:
            pids = [pid for pid in workers_of(server) if pid not in but]
            said = server.log.read_text()
            if len(pids) == workers and all(f"serves (process {pid})" in said for pid in pids):
                return pids
            await asyncio.sleep(0.05)


async def ended(server: Server) -> int:
    """Its exit status."""
    return await asyncio.to_thread(server.ended_within, END_S)


def gone_within(pids: list[int], limit_s: float) -> bool:
    """Whether all of these processes have ended."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            return True
        time.sleep(0.05)
    return False
