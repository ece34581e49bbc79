"""The gateways to compare with: where they are installed, how, and how each is set up and started.

    python -m benchmarks.gateways.peers install litellm portkey pyreqwest     into $BENCH_HOME (.venv-peers without it)
    apt-get install nginx-light

Each is set up as its documents say for production: no log of requests, a key where it has them, no database, one provider.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gateways.starting import Launch, Start, bearer

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-5f0c1d9a7b3e48d2a6c4e8f1b7d90321"  # for those that want a key of their own; opens nothing
PIP = {"litellm": ["litellm[proxy]==1.106.2"], "pyreqwest": ["pyreqwest", "uvicorn", "uvloop", "httptools"]}
NPM = {"portkey": "@portkey-ai/gateway@1.15.2"}
# With newer versions of this dependency Portkey 1.15.2 answers 500 to every stream (Portkey-AI/gateway issue 1389).
NPM_MANIFEST = {"private": True, "overrides": {"@hono/node-server": "1.14.1"}}


def home() -> Path:
    """Where peers are installed."""
    return Path(os.environ.get("BENCH_HOME") or ROOT / ".venv-peers")


def program(peer: str, name: str) -> Path:
    """A program in the environment of a peer that pip installs."""
    return home() / f"venv-{peer}" / "bin" / name


def portkey_script() -> Path:
    return home() / "npm/node_modules/@portkey-ai/gateway/build/start-server.js"


def nginx_missing() -> str | None:
    return None if shutil.which("nginx", path=_path()) else "nginx is not installed: apt-get install nginx-light"


def portkey_missing() -> str | None:
    if not shutil.which("node"):
        return "it needs Node.js"
    return None if portkey_script().exists() else _install_hint("portkey")


def litellm_missing() -> str | None:
    return None if program("litellm", "litellm").exists() else _install_hint("litellm")


def pyreqwest_missing() -> str | None:
    return None if program("pyreqwest", "python").exists() else _install_hint("pyreqwest")


def _install_hint(peer: str) -> str:
    return f"not installed: python -m benchmarks.gateways.peers install {peer}"


def nginx_version() -> str:
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True, env={"PATH": _path()})
    found = re.search(r"\d+(\.\d+)+", said.stderr + said.stdout)
    return found[0] if found else ""


def portkey_version() -> str:
    return str(json.loads((portkey_script().parents[1] / "package.json").read_text())["version"])


def pip_version(peer: str) -> str:
    """Of the package that is called like the peer."""
    ask = f"import importlib.metadata as m; print(m.version({peer!r}))"
    return subprocess.run([program(peer, "python"), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def nginx(launch: Launch) -> Start:
    configuration = launch.folder / "nginx.conf"
    configuration.write_text(
        f"""worker_processes 1; daemon off; pid {launch.folder}/nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  upstream provider {{ server {launch.upstream.removeprefix("http://")}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{launch.port} backlog=4096;
    keepalive_requests 1000000;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""
    )
    return Start(["nginx", "-p", str(launch.folder), "-c", str(configuration)], {"PATH": _path()}, model="mock")


def litellm(launch: Launch) -> Start:
    configuration = launch.folder / "litellm.yaml"
    parameters = {"model": "openai/mock", "api_base": f"{launch.upstream}/v1", "api_key": "sk-mock"}
    configuration.write_text(json.dumps({"model_list": [{"model_name": "mock", "litellm_params": parameters}]}))
    command = [str(program("litellm", "litellm")), "--config", str(configuration), "--host", "127.0.0.1"]
    env = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it tries to download its list of prices at every start
    }
    return Start([*command, "--port", str(launch.port), "--num_workers", "1"], env, bearer(KEY), "mock")


def portkey(launch: Launch) -> Start:
    command = ["node", str(portkey_script()), "--headless", f"--port={launch.port}"]
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{launch.upstream}/v1"}
    return Start(command, env, headers | bearer("sk-mock"), "mock")  # it has no keys of its own; this one goes on to the provider


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


def install(peer: str) -> None:
    """Into `home()`, from the registry that pip or npm is set up for. Raises CalledProcessError."""
    if peer in PIP:
        folder = home() / f"venv-{peer}"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *PIP[peer]], check=True)
        return
    folder = home() / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(NPM_MANIFEST))
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), NPM[peer]], check=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateways.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["install"])
    parser.add_argument("peers", nargs="+", choices=[*PIP, *NPM])
    for peer in parser.parse_args(argv).peers:
        print(f"installing {peer} into {home()}", flush=True)
        install(peer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
