"""SIGTERM as an operator sends it: what is under way ends well, what cannot says so, and all of it is in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.crashes import free_port
from benchmarks.server import Server, environment
from benchmarks.witness import Answer, Witness, ask, booked
from gateway.cli.server import END_S, LINGER_S
from gateway.cli.supervise import KILL_S
from gateway.ledger.sqlite import BUSY_TIMEOUT_MS
from gateway.ledger.writer import CLOSE_S
from tests.processes.gateways import SLOW, ended, gateway

pytestmark = pytest.mark.timeout(60)


def test_under_load_no_request_that_was_accepted_fails_and_entries_are_answers(tmp_path: Path) -> None:
    async def scenario() -> Witness:
        async with gateway(tmp_path) as server:
            async with Witness(server.url, clients=12, stops_at_failure=True) as witness:
                await witness.answered(40)
                os.kill(server.pid, signal.SIGTERM)
                assert await ended(server) == 0
            assert server.log.read_text().count("ERROR") == 0
        return witness

    witness = asyncio.run(scenario())
    assert not [answer for answer in witness.answers.values() if answer.has_begun and not answer.is_whole]
    entries = booked(tmp_path / "ledger.db")
    assert {id_ for id_, *_ in entries} == witness.whole
    assert len(entries) == len(witness.whole)
    assert {outcome for _, _, outcome, _ in entries} == {"ok"}
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_outlasts_the_grace_time_is_broken_off_and_says_so_and_all_of_it_is_booked(tmp_path: Path) -> None:
    async def scenario() -> list[Answer]:
        async with gateway(tmp_path, policy=SLOW, TURNOUT_GRACE_S="0.5") as server, client(server) as http:
            asked = [asyncio.create_task(ask(http, f"r-{n}", is_stream=n % 2 == 0)) for n in range(6)]
            await asyncio.sleep(1)
            for leaver in asked[:2]:
                leaver.cancel()
            await asyncio.sleep(0.5)
            os.kill(server.pid, signal.SIGTERM)
            answers = await asyncio.gather(*asked[2:])
            assert await ended(server) == 0
            assert "4 answers in flight were broken off after the grace time of 0.5 s" in server.log.read_text()
        return answers

    answers = asyncio.run(scenario())
    assert answers[0::2] == [Answer(200, has_begun=True, error="shutting_down")] * 2
    assert answers[1::2] == [Answer(503, has_begun=True, error="shutting_down")] * 2
    entries = booked(tmp_path / "ledger.db")
    left = {(f"r-{n}", "cancelled", 499) for n in range(2)}
    assert {(id_, outcome, status) for id_, _, outcome, status in entries} == left | {
        (f"r-{n}", "error", 503) for n in range(2, 6)
    }
    assert len(entries) == 6


@pytest.mark.parametrize(("workers", "second"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
def test_a_second_signal_ends_the_grace_time_at_once(tmp_path: Path, workers: int, second: signal.Signals) -> None:
    async def scenario() -> tuple[Answer, float]:
        async with gateway(tmp_path, policy=SLOW, workers=workers, TURNOUT_GRACE_S="60") as server, client(server) as http:
            stream = asyncio.create_task(ask(http, "the-one", is_stream=True))
            await asyncio.sleep(1)
            assert (await http.get("/health/ready")).status_code == 200
            os.kill(server.pid, signal.SIGTERM)
            # The first must have been heard: two SIGTERM that wait for a busy process are one.
            while "connection" not in (await http.get("/health/ready")).headers:  # on a connection from before
                pass
            assert not stream.done()
            told = time.monotonic()
            os.kill(server.pid, second)
            answer = await stream
            assert await ended(server) == 0
            return answer, time.monotonic() - told

    answer, took_s = asyncio.run(scenario())
    assert answer == Answer(200, has_begun=True, error="shutting_down")
    assert took_s < 25  # the answer would take another 38, the grace time 60
    assert [(id_, outcome) for id_, _, outcome, _ in booked(tmp_path / "ledger.db")] == [("the-one", "error")]


def test_while_it_drains_it_is_not_ready_takes_no_connections_and_answers_what_is_on_its_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, policy=SLOW, TURNOUT_GRACE_S="30") as server, client(server) as http:
            stream = asyncio.create_task(ask(http, "the-one", is_stream=True))
            await asyncio.sleep(0.5)
            assert (await http.get("/health/ready")).status_code == 200
            os.kill(server.pid, signal.SIGTERM)
            while "connection" not in (ready := await http.get("/health/ready")).headers:  # on a connection from before
                pass
            assert (ready.status_code, ready.json()["status"], ready.headers["connection"]) == (503, "draining", "close")
            with pytest.raises(httpx.ConnectError):
                await httpx.AsyncClient().get(f"{server.url}/health/ready")
            os.kill(server.pid, signal.SIGTERM)
            await stream
            assert await ended(server) == 0

    asyncio.run(scenario())


def test_a_client_that_neither_sends_nor_reads_does_not_keep_it_from_ending_in_good_order(tmp_path: Path) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5000\r\n\r\n"

    async def scenario() -> str:
        async with gateway(tmp_path, TURNOUT_GRACE_S="0.2") as server:
            sends_half = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), timeout=40)
            with sends_half:
                sends_half.sendall(head.encode() + b'{"model":')
                await asyncio.sleep(0.5)
                os.kill(server.pid, signal.SIGTERM)
                assert await ended(server) == 0
                with contextlib.suppress(ConnectionResetError):
                    assert sends_half.recv(100) == b""
            return server.log.read_text()

    said = asyncio.run(scenario())
    assert "1 requests did not end and were cut" in said
    assert "Traceback" not in said


# The signal comes when the command has its handlers, and uvicorn not yet.
TOLD_EARLY = """
import signal, sys
from gateway.cli import main, server
run = server.Server.run
def told_early(self, sockets=None):
    signal.raise_signal(signal.SIGTERM)
    run(self, sockets)
server.Server.run = told_early
sys.exit(main.main(sys.argv[1:]))
"""


def test_a_signal_that_comes_just_before_it_serves_is_not_lost(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TOLD_EARLY, "serve", "--port", str(free_port())]
    env = environment(TURNOUT_DATA_DIR=str(tmp_path), NO_COLOR="1")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_worker_that_ends_in_good_order_is_never_killed() -> None:
    """However slowly it does: requests that do not end are cut and cancelled, then the ledger waits for a locked database."""
    serving_s = LINGER_S + END_S + LINGER_S + END_S
    assert serving_s + CLOSE_S + BUSY_TIMEOUT_MS / 1000 < KILL_S


def client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=40)
