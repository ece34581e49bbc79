"""One process that serves: uvicorn's server, with an end in good order and, for a worker, a tie to its supervisor."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from gateway.edge.connection import Connection
from gateway.front import Gateway

log = logging.getLogger("turnout.serve")

BACKLOG = 2048
KEEP_ALIVE_S = 75
LINGER_S = 1.0  # for requests that are on their way on connections kept alive
END_S = 5.0  # for answers that are broken off to say so, and to be booked
POLL_S = 0.05


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT. Then: not ready, no new connections, answers in flight get the grace time, all others
    are broken off and say so, the ledger is flushed. A second signal ends the grace time at once.

    uvicorn's own end differs in three ways: it cuts what outlasts its timeout without a word to the client, it closes idle
    connections under the requests that are on their way, and a second SIGTERM has no effect.
    """

    def __init__(self, app: Gateway, grace_s: float, on_ready: Callable[[], None], leash: socket.socket | None = None) -> None:
        """on_ready: called once, when requests are served. leash: of a worker, which ends when the other end is closed."""
        super().__init__(config(app))
        self._app, self._grace_s, self._on_ready, self._leash = app, grace_s, on_ready, leash

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then the listeners."""
        if self._leash is not None:
            asyncio.get_running_loop().add_reader(self._leash.fileno(), self._leash_pulled)
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for each signal. uvicorn's own would raise it again at the end, though an end in good order is a success."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._app.drain.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See the class."""
        self._app.drain.begin()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._say_close()
        await self._are_done_within(LINGER_S)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if not await self._are_done_within(self._grace_s):
            await self._break_off()
        await self.lifespan.shutdown()

    def _say_close(self) -> None:
        """On every response from now on: the connection ends with it."""
        self.config.encoded_headers = [*self.config.encoded_headers, (b"connection", b"close")]
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Connection), "config says so"
            if connection.answering is not None:
                connection.shutdown()  # which lets the answer end

    async def _break_off(self) -> None:
        count = self._app.drain.break_off()
        if count:
            why = "at the second signal" if self.force_exit else f"after the grace time of {self._grace_s:g} s"
            log.warning("%d answers in flight were broken off %s", count, why)
        tasks, late = set(self.server_state.tasks), set[asyncio.Task[None]]()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=END_S)
        connections = [c for c in self.server_state.connections if isinstance(c, Connection)]
        count = len(late) + sum(connection.is_owed_a_body for connection in connections)
        if count:
            log.error("%d requests did not end and were cut", count)
        for connection in connections:
            connection.transport.abort()  # ends what waits for the client to send or to read
        if late:
            _, late = await asyncio.wait(late, timeout=LINGER_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=END_S)

    async def _are_done_within(self, limit_s: float) -> bool:
        """Whether every connection is closed and every request answered, once it is so or the time is over."""
        until = asyncio.get_running_loop().time() + limit_s
        while self.server_state.connections or self.server_state.tasks:
            if self.force_exit or asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _leash_pulled(self) -> None:
        """The supervisor says nothing on it, so what can be read is its end."""
        assert self._leash is not None
        asyncio.get_running_loop().remove_reader(self._leash.fileno())
        log.error("the supervisor has ended, and so does this worker")
        self.handle_exit(signal.SIGTERM, None)


def config(app: Gateway) -> uvicorn.Config:
    """What this application is served with."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        lifespan="on",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
        log_config=None,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
    )
