"""Names to socket addresses: looked up off the event loop, once for all who ask at the same time, and remembered for a minute."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, Final

from gateway.http1.failures import LookupFailed

KEPT_S: Final = 60.0
KEPT_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class SocketAddress:
    family: int
    at: tuple[Any, ...]  # what socket.connect takes


@dataclass(slots=True)
class _Known:
    until: float
    addresses: list[SocketAddress]


class Resolver:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[tuple[str, int], _Known] = {}
        self._lookups: dict[tuple[str, int], asyncio.Task[list[SocketAddress]]] = {}

    async def addresses(self, host: str, port: int) -> list[SocketAddress]:
        """At least one, each time another one first, so that all of a name's servers get their share. Raises LookupFailed."""
        if literal := _literal(host, port):
            return [literal]
        key = (host, port)
        known = self._known.get(key)
        if known is None or known.until < self._loop.time():
            found = await self._looked_up(key)
            known = self._known.get(key) or _Known(0.0, found)
        addresses = list(known.addresses)
        known.addresses.append(known.addresses.pop(0))
        return addresses

    async def aclose(self) -> None:
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _looked_up(self, key: tuple[str, int]) -> list[SocketAddress]:
        """Shielded: when one who waits for it is cancelled, the others still want to know. Raises LookupFailed."""
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = self._loop.create_task(self._look_up(key), name="lookup")
            lookup.add_done_callback(lambda done: self._done(key, done))
        try:
            return await asyncio.shield(lookup)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not lookup.cancelled() or (task is not None and task.cancelling()):
                raise
            raise LookupFailed("the client was closed") from None  # whoever asked was not cancelled

    async def _look_up(self, key: tuple[str, int]) -> list[SocketAddress]:
        host, port = key
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except (OSError, UnicodeError) as exc:
            raise LookupFailed(str(exc)) from exc
        if not found:
            raise LookupFailed("no address")
        addresses = [SocketAddress(family, at) for family, _, _, _, at in found]
        if len(self._known) >= KEPT_MAX:
            self._known.clear()
        self._known[key] = _Known(self._loop.time() + KEPT_S, addresses)
        return addresses

    def _done(self, key: tuple[str, int], lookup: asyncio.Task[list[SocketAddress]]) -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # seen: all who asked may have gone meanwhile


def _literal(host: str, port: int) -> SocketAddress | None:
    """None for a name."""
    name, _, zone = host.partition("%")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    if address.version == 4:
        return SocketAddress(socket.AF_INET, (name, port))
    return SocketAddress(socket.AF_INET6, (name, port, 0, _scope(zone)))


def _scope(zone: str) -> int:
    """The number of a network interface. Raises LookupFailed."""
    if not zone or zone.isdecimal():
        return int(zone or 0)
    try:
        return socket.if_nametoindex(zone)
    except OSError as exc:
        raise LookupFailed(f"there is no network interface {zone!r}") from exc
