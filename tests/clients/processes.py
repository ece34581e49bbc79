"""The scripted upstream and a whole gateway, each in a process of its own: for clients in an environment without the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
GATEWAYS = ROOT / ".venv/bin/python"  # where the gateway is installed, whoever runs the tests
PYTHON = str(GATEWAYS) if GATEWAYS.exists() else sys.executable
START_S = 60.0
STOP_S = 15.0


@dataclass(frozen=True)
class Upstream:
    """The scripted upstream, from outside."""

    url: str

    def recorded(self) -> list[dict[str, Any]]:
        """Every request since the last `forget`, oldest first."""
        with urllib.request.urlopen(f"{self.url}/recorded", timeout=10) as answer:
            requests: list[dict[str, Any]] = json.load(answer)
        return requests

    def last(self) -> dict[str, Any]:
        """The latest request, which must be there."""
        return self.recorded()[-1]

    def forget(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/recorded", method="DELETE"), timeout=10).close()

    def wait_until_left(self, within_s: float = 10.0) -> dict[str, Any]:
        """The latest request, once its client has closed it before its end."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if (latest := self.last())["left"]:
                return latest
            time.sleep(0.02)
        raise AssertionError(f"the upstream's client had not left after {within_s} s")


def play(**cue: Any) -> str:
    """A prompt that says what is to be answered; see tests/clients/upstream/cue.py."""
    return f"play {json.dumps(cue)}"


@contextlib.contextmanager
def running_upstream() -> Iterator[Upstream]:
    command = [PYTHON, "-m", "tests.clients.upstream", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.match(r"listening on (\S+)", said)
        assert found is not None, f"the upstream did not start: {said!r}"
        yield Upstream(found[1])
    finally:
        _stop(process)


@contextlib.contextmanager
def running_gateway(folder: Path, policy: str, **environment: str) -> Iterator[str]:
    """Its URL. folder: for its policy, its data and its log. environment: variables besides this process's own."""
    (folder / "policy.yaml").write_text(policy)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "gateway.cli.main", "serve", "--policy", str(folder / "policy.yaml"), "--port", str(port)]
    variables = {**os.environ, "TURNOUT_DATA_DIR": str(folder), "PYTHONPATH": "", **environment}
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health/ready", process, folder / "gateway.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):  # nobody listens yet, or is still too busy to answer in time
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{log.read_text()}")


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def made_key(folder: Path) -> str:
    """The secret of a virtual key for the gateway that will run in this folder, which from then on needs one."""
    command = [PYTHON, "-m", "gateway.cli.main", "keys", "create", "--name", "clients", "--json"]
    variables = {**os.environ, "TURNOUT_DATA_DIR": str(folder)}
    made = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True, timeout=START_S)
    secret: str = json.loads(made.stdout)["secret"]
    return secret
