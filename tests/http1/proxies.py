"""A forward proxy on loopback: passes everything on to one server, whatever name it was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Self


class Proxy:
    """port: of the server. answer: what it says, in place of passing anything on. asked: each connection's first head."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, answer: bytes | None = None) -> None:
        self._to, self._tls, self._answer = port, tls, answer
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[str] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.decode())
            if self._answer is not None:
                writer.write(self._answer)
                return
            there, to = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                if head.startswith(b"CONNECT "):
                    writer.write(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 proxy\r\n\r\n")
                else:
                    to.write(head)
                async with asyncio.TaskGroup() as both:
                    both.create_task(_copy(reader, to))
                    both.create_task(_copy(there, writer))
            finally:
                await _close(to)
        finally:
            await _close(writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
