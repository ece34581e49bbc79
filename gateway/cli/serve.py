"""`turnout serve`: run the gateway."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import shutil
import signal
import socket
import sys

from gateway.app import build_app
from gateway.cli.key_findings import find_keys
from gateway.cli.listen import listen
from gateway.cli.model_findings import find_models
from gateway.cli.server import BACKLOG, Server
from gateway.cli.supervise import READY, supervise, worker_command
from gateway.cli.table import coloured
from gateway.front import Gateway
from gateway.settings import Settings, load_settings

# Requests under load make and drop thousands of objects at a time, of which hardly one is part of a cycle; Python's own first
# threshold, 700, has the collector look at them every few requests, at 4 % of the CPU.
GC_THRESHOLDS = (10_000, 20, 20)


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Run the gateway until it is told to stop (Ctrl-C or SIGTERM). "
        "Answers in flight get $TURNOUT_GRACE_S seconds to finish (default: 30)."
    )
    command.epilog = "example: turnout serve --policy policies/default.yaml --port 8080"
    command.add_argument("--policy", metavar="FILE", help="the policy (default: $TURNOUT_POLICY or policies/default.yaml)")
    command.add_argument("--host", metavar="H", help="address to listen on (default: $TURNOUT_HOST or 127.0.0.1)")
    command.add_argument("--port", metavar="P", type=int, help="port to listen on (default: $TURNOUT_PORT or 8080)")
    command.add_argument(
        "--workers", metavar="N", type=int, help="processes, started anew when they end (default: $TURNOUT_WORKERS or 1)"
    )
    command.add_argument(
        "--insecure", action="store_true", help="listen on an address that others reach, though no virtual key exists"
    )
    # How the supervisor starts its workers.
    command.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    command.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--metrics-folder", help=argparse.SUPPRESS)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until stopped."""
    settings = load_settings(
        policy=args.policy,
        host=args.host,
        port=args.port,
        is_insecure=args.insecure,
        workers=args.workers,
        worker=args.worker,
        metrics_folder=args.metrics_folder,
    )
    who = "" if settings.workers == 1 else f" worker {settings.worker}" if settings.worker else " supervisor"
    form = f"%(asctime)s %(levelname)-7s{who} %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    if settings.workers > 1 and settings.worker is None:
        return supervise(settings, worker_command(settings))
    return _serve(settings, is_announced=settings.worker is None or args.announce)


def _serve(settings: Settings, *, is_announced: bool) -> int:
    """One process that serves. is_announced: with the first screen."""
    gc.disable()  # until all is there that stays
    gc.set_threshold(*GC_THRESHOLDS)
    leash = None if settings.worker is None else socket.socket(fileno=os.dup(sys.stdin.fileno()))
    app = build_app(settings)
    listener = listen(settings, BACKLOG)

    def ready() -> None:
        gc.freeze()  # what is there now is not looked at again
        gc.enable()
        if is_announced:
            print(first_screen(settings, app), flush=True)
        if leash is not None:
            with contextlib.suppress(OSError):  # the supervisor has ended, as the server is about to see
                leash.send(READY)

    server = Server(app, settings.grace_s, ready, leash)
    # uvicorn installs the same handler while it runs. A signal that comes before must end the server, too, and one that comes
    # after its end must not spoil the exit status.
    signal.signal(signal.SIGTERM, server.handle_exit)
    signal.signal(signal.SIGINT, server.handle_exit)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    return 0 if server.started else 1


def first_screen(settings: Settings, app: Gateway) -> str:
    """What a user needs first: the address, the models found, what is missing, a line to paste."""
    assert app.current is not None
    policy = app.current.now.policy
    many = "" if settings.workers == 1 else f", {settings.workers} workers"
    lines = [f"Turnout serves on {coloured(settings.url, 'bold')}  (policy {settings.policy}, {policy.hash}{many})", ""]
    for found in (find_keys(settings).finding, *find_models(policy, app.current.now.candidates())):
        lines.append(f"  {coloured(found.mark, found.colour)} {found.what}")
        if found.remedy:
            lines.append(f"      {found.remedy}")
    me = "turnout" if shutil.which("turnout") else os.path.relpath(sys.argv[0])
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    key = ' -H "authorization: Bearer $KEY"' if app.directory.is_closed else ""
    lines += [
        "",
        "Try it" + (", with the secret of a virtual key as $KEY:" if key else ":"),
        f"  curl {settings.url}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body}'",
        f"or set your client's base URL to {settings.url}/v1. What was spent: {me} spend. What is amiss: {me} doctor.",
        "",
    ]
    return "\n".join(lines)
