"""Connections to one Redis: commands out, replies in, every fault a StoreUnavailable. Alone in knowing the library `redis`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio.connection import AbstractConnection, Connection, parse_url

from gateway.errors import StoreUnavailable

CONNECTIONS_MAX: Final = 32
CONNECT_S: Final = 2.0
REPLIES_S: Final = 30.0
"""Of one exchange, for callers without a deadline of their own."""
URL_OPTIONS: Final = re.compile(r"db|client_name|max_connections|socket_keepalive|ssl_\w+")

Argument = bytes | str | int | float
Command = Sequence[Argument]

CAUSES: Final = {  # the word that an error reply begins with
    "OOM": "full",
    "READONLY": "readonly",
    "MISCONF": "readonly",
    "NOREPLICAS": "readonly",
    "NOPERM": "denied",
    "NOAUTH": "auth",
    "WRONGPASS": "auth",
    "LOADING": "loading",
    "MASTERDOWN": "loading",
    "WRONGTYPE": "foreign",
    "MOVED": "unsupported",
    "ASK": "unsupported",
    "CROSSSLOT": "unsupported",
    "NOSCRIPT": "noscript",
    "CLUSTERDOWN": "unsupported",
}
SAID_MAX: Final = 200  # characters of an error reply
SAID: Final = (("unknown command", "unsupported"), ("imension mismatch", "dimension"), ("ACL failure", "denied"))


class RedisLink:
    """A pool of connections to the Redis at a URL: redis://, rediss:// or unix://, with user, password and database.

    Opens them as they are needed. address: where it is, for people, without the password.
    Raises ValueError for a URL that it cannot use, without repeating it.
    """

    def __init__(self, url: str) -> None:
        self.address = _address(url)
        self.generation = 0  # rises when connections were lost: what answers now may be another server
        options: dict[str, Any] = dict(parse_url(url))
        if unknown := [name for name in _query(url) if not URL_OPTIONS.fullmatch(name)]:
            raise ValueError(f"has the option {unknown[0]!r}, which does nothing here")
        count = options.pop("max_connections", CONNECTIONS_MAX)
        if count < 1:
            raise ValueError("allows no connection")
        self._free = asyncio.Semaphore(count)
        self._class: type[AbstractConnection] = options.pop("connection_class", Connection)
        # RESP2: all the replies asked for are plain, and nothing is ever pushed in between.
        self._options = options | {
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": CONNECT_S,
            "driver_info": None,
        }
        if "path" not in options:
            self._options.setdefault("socket_keepalive", True)
        try:
            self._class(**self._options)
        except (TypeError, exceptions.RedisError) as exc:
            raise ValueError(f"has an option that does not work: {exc}") from exc
        self._idle: list[AbstractConnection] = []
        self._is_closed = False

    async def run(self, *commands: Command) -> list[Any]:
        """The replies, in order, from one round trip. An error among them is a StoreUnavailable, not raised.

        Raises StoreUnavailable when there are no replies. Cancelling it is safe: see `_exchange`.
        """
        async with self._free:
            if self._idle:
                try:
                    return await self._run_on(self._idle.pop(), commands)
                except StoreUnavailable as exc:
                    if exc.cause != "connection":
                        raise
                # The server was started anew since: whatever else lies idle leads nowhere either.
                await self._close_idle()
                self.generation += 1
            return await self._run_on(self._class(**self._options), commands)

    async def aclose(self) -> None:
        """Close the connections; those in use as they come back."""
        self._is_closed = True
        await self._close_idle()

    async def _run_on(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(REPLIES_S):
                replies = await self._exchange(connection, commands)
        except (exceptions.RedisError, OSError, ValueError) as exc:
            fault = _fault(exc)
            # An error reply that is raised is one to connecting: no call would fare better.
            raise StoreUnavailable("protocol", str(fault)) if fault.cause == "error" else fault from exc
        if self._is_closed:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)
        return replies

    async def _exchange(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        """INVARIANT: a connection outlives an exchange only if each of its commands has had its reply read.

        Else the next one would read a reply to this one's, and somebody be given the answer to another's question.
        """
        is_whole = False
        try:
            if not connection.is_connected:
                await connection.connect()  # type: ignore[no-untyped-call]  # the library's is not annotated
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            replies: list[Any] = []
            for _ in commands:
                try:
                    reply = await connection.read_response(disable_decoding=True)
                except exceptions.ResponseError as exc:
                    reply = _fault(exc)
                if isinstance(reply, list):  # of EXEC
                    reply = [_fault(part) if isinstance(part, exceptions.ResponseError) else part for part in reply]
                replies.append(reply)
            is_whole = True
            return replies
        finally:
            if not is_whole:
                await connection.disconnect(nowait=True)

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


def fault_of(said: str) -> StoreUnavailable:
    """What an error reply means: its first word is the code."""
    code = said.partition(" ")[0]
    causes = [cause for mark, cause in SAID if mark in said]
    shown = ascii(said[:SAID_MAX])[1:-1]  # it may quote a command, and with it bytes that are no text
    return StoreUnavailable(CAUSES.get(code) or (causes[0] if causes else "error"), shown)


def _fault(exc: Exception) -> StoreUnavailable:
    said = str(exc) or type(exc).__name__
    code = getattr(exc, "status_code", None)  # the library takes the codes that it knows off the message
    if isinstance(exc, exceptions.ResponseError) or code in CAUSES:
        return fault_of(f"{code} {said}" if code else said)
    if isinstance(exc, exceptions.TimeoutError | TimeoutError):
        return StoreUnavailable("timeout", "no reply in time")
    if isinstance(exc, exceptions.AuthenticationError):
        return StoreUnavailable("auth", said)
    if isinstance(exc, exceptions.ConnectionError | OSError):
        return StoreUnavailable("connection", said)
    return StoreUnavailable("protocol", said)


def _query(url: str) -> list[str]:
    return [part.partition("=")[0] for part in urlsplit(url).query.split("&") if part]


def _address(url: str) -> str:
    """Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("names no socket")
        return f"unix://{parts.path}"
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError("does not begin with redis://, rediss:// or unix://")
    try:
        port = parts.port or 6379
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    db = parts.path.strip("/")
    if db and not db.isdecimal():
        raise ValueError("has a database that is not a number")
    return f"{parts.scheme}://{parts.hostname or 'localhost'}:{port}/{db or 0}"
