"""A scripted provider's side of one connection: requests in, bytes out, and an eye on whether the caller is still there."""

from __future__ import annotations

import asyncio
import socket
import struct


class Reset(Exception):
    """The connection is to be reset."""


class Left(Exception):
    """The caller went away."""


class Connection:
    """One connection of a caller. Notices while it waits when the caller goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._next: asyncio.Task[bytes] | None = None  # the first byte of the next request, or the end

    async def request(self) -> tuple[bytes, bytes] | None:
        """Head and body of the next request, None when there is none."""
        first = await (self._next or self._reader.read(1))
        self._next = None
        if not first:
            return None
        head = first + await self._reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        return head, await self._reader.readexactly(length)

    async def pause(self, seconds: float) -> None:
        """Wait. Raises Left when the caller goes away meanwhile."""
        if self._next is None:
            self._next = asyncio.create_task(self._reader.read(1))
        if seconds > 0:
            await asyncio.wait({self._next}, timeout=seconds)
        if self._next.done() and (self._next.cancelled() or self._next.exception() or not self._next.result()):
            raise Left

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def reset(self) -> None:
        """End it by a TCP reset, as a machine does that is switched off."""
        plain: socket.socket | None = self._writer.get_extra_info("socket")
        if plain is not None and not self._writer.is_closing():
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._writer.close()
