"""From where a call goes to a connection that can take it: look-up, TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import TypeVar

from gateway.http1.address import Origin, proxy_address
from gateway.http1.connection import Connection, Home
from gateway.http1.failures import ConnectFailed, TlsFailed
from gateway.http1.racing import connected
from gateway.http1.resolver import Resolver
from gateway.http1.tls import Tls
from gateway.http1.tunnel import Tunnel

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)


class Dialer:
    """Of one event loop. The time that it takes is bounded by whoever asks; cancelled, it leaves nothing open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._resolver, self._tls = loop, Resolver(loop), Tls()

    async def dial(self, origin: Origin, home: Home) -> Connection:
        """Raises CallFailed."""

        def connection() -> Connection:
            return Connection(self._loop, home, origin)

        if origin.proxy is None:
            return (await self._connect(origin.host, origin.port, origin.is_tls, connection))[1]
        proxy = proxy_address(origin.proxy)
        if not origin.is_tls:
            return (await self._connect(proxy.host, proxy.port, proxy.is_tls, connection))[1]
        transport, tunnel = await self._connect(proxy.host, proxy.port, proxy.is_tls, lambda: Tunnel(self._loop))
        try:
            await tunnel.open(origin, proxy.credentials)
            return await self._secure(transport, connection(), origin.host)
        except BaseException:
            transport.abort()
            raise

    async def aclose(self) -> None:
        await self._resolver.aclose()

    async def _connect(
        self, host: str, port: int, is_tls: bool, protocol: Callable[[], AnyProtocol]
    ) -> tuple[asyncio.Transport, AnyProtocol]:
        addresses = await self._resolver.addresses(host, port)
        context = await self._tls.context() if is_tls else None
        try:
            sock = await connected(addresses)
            name = _certified(host) if is_tls else None
            return await self._loop.create_connection(protocol, sock=sock, ssl=context, server_hostname=name)
        except (OSError, ValueError) as exc:
            raise _failure(exc) from exc

    async def _secure(self, transport: asyncio.Transport, connection: Connection, host: str) -> Connection:
        """TLS inside what the proxy passes on."""
        context = await self._tls.context()
        connection.connection_made(transport)  # for what may come with the handshake already, which ends it
        try:
            secured = await self._loop.start_tls(transport, connection, context, server_hostname=_certified(host))
        except (OSError, ValueError) as exc:
            raise _failure(exc) from exc
        if secured is None:
            raise ConnectFailed("the proxy closed the connection")
        connection.connection_made(secured)
        return connection


def _certified(host: str) -> str:
    """As certificates have it: without the dot that ends a full name, and without the zone of an address."""
    return host.rstrip(".").partition("%")[0]


def _failure(exc: OSError | ValueError) -> ConnectFailed | TlsFailed:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TlsFailed(f"certificate verify failed: {exc.verify_message}")
    if isinstance(exc, ssl.SSLError):
        return TlsFailed(exc.reason or str(exc))
    if isinstance(exc, ValueError):  # a name that cannot be one in a certificate
        return TlsFailed(str(exc))
    return ConnectFailed(os.strerror(exc.errno) if exc.errno else str(exc))
