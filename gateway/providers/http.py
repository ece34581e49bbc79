"""Calls over HTTP for the adapters: failures become UpstreamError here. Bytes and statuses; knows no dialect."""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from gateway.errors import UpstreamError
from gateway.http1.address import address_of
from gateway.http1.failures import CallFailed, Disconnected
from gateway.http1.pool import Pool
from gateway.http1.request import Request, request_of
from gateway.loopback import is_loopback
from gateway.providers.base import Sending
from gateway.providers.http_failures import mapped
from gateway.providers.http_response import HttpResponse, response_to

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
QUERY = "!$&'()*+,;=:@/?[]%~"  # what a query may hold as it is


class Destination:
    """Where one client sends requests again and again. What they have in common is worked out with the first of them."""

    __slots__ = ("headers", "method", "request", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        """headers: not to be changed afterwards."""
        self.method, self.url, self.headers = method, url, headers
        self.request: Request | None = None


class HttpClient:
    """One connection pool for all providers. Opened on first use, inside the running loop.

    proxies: by scheme; the environment's if not given.
    """

    def __init__(self, user_agent: str, proxies: Mapping[str, str] | None = None) -> None:
        self._defaults = {"user-agent": user_agent, "accept": "*/*", "accept-encoding": "identity"}
        self._proxies = urllib.request.getproxies() if proxies is None else proxies
        self._pool: Pool | None = None

    def destination(self, url: str, headers: Mapping[str, str], method: str = "POST") -> Destination:
        """For `ask`, of this client. That it is no address is said when it is asked."""
        return Destination(method, url, headers)

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, sending: Sending | None = None
    ) -> Coroutine[Any, Any, HttpResponse]:
        """Send a POST; returns when the response's headers are here. sending: told when there is a connection. As `send` else."""
        return self.ask(Destination("POST", url, headers), body, connect_s=connect_s, sending=sending)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, sending: Sending | None = None
    ) -> HttpResponse:
        """Send any request; returns when the response's headers are here. body: b"" for none. As `ask` else.

        What may be asked twice is, when the connection ended without an answer: a server closes one that it has kept for long
        enough, and may do so while the request is on its way (RFC 9112, 9.3.1).
        """
        destination = Destination(method, url, headers)
        try:
            return await self.ask(destination, body, connect_s=connect_s, sending=sending)
        except UpstreamError as exc:
            if method not in IDEMPOTENT or not isinstance(exc.__cause__, Disconnected):
                raise
        return await self.ask(destination, body, connect_s=connect_s, sending=sending)

    async def ask(
        self, destination: Destination, body: bytes, *, connect_s: float, sending: Sending | None = None
    ) -> HttpResponse:
        """The response as soon as its headers are here.

        connect_s bounds name look-up, TCP and TLS; the caller bounds the rest. Redirects are not followed, since they would take
        the credentials along. It is sent once. Raises UpstreamError.
        """
        if sending is not None:
            sending.has_line = False
        try:
            request = destination.request or self._prepared(destination)
            pool = self._pool or self._opened()
            connection = pool.take(request.origin) or await pool.open(request.origin, connect_s)
            if sending is not None:
                sending.has_line = True
            try:
                connection.send(request.headed(len(body)), body, is_head=request.is_head)
                while not connection.has_head:
                    if connection.failure is not None:
                        raise connection.failure
                    await connection.arrival()
                return response_to(connection, destination.url)
            except BaseException:
                connection.leave()
                raise
        except CallFailed as exc:
            raise mapped(exc, destination.url) from exc

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def _opened(self) -> Pool:
        self._pool = Pool(asyncio.get_running_loop())
        return self._pool

    def _prepared(self, destination: Destination) -> Request:
        headers = {**self._defaults, **destination.headers}
        proxy = proxy_for(destination.url, self._proxies)
        destination.request = request_of(destination.method, destination.url, headers, proxy)
        return destination.request


def addressed(url: str, query: bytes) -> str:
    """The address with a caller's query, of which nothing can be more than a query."""
    return f"{url}?{urllib.parse.quote(query, safe=QUERY)}" if query else url


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy for this address, if any. proxies: by scheme, as the environment names them (HTTPS_PROXY, …).

    Never one for this machine's own addresses, whatever NO_PROXY says: what goes to a local model stays here.
    """
    if not proxies:
        return None
    address = address_of(url)
    if is_loopback(address.host) or urllib.request.proxy_bypass(address.host):
        return None
    return proxies.get("https" if address.is_tls else "http")
