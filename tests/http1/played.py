"""One call on a connection whose transport is a list: what the server sends is given, what the caller sees comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.http1.address import Origin
from gateway.http1.connection import Connection
from gateway.http1.failures import BrokenOff, CallFailed

ORIGIN = Origin(False, "provider.test", 80)


@dataclass(frozen=True)
class Seen:
    """Of an answer. failure: "" if it came to its end. is_kept: the connection could take another call."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    failure: str = ""
    is_kept: bool = False


class Home:
    def __init__(self) -> None:
        self.kept: list[Connection] = []

    def keep(self, connection: Connection) -> None:
        self.kept.append(connection)

    def withdraw(self, connection: Connection) -> None:
        if connection in self.kept:
            self.kept.remove(connection)

    def closed(self, connection: Connection) -> None:
        self.withdraw(connection)


class ListTransport(asyncio.Transport):
    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written: list[bytes] = []
        self.is_aborted = self.is_paused = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


def connected(loop: asyncio.AbstractEventLoop) -> tuple[Connection, ListTransport, Home]:
    home = Home()
    connection = Connection(loop, home, ORIGIN)
    transport = ListTransport(connection)
    connection.connection_made(transport)
    return connection, transport, home


def play(pieces: Iterable[bytes], *, ends: bool | Exception = False, is_head: bool = False, reads: bool = True) -> Seen:
    """What the caller of a fresh connection sees. ends: the server closes, or what breaks. reads: the caller takes each piece."""
    loop = asyncio.new_event_loop()
    try:
        connection, transport, home = connected(loop)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", is_head=is_head)
        body = b""
        for piece in pieces:
            if transport.is_aborted:
                break
            connection.data_received(piece)
            if reads and connection.has_head:
                body += connection.take()
        if isinstance(ends, Exception):
            connection.connection_lost(ends)
        elif ends or transport.is_aborted:
            connection.eof_received()
            connection.connection_lost(None)
        return seen(connection, home, body + connection.take())
    finally:
        loop.close()


def seen(connection: Connection, home: Home, body: bytes) -> Seen:
    failure = connection.failure
    kind = "" if failure is None else "broken" if isinstance(failure, BrokenOff) else "none"
    assert failure is None or isinstance(failure, CallFailed)
    if not connection.has_head:
        return Seen(failure=kind)
    connection.leave()
    # Trailers, should some have come, are in another dict.
    return Seen(connection.status, tuple(sorted(connection.headers.items())), body, kind, connection in home.kept)


def cut(wire: bytes, places: Sequence[int]) -> list[bytes]:
    places = sorted({place for place in places if 0 < place < len(wire)})
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]
