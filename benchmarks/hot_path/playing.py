"""Plays a scenario to a gateway in this process and counts what a request costs. Needs `stillness` installed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile

from benchmarks.hot_path import stillness
from benchmarks.hot_path.counting import Counts, count
from benchmarks.hot_path.network import InMemoryLoop
from benchmarks.hot_path.peers import Client, Provider
from benchmarks.hot_path.scenarios import POLICIES, SCENARIOS, Scenario
from gateway.app import build_app
from gateway.cli.server import Server
from gateway.keys.model import VirtualKey
from gateway.keys.opening import open_keys
from gateway.keys.secret import digest_of, new_id, new_secret
from gateway.settings import Settings, load_settings

WARM_UP = 20  # requests until nothing is done for the first time, twice
SETTLE_S = 5.0  # until what is done later is done, such as writing the ledger and learning what prompts have in common
BETWEEN_S = 0.0001  # from one request to the next
COUNTED = 20
REQUESTS = 100  # more than are asked
START_S = 60.0


def play(name: str) -> Counts:
    """What a request of the scenario costs."""
    scenario = SCENARIOS[name]
    os.environ["UPSTREAM"] = "http://127.0.0.1:9/v1"  # where the policies say that their provider is
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=lambda: InMemoryLoop(Provider)) as runner:
        settings = load_settings(policy=str(POLICIES / scenario.policy), env={"TURNOUT_DATA_DIR": folder})
        return runner.run(_counted(scenario, settings, _key(settings)))


def _key(settings: Settings) -> str:
    """The secret of a new virtual key."""
    secret = new_secret()
    store = open_keys(settings)
    try:
        store.add(VirtualKey(id=new_id(), created_at=stillness.wall(), name="hot path"), digest_of(secret.encode()))
    finally:
        store.close()
    return secret


async def _counted(scenario: Scenario, settings: Settings, secret: str) -> Counts:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, InMemoryLoop)
    ready, asked = asyncio.Event(), 0
    with socket.socket() as listener:
        server = Server(build_app(settings), 0.0, ready.set)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(START_S):
            await ready.wait()
        client = Client(loop)
        # Made beforehand, so that the memory this takes is not counted.
        requests = [scenario.request(number, secret) for number in range(1 if scenario.is_same else REQUESTS)]

        async def once() -> None:
            nonlocal asked
            await client.ask(requests[asked % len(requests)])
            asked += 1
            stillness.go_on(BETWEEN_S)

        for _ in range(2):
            for _ in range(WARM_UP):
                await once()
            await asyncio.sleep(SETTLE_S)
        with loop.without_timers():
            for _ in range(2):
                await once()
            counts = await count(once, COUNTED)
        client.close()
        server.handle_exit(signal.SIGTERM, None)
        await serving
    return counts
