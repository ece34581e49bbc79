"""`turnout serve`: run the gateway."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import shutil
import signal
import socket
import sys

import uvicorn

from gateway.app import Gateway, build_app
from gateway.cli.findings import find_models
from gateway.cli.table import coloured
from gateway.errors import ConfigError
from gateway.settings import Settings, load_settings

GRACE_S = 30
BACKLOG = 2048


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "serve",
        help="run the gateway",
        description="Run the gateway until it is told to stop (Ctrl-C or SIGTERM). Answers in flight get 30 s to finish.",
        epilog="example: turnout serve --policy policies/default.yaml --port 8080",
    )
    command.add_argument("--policy", metavar="FILE", help="the policy (default: $TURNOUT_POLICY or policies/default.yaml)")
    command.add_argument("--host", metavar="H", help="address to listen on (default: $TURNOUT_HOST or 127.0.0.1)")
    command.add_argument("--port", metavar="P", type=int, help="port to listen on (default: $TURNOUT_PORT or 8080)")
    command.add_argument(
        "--workers", metavar="N", type=_workers, default=1, help="processes (default: 1; more are not supported yet)"
    )
    command.add_argument(
        "--insecure", action="store_true", help="listen on an address that others reach, though no virtual key exists"
    )
    command.set_defaults(run=run)


def _workers(text: str) -> int:
    if text != "1":
        raise argparse.ArgumentTypeError(f"{text!r}: more than one worker is not supported yet")
    return 1


def run(args: argparse.Namespace) -> int:
    """Serve until stopped."""
    settings = load_settings(policy=args.policy, host=args.host, port=args.port, is_insecure=args.insecure)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    app = build_app(settings)
    listener = listen(settings)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
        log_config=None,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
    )
    server = _Server(config, settings, app)
    # uvicorn shuts down on SIGTERM, then raises it again; having shut down in good order is a success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    return 0 if server.started else 1


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises ConfigError when it cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {settings.host}: {exc.strerror or exc}; give another --host") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        what = f"port {settings.port} on {settings.host}"
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(f"{what} is in use; stop what listens there, or give --port or TURNOUT_PORT") from exc
        raise ConfigError(f"cannot listen on {what}: {exc.strerror}; give another --host or --port") from exc
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn's, with our first screen once it serves."""

    def __init__(self, config: uvicorn.Config, settings: Settings, app: Gateway) -> None:
        super().__init__(config)
        self._settings, self._app = settings, app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._app.current is not None:
            print(first_screen(self._settings, self._app), flush=True)


def first_screen(settings: Settings, app: Gateway) -> str:
    """What a user needs first: the address, the models found, what is missing, a line to paste."""
    assert app.current is not None
    policy = app.current.now.policy
    lines = [f"Turnout serves on {coloured(settings.url, 'bold')}  (policy {settings.policy}, {policy.hash})", ""]
    for found in find_models(policy, app.current.now.candidates()):
        lines.append(f"  {coloured(found.mark, found.colour)} {found.what}")
        if found.remedy:
            lines.append(f"      {found.remedy}")
    me = "turnout" if shutil.which("turnout") else os.path.relpath(sys.argv[0])
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    lines += [
        "",
        "Try it:",
        f"  curl {settings.url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'",
        f"or set your client's base URL to {settings.url}/v1. What was spent: {me} spend. What is amiss: {me} doctor.",
        "",
    ]
    return "\n".join(lines)
