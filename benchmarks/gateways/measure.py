"""Measures contenders, one at a time, each started afresh in every round. Loopback only; whatever it starts, it stops.

The mock provider and the load generator share one core and the contender has another for itself (on Linux with two cores or
more), so that what is counted is its own.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateways.contenders import DIRECT, Contender
from benchmarks.gateways.load import Load, Result, Target, run
from benchmarks.gateways.results import Loaded, Round, percentiles
from benchmarks.gateways.starting import Launch
from benchmarks.gateways.workloads import WORKLOADS, Workload
from benchmarks.server import Server, environment
from gateway.providers.local import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0
IDLE_S, IDLE_CPU_S, IDLE_MAX_S = 0.3, 0.02, 20.0
WARM_UP_SHARE = 0.3
CORES = sorted(os.sched_getaffinity(0))[:2] if sys.platform == "linux" else []
OURS, THEIRS = (CORES[:1], CORES[1:]) if len(CORES) == 2 else ([], [])
# Against a noisy machine; only root may.
NICE = -10 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0

Raw = Callable[[str, str, Sequence[float]], None]  # contender, workload, latencies in seconds, in the order of their ends


@dataclass(frozen=True, slots=True)
class Provider:
    """The mock, running."""

    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    def sent(self) -> tuple[int, int]:
        """Requests answered and chunks of streams, since its start."""
        found = json.loads(_exchange(self.url, "GET", "/stats")[1])
        return found["requests"], found["chunks"]


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """The mock, until the block ends. Raises ServerFailed."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.gateways.mock_upstream", "--port", str(port)]
    env = environment(PYTHONPATH=str(ROOT))
    with Server("the mock", command, f"http://127.0.0.1:{port}", folder / "mock.log", env=env, cores=OURS, nice=NICE) as server:
        server.wait_ready("/", START_S)
        yield Provider(server)


class Measurement:
    """All rounds of one run. seconds: of the shortest loads. raw: is told every latency of a closed loop without streams."""

    def __init__(self, mock: Provider, seconds: float, raw: Raw, workloads: Mapping[str, Workload] = WORKLOADS) -> None:
        self._mock, self._seconds, self._raw, self._workloads = mock, seconds, raw, workloads
        self._serials = itertools.count()

    def round_of(self, contender: Contender, seed: int) -> Round:
        """Start it, load it, stop it. Raises ServerFailed, and CalledProcessError when what it needs cannot be made."""
        if contender.name == DIRECT:
            loads = self._loads(contender.name, Target(f"{self._mock.url}/v1"), None, seed)
            return Round(start_s=None, rss_idle_mib=None, rss_after_mib=None, loads=loads)
        with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder, contextlib.ExitStack() as beside:
            launch = Launch(Path(folder), free_port(), self._mock.url, tuple(OURS))
            start = contender.start(launch, beside)
            url, log = f"http://127.0.0.1:{launch.port}", launch.folder / "log"
            target = Target(f"{url}/v1", start.model, start.headers)
            env = environment(**start.env)
            with Server(contender.name, start.command, url, log, env=env, cores=THEIRS, nice=NICE) as server:
                server.wait_until(lambda: _answers(target), START_S, poll_s=0.01)
                start_s = time.monotonic() - server.started
                _settled_cpu_s(server)  # what it has put off until after its start takes memory too
                idle_bytes, _ = server.size()
                for is_stream in (False, True):
                    run(Load(target, self._serials, is_stream=is_stream).closed(8, min(self._seconds, 1.0)))
                loads = self._loads(contender.name, target, server, seed)
                after_bytes, _ = server.size()
        return Round(start_s=start_s, rss_idle_mib=idle_bytes / 2**20, rss_after_mib=after_bytes / 2**20, loads=loads)

    def _loads(self, name: str, target: Target, server: Server | None, seed: int) -> dict[str, Loaded]:
        found = {}
        cpu_s = _settled_cpu_s(server) if server else None
        for workload_name, workload in self._workloads.items():
            before, before_s = self._mock.sent(), cpu_s
            result = self._load(target, workload, seed)
            cpu_s = _settled_cpu_s(server) if server else None
            used_s = cpu_s - before_s if cpu_s is not None and before_s is not None else None
            after = self._mock.sent()
            if workload.concurrency and not workload.is_stream:
                self._raw(name, workload_name, result.latencies_s)
            found[workload_name] = Loaded(
                seconds=result.seconds,
                counted=len(result.latencies_s) - result.problems["no answer"],
                answers=result.answers,
                events=result.events,
                problems=dict(+result.problems),
                latency_ms=percentiles(result.latencies_s),
                ttft_ms=percentiles(result.ttfts_s),
                cpu_s=None if used_s is None else round(used_s, 3),
                upstream_requests=after[0] - before[0],
                upstream_chunks=after[1] - before[1],
            )
            _say(name, workload_name, found[workload_name])
        return found

    def _load(self, target: Target, workload: Workload, seed: int) -> Result:
        load = Load(target, self._serials, is_stream=workload.is_stream)
        seconds, warm_up_s = self._seconds * workload.times, self._seconds * WARM_UP_SHARE
        if workload.concurrency:
            return run(load.closed(workload.concurrency, seconds, warm_up_s))
        return run(load.open_(workload.rate, seconds, seed, warm_up_s))


def _settled_cpu_s(server: Server) -> float:
    """CPU seconds that it has used once it rests: what it does after its answers belongs to them. Raises ServerFailed."""
    until, used_s = time.monotonic() + IDLE_MAX_S, server.cpu_s()
    while time.monotonic() < until:
        time.sleep(IDLE_S)
        before_s, used_s = used_s, server.cpu_s()
        if used_s - before_s <= IDLE_CPU_S:
            break
    return used_s


def _say(name: str, workload: str, loaded: Loaded) -> None:
    p50, p99 = (loaded.latency_ms.get(share, float("nan")) for share in ("p50", "p99"))
    cpu = "" if loaded.cpu_s is None else f", {loaded.cpu_s:.2f} CPU s"
    problems = "".join(f", {count} × {problem}" for problem, count in loaded.problems.items())
    rps = loaded.counted / loaded.seconds
    print(f"  {name} {workload}: {rps:.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms{cpu}{problems}", file=sys.stderr, flush=True)
    if loaded.upstream_requests < 0.95 * loaded.answers:
        text = f"{name} {workload}: only {loaded.upstream_requests} of {loaded.answers} answers came from the provider"
        print(f"  ! {text}", file=sys.stderr, flush=True)


def _answers(target: Target) -> bool:
    body = {"model": target.model, "messages": [{"role": "user", "content": "Are you there?"}]}
    try:
        return _exchange(target.url, "POST", "/chat/completions", json.dumps(body), target.headers)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _exchange(
    url: str, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body. Raises OSError and http.client.HTTPException."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request(method, parts.path + path, body, {"content-type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
