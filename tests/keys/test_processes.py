"""The real thing in processes of their own: a gateway with workers, and a command line beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.crashes import free_port
from benchmarks.server import TURNOUT, environment
from tests.keys.making import bearer, make
from tests.processes.gateways import all_serve, gateway
from tests.scenario.policies import one_model

pytestmark = pytest.mark.timeout(90)

SOON_S = 20.0


def turnout(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = environment(TURNOUT_DATA_DIR=str(folder), NO_COLOR="1")
    return subprocess.run([*TURNOUT, *words], capture_output=True, text=True, timeout=40, env=env, check=False)


def keys(folder: Path, *words: str) -> Any:
    done = turnout(folder, "keys", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def statuses(url: str, headers: dict[str, str]) -> set[int]:
    """Of ten requests on connections of their own, so that both workers have some of them."""
    return {httpx.get(f"{url}/v1/models", headers=headers, timeout=10).status_code for _ in range(10)}


def eventually(url: str, headers: dict[str, str], status: int) -> None:
    until = time.monotonic() + SOON_S
    while (found := statuses(url, headers)) != {status}:
        assert time.monotonic() < until, found


def test_every_worker_sees_what_another_process_makes_and_revokes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, policy=one_model(), workers=2) as server:
            await asyncio.to_thread(steps, server.url)
            assert "no virtual key: programs on this machine are served without one" in server.log.read_text()

    def steps(url: str) -> None:
        assert statuses(url, {}) == {200}
        made = keys(tmp_path, "create", "--requests", "100/h")
        eventually(url, {}, 401)
        eventually(url, bearer(made["secret"]), 200)
        ready = httpx.get(f"{url}/health/ready").json()
        assert ready["status"] == "degraded" and "each worker counts them by itself" in ready["problems"][0]
        rotated = keys(tmp_path, "rotate", made["id"], "--overlap", "0s")
        eventually(url, bearer(made["secret"]), 401)
        eventually(url, bearer(rotated["secret"]), 200)
        assert turnout(tmp_path, "keys", "revoke", made["id"]).returncode == 0
        eventually(url, bearer(rotated["secret"]), 401)

    asyncio.run(scenario())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_other_address_without_a_key(tmp_path: Path, workers: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(one_model())
    done = turnout(
        tmp_path, "serve", "--policy", str(policy), "--host", "0.0.0.0", "--port", str(free_port()), "--workers", workers
    )
    assert done.returncode == 1
    assert "refusing to listen on 0.0.0.0: there is no virtual key" in done.stderr


def test_a_worker_that_is_started_anew_without_the_keys_serves_nobody(tmp_path: Path) -> None:
    _, secret = make(tmp_path)
    file, away = tmp_path / "keys.db", tmp_path / "away.db"

    async def scenario() -> None:
        async with gateway(tmp_path, policy=one_model(), workers=2) as server:
            pids = await all_serve(server, 2)
            file.rename(away)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(SOON_S):
                while "virtual keys were made here" not in server.log.read_text():  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.05)
            with pytest.raises(httpx.TransportError):
                await asyncio.to_thread(statuses, server.url, {})
            away.rename(file)
            await all_serve(server, 2, but=pids)
            await asyncio.to_thread(eventually, server.url, {}, 401)
            await asyncio.to_thread(eventually, server.url, bearer(secret), 200)

    asyncio.run(scenario())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_start_where_keys_were_made_and_are_lost(tmp_path: Path, workers: str) -> None:
    make(tmp_path)
    (tmp_path / "keys.db").unlink()
    policy = tmp_path / "policy.yaml"
    policy.write_text(one_model())
    done = turnout(tmp_path, "serve", "--policy", str(policy), "--port", str(free_port()), "--workers", workers)
    assert done.returncode == 1
    assert done.stderr.startswith("turnout: virtual keys were made here, as '"), done.stderr


def test_any_address_with_a_key(tmp_path: Path) -> None:
    _, secret = make(tmp_path)

    async def scenario() -> None:
        async with gateway(tmp_path, policy=one_model(), TURNOUT_HOST="0.0.0.0") as server:
            async with httpx.AsyncClient(base_url=server.url, headers={"host": "gateway.example.com"}) as http:
                assert (await http.get("/v1/models")).status_code == 401
                assert (await http.get("/v1/models", headers=bearer(secret))).status_code == 200
            said = server.log.read_text()
            assert "1 virtual key: callers need one" in said
            assert '-H "authorization: Bearer $KEY"' in said

    asyncio.run(scenario())
