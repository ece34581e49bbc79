"""Who is put in front of the scripted providers: each a server of its own, made ready for one scenario."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.server import TURNOUT, Server, environment
from gateway.providers.local import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


def upstream(port: int) -> str:
    """Where a target of the script listens."""
    return f"http://127.0.0.1:{port}/v1"


def turnout(folder: Path, policy: Mapping[str, Any], **env: str) -> Server:
    """The gateway under this policy, with a data directory of its own. env: further variables. Wait for /healthz."""
    folder.mkdir(parents=True)
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(dict(policy), sort_keys=False))
    port = free_port()
    command = [*TURNOUT, "serve", "--policy", str(file), "--port", str(port)]
    return _server("turnout", command, port, folder, **env)


def litellm_router(folder: Path, options: Mapping[str, Any]) -> Server:
    """LiteLLM's Router made with these options, behind the least server there can be. Wait for /healthz."""
    folder.mkdir(parents=True)
    file = folder / "router.json"
    file.write_text(json.dumps(options, indent=1))
    port = free_port()
    app = "benchmarks.chaos.litellm_server:app"
    command: Sequence[str] = [
        sys.executable,
        "-m",
        "uvicorn",
        app,
        "--no-access-log",
        "--log-level",
        "warning",
        "--port",
        str(port),
    ]
    return _server(
        "LiteLLM's Router", command, port, folder, ROUTER=str(file), LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR"
    )


def _server(name: str, command: Sequence[str], port: int, folder: Path, **env: str) -> Server:
    whole = environment(TURNOUT_DATA_DIR=str(folder), PYTHONPATH=str(ROOT), **env)
    return Server(name, command, f"http://127.0.0.1:{port}", folder / "server.log", env=whole)
