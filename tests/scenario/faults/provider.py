"""The faulty provider: one server that plays each cell's fault under the cell's own path, and the odd ones beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenario.faults.cells import Cell
from tests.scenario.faults.matrix import Kind
from tests.scenario.faults.plays import Asked, well
from tests.scenario.faults.responses_wire import RESPONSES_SPARE
from tests.scenario.faults.wires import ANTHROPIC_SPARE, OPENAI_SPARE
from tests.scripted_server import Reply, Request, ScriptedServer

SPARES = {"/v1/messages": ANTHROPIC_SPARE, "/v1/responses": RESPONSES_SPARE}
CERTIFICATE = Path(__file__).parents[2] / "data" / "untrusted.pem"


class FaultyProvider:
    """A context manager; addresses and what was asked are there inside it. Other paths than the cells' are answered well."""

    def __init__(self, cells: Mapping[str, Cell]) -> None:
        self._cells = cells
        self._numbers: Counter[str] = Counter()
        self._server = ScriptedServer(self._reply)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATE)
        self._untrusted = ScriptedServer(self._reply, tls)
        self.no_tls = RawServer(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        self.silent_tls = RawServer(b"")
        self._closed = socket.socket()

    async def __aenter__(self) -> Self:
        self._stack = contextlib.AsyncExitStack()
        for server in (self._server, self._untrusted, self.no_tls, self.silent_tls):
            await self._stack.enter_async_context(server)
        self._closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._closed.close()
        await self._stack.aclose()

    def address(self, cell: Cell) -> str:
        """The cell's base URL."""
        match cell.fault.where:
            case "closed port":
                root = f"http://127.0.0.1:{self._closed.getsockname()[1]}"
            case "unknown name":
                root = "http://turnout.invalid"
            case "untrusted TLS":
                root = self._untrusted.url
            case "no TLS":
                root = f"https://127.0.0.1:{self.no_tls.port}"
            case "silent TLS":
                root = f"https://127.0.0.1:{self.silent_tls.port}"
            case "server":
                root = self._server.url
        return self.base_url(cell.kind, cell.id, root)

    def base_url(self, kind: Kind, path: str, root: str | None = None) -> str:
        """A base URL as this kind of provider wants it."""
        base = f"{root or self._server.url}/{path}"
        return base if kind in ("anthropic", "litellm-anthropic") else f"{base}/v1"

    def asked(self, cell: Cell) -> list[int]:
        """The numbers of the requests that came for this cell."""
        return [i for i, request in enumerate(self._server.requests) if _of(request) == cell.id]

    async def client_left(self, request: int) -> None:
        """Returns when the gateway has closed the connection of this request."""
        await self._server.client_left(request)

    def _reply(self, request: Request) -> Reply:
        name, is_stream = _of(request), request.json().get("stream") is True
        cell = self._cells.get(name)
        if cell is None:
            wire = next((wire for path, wire in SPARES.items() if request.path.endswith(path)), OPENAI_SPARE)
            return well(Asked(wire, is_stream, 1))
        self._numbers[name] += 1
        return cell.fault.play(Asked(cell.wire, is_stream, self._numbers[name]))


def _of(request: Request) -> str:
    return request.path.split("/")[1]


class RawServer:
    """Says the same bytes to whoever has said something, then waits for them to leave. open: connections just now."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def open(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            writer.write(self._answer)
            if self._answer:
                writer.close()
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
