"""One contender through one scenario: providers, contender and load, and what all three noted."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from benchmarks.chaos.answers import questions
from benchmarks.chaos.contender import ROOT, START_S
from benchmarks.chaos.load import Load, Record, send
from benchmarks.chaos.script import Call, Phase, Script, Target
from benchmarks.server import Server, environment
from gateway.providers.local import free_port

Start = Callable[[Path, Mapping[str, int]], Server]
"""Starts a contender, given a folder and the port of each target."""
PROVIDERS_START_S = 10.0
BEGIN_S = 0.2  # from naming the zero to it
WARM_UP = Load(rate=8, seconds=2)
WARM_UP_CASES = 50_000_000


@dataclass(frozen=True)
class Run:
    """records: of the load, as they were due. calls: of the providers, as they ended.

    cpu_s: of the contender. waited_s: for how long it was ready to work and had no core.
    """

    scenario: str
    contender: str
    load: Load
    targets: list[Target]
    records: list[Record]
    calls: list[Call]
    cpu_s: float
    waited_s: float


def run(
    scenario: str, contender: str, start: Start, load: Load, phases: Mapping[str, list[Phase]], folder: Path, seed: int
) -> Run:
    """Play it. Raises ServerFailed."""
    targets = [Target(name, free_port(), spans) for name, spans in phases.items()]
    with start(folder / "contender", {target.name: target.port for target in targets}) as server:
        server.wait_ready("/healthz", START_S)
        with providers(Script(seed, targets), folder) as log:
            _warm_up(server.url, seed)
            zero_s = begin(targets)
            cpu_s, waited_s = server.cpu_s(), server.waited_s()
            records = uvloop.run(send(server.url, load, questions(seed, load.stream_share, load.long_share), zero_s, seed))
            cpu_s, waited_s = server.cpu_s() - cpu_s, server.waited_s() - waited_s
    asked = {record.case for record in records}
    noted = (msgspec.json.decode(line, type=Call) for line in log.read_bytes().splitlines())
    calls = [call for call in noted if call.case in asked]
    return Run(scenario, contender, load, targets, records, calls, cpu_s, waited_s)


def _warm_up(url: str, seed: int) -> None:
    """A few questions before the time that counts: imports on first use, connections, the first latencies of a strategy."""
    asked = questions(seed, WARM_UP.stream_share, WARM_UP.long_share, WARM_UP_CASES)
    uvloop.run(send(url, WARM_UP, asked, time.monotonic(), seed))


@contextlib.contextmanager
def providers(script: Script, folder: Path) -> Iterator[Path]:
    """The scripted providers, listening; their log, which is complete once the block is left."""
    file, log = folder / "script.json", folder / "calls.jsonl"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(script)))
    command = [sys.executable, "-m", "benchmarks.chaos.provider", "--script", str(file), "--log", str(log)]
    env = environment(PYTHONPATH=str(ROOT))
    until = time.monotonic() + PROVIDERS_START_S
    up = [target for target in script.targets if target.phases[0].kind != "down"]
    with Server("the scripted providers", command, "http://127.0.0.1", folder / "provider.log", env=env) as server:
        while not all(_listens(target.port) for target in up):
            if time.monotonic() > until:
                raise server.failed(f"did not listen within {PROVIDERS_START_S:g} s")
            time.sleep(0.05)
        yield log


def begin(targets: Sequence[Target]) -> float:
    """Tell the providers to begin with their timetable; its zero on the monotonic clock."""
    zero_s = time.monotonic() + BEGIN_S
    connection = http.client.HTTPConnection("127.0.0.1", targets[0].port, timeout=BEGIN_S)
    connection.request("PUT", "/zero", repr(zero_s))
    connection.getresponse().read()
    connection.close()
    return zero_s


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
