"""An event loop whose connections are in memory: what one side writes is handed to the other, and no socket is asked.

Everything else is asyncio's. A server's listener is reached through `InMemoryLoop.connect`; whatever the gateway connects to is
the `Peer` that the loop was given. Time passes only when nothing is left to do, and then up to the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from benchmarks.hot_path import stillness

ADDRESS = ("127.0.0.1", 9)
READ_BYTES = 256 * 1024  # at a time, as uvloop does
ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Peer(Protocol):
    """The other end of one of the gateway's connections."""

    def received(self, data: bytes, transport: InMemoryTransport) -> None:
        """The gateway has written this."""
        ...

    def lost(self) -> None:
        """The gateway has closed the connection."""
        ...


class Stalled(Exception):
    """Nothing is left to do, so that a request would wait for ever."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: when nothing is left to do, the next of `to_come` comes. After the last of them time goes on to the next
    timer, or fails if timers are not to ring.
    """

    has_timers = True

    def __init__(self) -> None:
        super().__init__()
        self.to_come: deque[Callable[[], None]] = deque()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0:
            if self.to_come:
                self.to_come.popleft()()
                return ready
            if timeout is None or not self.has_timers:
                raise Stalled("the scenario waits for time to pass, or for something that is not in this process")
            stillness.go_on(timeout)
        return ready


class InMemoryLoop(asyncio.SelectorEventLoop):
    """upstream: makes the peer of each connection that the gateway opens."""

    def __init__(self, upstream: Callable[[], Peer]) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)
        self._upstream = upstream
        self._listener: ProtocolFactory | None = None
        self._threads = ThreadPoolExecutor(max_workers=1)

    def time(self) -> float:
        return stillness.now()

    @contextmanager
    def without_timers(self) -> Iterator[None]:
        """In the block none rings, and work for threads is done in place, so that it is counted."""
        self._waiting.has_timers = False
        try:
            yield
        finally:
            self._waiting.has_timers = True

    def when_idle(self, act: Callable[[], None]) -> None:
        """Do this once nothing else is left to do, and what was given before it is done."""
        self._waiting.to_come.append(act)

    def connect(self, client: Peer) -> InMemoryTransport:
        """A new connection to the gateway's listener; the gateway's end of it."""
        assert self._listener is not None, "nothing listens"
        return self._connected(self._listener, client)[0]

    async def create_server(self, protocol_factory: ProtocolFactory, *args: Any, **options: Any) -> asyncio.Server:
        self._listener = protocol_factory
        return asyncio.Server(self, [], protocol_factory, None, 0, None)

    async def create_connection(self, protocol_factory: ProtocolFactory, *args: Any, **options: Any) -> Any:
        if options.get("sock") is not None:
            options["sock"].close()
        return self._connected(protocol_factory, self._upstream())

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """It is connected by `create_connection`."""

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Done when this returns, since how far a thread has come is different at every run."""
        done = self.create_future()
        try:
            if executor is None and not self._waiting.has_timers:
                done.set_result(func(*args))
            else:  # its own thread may own what it works on, as SQLite's connections are owned
                done.set_result((executor or self._threads).submit(func, *args).result())
        except Exception as exc:
            done.set_exception(exc)
        return done

    def _connected(self, factory: ProtocolFactory, peer: Peer) -> tuple[InMemoryTransport, asyncio.BaseProtocol]:
        protocol = factory()
        transport = InMemoryTransport(self, protocol, peer)
        protocol.connection_made(transport)
        return transport, protocol


class InMemoryTransport(asyncio.Transport):
    """The gateway's end of a connection, with an endless buffer for what it writes."""

    def __init__(self, loop: InMemoryLoop, protocol: asyncio.BaseProtocol, peer: Peer) -> None:
        super().__init__()
        self._loop, self._protocol, self._peer = loop, protocol, peer
        self._is_closing = self._is_paused = False
        self._held: deque[memoryview] = deque()
        self._socket = socket.socket()  # for options that are set on it

    def feed_when_idle(self, data: bytes) -> None:
        """The gateway reads this once it has done all that there is to do."""
        self._loop.when_idle(lambda: self.feed(data))

    def feed(self, data: bytes) -> None:
        """The gateway reads this, in pieces of READ_BYTES at most, from the loop's next round on."""
        view = memoryview(data)
        for start in range(0, len(view), READ_BYTES):
            self._held.append(view[start : start + READ_BYTES])
            self._loop.call_soon(self._give)

    def _give(self) -> None:
        if self._is_paused or self._is_closing or not self._held:
            return
        data, protocol = bytes(self._held.popleft()), self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            while data:
                buffer = memoryview(protocol.get_buffer(len(data))).cast("B")
                size = min(len(buffer), len(data))
                buffer[:size] = data[:size]
                protocol.buffer_updated(size)
                data = data[size:]
        else:
            assert isinstance(protocol, asyncio.Protocol) or hasattr(protocol, "data_received")
            protocol.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self._peer.received(bytes(data), self)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._end)

    abort = close

    def _end(self) -> None:
        self._socket.close()
        self._peer.lost()
        self._protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        for _ in self._held:
            self._loop.call_soon(self._give)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 16 * 1024, 64 * 1024

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": self._socket, "peername": ADDRESS, "sockname": ADDRESS}.get(name, default)
