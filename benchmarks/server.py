"""One server as a child process: started, awaited, measured and stopped. Knows nothing of what it serves."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

TURNOUT = [sys.executable, "-m", "gateway.cli.main"]  # the command `turnout` of the environment that runs the script
STOP_S = 10.0
_POLL_S = 0.05


class ServerFailed(Exception):
    """It did not start, or ended by itself. The message ends with its last log lines."""


def environment(**more: str) -> dict[str, str]:
    """Our environment and `more`, without the settings of a gateway that the user may run besides."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)  # a server that compiles its imports at each start is no measure
    return ours | more


def prioritise(process: psutil.Process, nice: int) -> None:
    """Give it this priority, and its session too, by which Linux may share out the cores ("autogroup", see sched(7))."""
    # A container may deny both. Nothing is wrong without them, but for what a busy machine adds to the figures.
    with contextlib.suppress(psutil.AccessDenied, OSError):
        process.nice(nice)
        group = Path(f"/proc/{process.pid}/autogroup")
        if group.exists():
            group.write_text(str(nice))


class Server:
    """Use as a context manager: however the block is left, the process tree is gone afterwards.

    log: a file for all that it prints. env: the whole of it, see `environment`. cores: CPUs to keep to, on Linux. nice: its
    priority, below 0 for root alone.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        url: str,
        log: Path,
        *,
        env: Mapping[str, str],
        cores: Sequence[int] = (),
        nice: int = 0,
    ) -> None:
        self.name, self.url, self.log = name, url, log
        self.started = time.monotonic()
        with log.open("wb") as out:
            # A session of its own, so that Ctrl-C in a terminal reaches only us, and we end it in order.
            self._popen = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
        self._process = psutil.Process(self._popen.pid)
        if cores and sys.platform == "linux":
            self._process.cpu_affinity(list(cores))
        if nice:
            prioritise(self._process, nice)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ended_within(self, timeout_s: float) -> int:
        """Its exit status, or minus the signal that ended it. Raises ServerFailed when it runs on."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise self.failed(f"did not end within {timeout_s:g} s") from exc

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def wait_ready(self, path: str, timeout_s: float) -> None:
        """Return once GET `path` is answered 200. Raises ServerFailed."""
        self.wait_until(lambda: self._answers(path), timeout_s)

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float, poll_s: float = _POLL_S) -> None:
        """Return once `is_ready`. Raises ServerFailed when that takes too long or the server ends."""
        until = time.monotonic() + timeout_s
        while not is_ready():
            if not self.is_running:
                raise self.failed(f"exited with status {self._popen.returncode}")
            if time.monotonic() > until:
                raise self.failed(f"did not answer within {timeout_s:g} s")
            time.sleep(poll_s)

    def failed(self, how: str) -> ServerFailed:
        """An error that says how, and quotes the log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-15:]
        said = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
        return ServerFailed(f"{self.name} {how}; the last that it said:\n{said}")

    def cpu_s(self) -> float:
        """CPU seconds used so far by the process and its children. Raises ServerFailed when it is gone."""
        try:
            times = [process.cpu_times() for process in self._tree()]
        except psutil.NoSuchProcess as exc:
            raise self.failed("ended by itself") from exc
        return sum(t.user + t.system for t in times)

    def size(self) -> tuple[int, int]:
        """Bytes of memory (resident) and open files of the process and its children. Raises ServerFailed when it is gone."""
        try:
            sizes = [(process.memory_info().rss, process.num_fds()) for process in self._tree()]
        except psutil.NoSuchProcess as exc:
            raise self.failed("ended by itself") from exc
        return sum(rss for rss, _ in sizes), sum(files for _, files in sizes)

    def waited_s(self) -> float:
        """Seconds that its threads were ready and had no core, since other programs had it; 0 where the system is no Linux.

        The second number of /proc/PID/task/TID/schedstat, see "Scheduler Statistics" in Linux's documentation.
        """
        counts = [path.read_text().split() for path in Path("/proc").glob(f"{self.pid}/task/*/schedstat")]
        return sum(int(waited_ns) for _, waited_ns, _ in counts) / 1e9

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left of the tree; returns when all of it is reaped."""
        try:
            tree = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            tree = []
        try:
            if self.is_running:
                self._popen.terminate()
                self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass  # it is killed below
        finally:
            for process in tree:
                if process.is_running():
                    process.kill()
            self._popen.wait()

    def _answers(self, path: str) -> bool:
        parts = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
