"""A TCP connection to whichever of a host's addresses answers first ("happy eyeballs", RFC 8305)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence
from typing import Final

from gateway.http1.resolver import SocketAddress

HEAD_START_S: Final = 0.25  # what RFC 8305 recommends


async def connected(addresses: Sequence[SocketAddress]) -> socket.socket:
    """A socket that is connected and does not block. Raises the OSError of the first that refused when all do."""
    if len(addresses) == 1:
        return await _connect(addresses[0])
    waiting, running = interleaved(addresses), set[asyncio.Task[socket.socket]]()
    refused: list[asyncio.Task[socket.socket]] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop(0)), name="connect"))
            head_start_s = HEAD_START_S if waiting else None
            done, _ = await asyncio.wait(running, timeout=head_start_s, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if attempt.exception() is None:
                    running.remove(attempt)
                    return attempt.result()
            running -= done
            refused += done
        return refused[0].result()
    finally:
        for attempt in running:
            attempt.cancel()
            attempt.add_done_callback(_close)  # it may have succeeded meanwhile


def interleaved(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """The two families in turn, so that a network without IPv6 costs one head start and not many."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for pair in itertools.zip_longest(first, others) for address in pair if address is not None]


async def _connect(address: SocketAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address.at)
    except BaseException:
        sock.close()
        raise
    return sock


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
