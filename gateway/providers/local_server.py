"""llama.cpp's server as a program of its own: `python -m gateway.providers.local_server`. Imports no other gateway file.

`gateway/providers/local.py` starts it. It serves on 127.0.0.1 until SIGTERM or until its parent is gone, prints
`ready` on stdout once it listens, and warnings and errors on stderr.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

EXIT_FAILED = 1
EXIT_PORT_TAKEN = 75  # EX_TEMPFAIL of sysexits.h: another port would do
EXIT_CANNOT_RUN = 78  # EX_CONFIG: trying again will not help
KEY_VARIABLE = "TURNOUT_LOCAL_KEY"  # what callers must then present as a bearer token
READY = "ready"

_HTTP_THREADS = 64  # a request holds one until its answer is complete: too few, and /health waits behind them
_PR_SET_PDEATHSIG = 1


class CannotServe(Exception):
    """The message is one line for the operator; `status` is the exit status."""

    def __init__(self, message: str, status: int = EXIT_CANNOT_RUN) -> None:
        super().__init__(message)
        self.status = status


def die_with_parent() -> None:
    """Arrange that this process ends when its parent does, even by kill -9."""
    if sys.platform == "linux":
        # The signal comes when the parent's *thread* that started us ends, so the caller starts us from its loop's.
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Portable, and closes the race of a parent that died before prctl: its end of our stdin is closed.
    # Not for a terminal or /dev/null, so that the program can be run by hand or under nohup.
    mode = os.fstat(0).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=_exit_at_end_of_stdin, name="parent-watch", daemon=True).start()


def _exit_at_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def check_can_serve(gguf: Path, port: int) -> None:
    """Raises CannotServe where llama.cpp would fail with a page of log, or only after loading the weights."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise CannotServe("package 'xllamacpp' is not installed: pip install 'turnout[local]'")
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise CannotServe(f"model file '{gguf}': {exc.strerror}; give the path of a GGUF file") from exc
    if magic != b"GGUF":
        raise CannotServe(f"model file '{gguf}' is not GGUF: it begins with {magic!r}; download it again")
    with socket.socket() as probe:
        if os.name == "posix":  # as llama.cpp does: connections of a predecessor in TIME_WAIT are no obstacle
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise CannotServe(f"port {port} on 127.0.0.1: {exc.strerror}; choose another", EXIT_PORT_TAKEN) from exc


def serve(args: argparse.Namespace) -> object:
    """Load the weights and listen. The object returned is the server: it stops when it is collected."""
    import xllamacpp  # here, so that a missing package is a message and not a traceback

    params = xllamacpp.CommonParams()
    params.model.path = str(args.model)
    params.model_alias = {args.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    # llama.cpp divides n_ctx among its slots. --context is what one request may use.
    params.n_ctx = args.context * args.parallel
    params.n_parallel = args.parallel
    params.n_threads_http = _HTTP_THREADS
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.verbosity = 1  # errors: its warnings come with each repeated prompt and may quote a client
    params.cache_ram_mib = 0  # by default it keeps up to 8 GB of old prompts
    params.cache_idle_slots = False  # needs that cache
    # Any page in a browser on this machine may call a port of 127.0.0.1; by default it could read the answers.
    params.cors_origins = "http://turnout.invalid"
    params.ui = False
    # From the environment, since other users of this machine can read a command line.
    if key := os.environ.get(KEY_VARIABLE):
        params.api_keys = [key]
    params.endpoint_slots = False  # it shows who is asking what
    try:
        return xllamacpp.Server(params)
    except RuntimeError as exc:
        # llama.cpp has said why on stderr. One cause can be known here: the port went since it was checked.
        check_can_serve(args.model, args.port)
        raise CannotServe(f"llama.cpp could not start '{args.model}': {exc}", EXIT_FAILED) from exc


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.providers.local_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="GGUF")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context", type=int, default=2048, help="tokens one request may use, prompt and answer")
    parser.add_argument("--parallel", type=int, default=2, help="requests answered at a time; more wait")
    parser.add_argument("--threads", type=int, default=1, help="fewer than cores: see LocalModel in local.py")
    parser.add_argument("--alias", default="local", help="the model's name in answers")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # run by hand, Ctrl-C ends it without a traceback
    try:
        check_can_serve(args.model, args.port)
        server = serve(args)
    except CannotServe as exc:
        sys.stderr.write(f"local_server: {exc}\n")
        return exc.status
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    threading.Event().wait()  # llama.cpp serves from its own threads; SIGTERM's default action ends the process
    del server
    return 0


if __name__ == "__main__":
    sys.exit(main())
