"""`turnout serve --workers N`: processes that serve one address, started anew when they end. Serves nothing itself.

Each worker is this command again, with a socket as its standard input: it says there that it serves, and sees there that
the supervisor has ended. Started and not forked: a fork takes over locks that threads of the parent hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.cli.listen import bind
from gateway.keys.opening import keys_exist
from gateway.settings import Settings, check_address
from gateway.workers import metrics_folder

log = logging.getLogger("turnout.supervisor")

PAUSE_S = 0.5  # before a worker that has just been started is started anew; doubles each time
PAUSE_MAX_S = 30.0
STEADY_S = 10.0  # a worker that lived so long is started anew at once
KILL_S = 30.0  # after the grace time: a worker that breaks off and flushes its ledger as slowly as it may takes 24
READY = b"1"


def supervise(settings: Settings, command: Sequence[str]) -> int:
    """Run the workers until told to stop; the exit status. command: of a worker, to which `--worker N` is added.

    Raises ConfigError when the address cannot be had. The first worker starts alone: what it cannot start with (a policy, a
    ledger) is said once, by it, and its exit status is ours.
    """
    check_address(settings, has_keys=keys_exist(settings))
    bind(settings, is_shared=False).close()  # fails if anybody listens there, another gateway's workers too
    holder = bind(settings, is_shared=True)  # keeps the address ours while workers come and go; never listens
    try:
        with metrics_folder(settings) as folder:
            return asyncio.run(Supervisor(settings, [*command, "--metrics-folder", str(folder)]).run())
    finally:
        holder.close()


@dataclass(eq=False)
class _Worker:
    """A process under way. leash: our end of its standard input."""

    process: asyncio.subprocess.Process
    leash: socket.socket
    has_ended: bool = False

    def signal(self, number: signal.Signals) -> None:
        # Not Process.send_signal: that polls first, which can reap the child before asyncio's watcher does.
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Supervisor:
    """Starts the workers, starts them anew, and stops them. Logs changes of state only."""

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self._settings, self._command = settings, command
        self._workers: set[_Worker] = set()
        self._stopping = asyncio.Event()
        self._first_settled = asyncio.Event()  # it serves, or never will
        self._refused: int | None = None  # exit status of a first worker that never served
        self._failed = 0

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, which ends every worker in good order, a second one at once; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(1))]
            await self._first_settled.wait()
            if self._refused is None:
                tasks += [group.create_task(self._keep(n)) for n in range(2, self._settings.workers + 1)]
                await self._stopping.wait()
                await self._end(tasks)
        if self._refused is not None:
            return self._refused or 1
        return 1 if self._failed else 0

    def _stop(self) -> None:
        # The second one ends their grace time. It is another signal: two of a kind are one to a worker that is busy just then.
        number = signal.SIGINT if self._stopping.is_set() else signal.SIGTERM
        if not self._stopping.is_set():
            log.info("stopping %d workers", len(self._workers))
        self._stopping.set()
        for worker in self._workers:
            worker.signal(number)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        _, late = await asyncio.wait(tasks, timeout=self._settings.grace_s + KILL_S)
        if late:
            log.error("%d workers did not end within %g s and are killed", len(late), self._settings.grace_s + KILL_S)
            for worker in self._workers:
                worker.signal(signal.SIGKILL)

    async def _keep(self, number: int) -> None:
        """One worker after the other, until we stop."""
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_S
        while not self._stopping.is_set():
            started = loop.time()
            try:
                status = await self._run(number)
                how = _how(status)
            except OSError as exc:  # no memory or no file descriptor to spare: those that serve go on
                if not self._first_settled.is_set():
                    raise
                status, how = 1, f"cannot be started: {exc.strerror or exc}"
            if self._stopping.is_set():
                # A signal that finds a worker before it serves, or after its last answer, ends it by itself.
                self._failed += status not in (0, -signal.SIGTERM, -signal.SIGINT)
            elif not self._first_settled.is_set():
                self._refused = status
            else:
                is_steady = loop.time() - started >= STEADY_S
                pause_s, wait_s = (PAUSE_S, 0.0) if is_steady else (min(2 * pause_s, PAUSE_MAX_S), pause_s)
                log.error("worker %d %s; its successor starts in %g s", number, how, wait_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_s)
                continue
            self._first_settled.set()
            return

    async def _run(self, number: int) -> int:
        """One process, from start to end; its exit status, or minus the signal that ended it."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--worker",
                    str(number),
                    *([] if self._first_settled.is_set() else ["--announce"]),
                    stdin=theirs.fileno(),
                    # A group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which passes it on.
                    process_group=0,
                )
            worker = _Worker(process, ours)
            self._workers.add(worker)
            if self._stopping.is_set():
                worker.signal(signal.SIGTERM)
            try:
                if await asyncio.get_running_loop().sock_recv(ours, 1) == READY:
                    log.info("worker %d serves (process %d)", number, process.pid)
                    self._first_settled.set()
                return await process.wait()
            finally:
                worker.has_ended = True
                self._workers.discard(worker)


def _how(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"


def worker_command(settings: Settings) -> list[str]:
    """This command again, with the settings that flags may have given; the environment has the rest."""
    insecure = ["--insecure"] if settings.is_insecure else []
    address = ["--host", settings.host, "--port", str(settings.port)]
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--policy", str(settings.policy)]
    return [*command, *address, "--workers", str(settings.workers), *insecure]
