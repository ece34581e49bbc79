"""Several workers behind one address: one first screen, one `/metrics`, and refusals that are said once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.crashes import free_port, missing
from benchmarks.server import TURNOUT, environment
from benchmarks.witness import POLICY, Witness, booked, doubles
from tests.processes.gateways import all_serve, ended, gateway

pytestmark = pytest.mark.timeout(60)

LOCAL = POLICY.replace("kind: fake, ttft: 20ms, tokens_per_second: 250, words: 20", "kind: local").replace(
    "id: x", "id: smollm2-135m-instruct, context: 2048"
)


def test_a_worker_that_is_killed_is_replaced_and_neither_entries_nor_counts_are_lost(tmp_path: Path) -> None:
    async def scenario() -> set[str]:
        async with gateway(tmp_path, workers=2) as server:
            victim, survivor = await all_serve(server, 2)
            async with Witness(server.url) as early:
                await early.answered(20)
            await told(server.url, len(early.whole))  # and it is in the file of the one that is about to be killed
            async with Witness(server.url) as late:
                await late.answered(20)
                os.kill(victim, signal.SIGKILL)
                await late.answered(20)  # by the one that is left
                assert survivor in await all_serve(server, 2, but={victim})
            whole = early.whole | late.whole
            assert len(early.whole) < await counted_by(server.url) <= len(whole) + len(late.answers) - len(late.whole)
            assert missing(tmp_path / "ledger.db", whole, 15) == set()
            said = server.log.read_text()
            assert said.count("was ended by SIGKILL; its successor starts in") == 1
            assert said.count("Turnout serves on") == 1
            os.kill(server.pid, signal.SIGTERM)
            assert await ended(server) == 0
        return whole

    whole = asyncio.run(scenario())
    assert whole <= {id_ for id_, *_ in booked(tmp_path / "ledger.db")}
    assert doubles(tmp_path / "ledger.db") == 0
    assert list((tmp_path / "spool").iterdir()) == list((tmp_path / "workers").iterdir()) == []


def test_a_successor_that_cannot_be_started_does_not_end_those_that_serve(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, workers=2) as server:
            supervisor = psutil.Process(server.pid)
            pids = await all_serve(server, 2)
            before = supervisor.rlimit(psutil.RLIMIT_NOFILE)
            supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))
            os.kill(pids[1], signal.SIGKILL)
            async with asyncio.timeout(20):
                while True:
                    if "cannot be started: Too many open files" in server.log.read_text():
                        break
                    await asyncio.sleep(0.05)
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{server.url}/health/live")).status_code == 200
            supervisor.rlimit(psutil.RLIMIT_NOFILE, before)
            await all_serve(server, 2, but=[pids[1]])

    asyncio.run(scenario())


async def counted_by(url: str) -> float:
    async with httpx.AsyncClient() as http:
        return counted((await http.get(f"{url}/metrics")).text)


async def told(url: str, answers: int) -> None:
    """Returns when ten scrapes in a row, each on a connection and so of a worker of its own, say so many. Raises TimeoutError."""
    in_a_row = 0
    async with asyncio.timeout(15):
        while in_a_row < 10:
            in_a_row = in_a_row + 1 if await counted_by(url) == answers else 0
            await asyncio.sleep(0.02)


def counted(text: str) -> float:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return sum(s.value for s in families["turnout_requests"].samples if s.labels["outcome"] == "ok")


def test_a_policy_that_cannot_be_served_is_refused_once(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(LOCAL)
    done = start(tmp_path, free_port(), "--policy", str(tmp_path / "policy.yaml"))
    assert done.returncode == 1
    assert done.stderr.count("each of 2 workers would start it") == 1, done.stderr
    assert "worker 2" not in done.stderr and "serves on" not in done.stdout


def test_an_address_that_another_gateways_workers_have_is_refused_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start(tmp_path, port)
    assert done.returncode == 1
    assert done.stderr.count(f"port {port} on 127.0.0.1 is in use") == 1
    assert len(done.stderr.splitlines()) == 1


def start(data_dir: Path, port: int, *args: str) -> subprocess.CompletedProcess[str]:
    """A gateway of two workers, once it has ended by itself."""
    command = [*TURNOUT, "serve", "--port", str(port), "--workers", "2", *args]
    env = environment(TURNOUT_DATA_DIR=str(data_dir), NO_COLOR="1")
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)
