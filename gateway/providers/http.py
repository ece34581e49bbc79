"""Calls over HTTP for the adapters: failures become UpstreamError here. Bytes and statuses; knows no dialect."""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from gateway.errors import UpstreamError
from gateway.http1.address import address_of
from gateway.http1.connection import Connection
from gateway.http1.decoding import BodyDecoder, decoder_for
from gateway.http1.failures import (
    BadAddress,
    BadRequest,
    BrokenOff,
    CallFailed,
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    LookupFailed,
    NotHttp,
    TlsFailed,
)
from gateway.http1.headers import Headers
from gateway.http1.pool import Pool
from gateway.http1.request import Request, request_of
from gateway.loopback import is_loopback
from gateway.providers.base import Sending

WHOLE_BYTES_MAX = 64 * 1024 * 1024
ERROR_BYTES_MAX = 64 * 1024
ERROR_S = 1.0
FINISH_S = 0.05
ENCODING: Final = b"content-encoding"
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
                return HttpResponse(connection, destination.url)
            except BaseException:
                connection.leave()
                raise
        except CallFailed as exc:
            raise _mapped(exc, destination.url) from exc

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


class HttpResponse:
    """A response whose body has not been read. Close it exactly once, read to its end or not. It has one reader."""

    __slots__ = ("_connection", "_decoder", "_has_ended", "_url", "headers", "status")

    def __init__(self, connection: Connection, url: str) -> None:
        raw = connection.headers
        self._connection: Connection | None = connection  # until the body has ended, or nobody wants it any more
        self._url, self._has_ended = url, False
        self._decoder = decoder_for(raw[ENCODING].decode("latin-1")) if ENCODING in raw else None
        self.status, self.headers = connection.status, Headers(raw)

    @property
    def is_read(self) -> bool:
        """Whether the body has been read to its clean end."""
        return self._has_ended and self._decoder is None

    def read_now(self) -> bytes:
        """What has arrived and can be had without waiting, maybe nothing. What is wrong with the body, the next read says."""
        return self._taken() if self._decoder is None else b""

    def read_chunk(self) -> Coroutine[Any, Any, bytes]:
        """What has arrived, at least a byte; b"" at the clean end. Raises UpstreamError when it breaks off."""
        return self._arrived() if self._decoder is None else self._decoded(self._decoder)

    async def read_error(self) -> bytes:
        """The body of an error answer, as much of it as comes in ERROR_S: the status says what matters, whatever its words."""
        chunks = [self.read_now()]
        size = len(chunks[0])
        try:
            if not self.is_read:
                async with asyncio.timeout(ERROR_S):
                    while size < ERROR_BYTES_MAX and (chunk := await self.read_chunk()):
                        chunks.append(chunk)
                        size += len(chunk)
        except (TimeoutError, UpstreamError):
            pass  # cut, or too slow: what has come must do
        return b"".join(chunks)[:ERROR_BYTES_MAX]

    async def read_whole(self, bytes_max: int = WHOLE_BYTES_MAX) -> bytes:
        """The rest of the body. Raises UpstreamError when it breaks off or is too large."""
        chunk = self.read_now() or await self.read_chunk()
        if self.is_read and len(chunk) <= bytes_max:
            return chunk  # as most answers: it has come with its head
        chunks, size = [chunk], len(chunk)
        while size <= bytes_max and not self.is_read:
            chunk = await self.read_chunk()
            chunks.append(chunk)
            size += len(chunk)
        if size > bytes_max:
            raise UpstreamError(f"{_host(self._url)} sent more than {bytes_max} bytes", fault="malformed")
        return b"".join(chunks)

    async def finish(self) -> None:
        """Let go of a body whose content is complete. Does not wait.

        The end of an HTTP body often comes a little after the end of its content; a connection that is dropped in between cannot
        be used again, which costs the next call a TLS handshake. So the connection waits for it, FINISH_S at most.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.linger(FINISH_S)

    def close(self) -> None:
        """Drop the connection unless the body has come to its end (then it is back in the pool)."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.leave()

    def _taken(self) -> bytes:
        """As it came, undecoded. With its end, the connection is free for the next call."""
        connection = self._connection
        if connection is None:
            return b""
        chunk = connection.take()
        if connection.is_complete:
            self._connection, self._has_ended = None, True
            connection.leave()
        return chunk

    async def _arrived(self) -> bytes:
        """As `_taken`, but b"" only at the end. Each event of a stream comes through here."""
        while (connection := self._connection) is not None:
            chunk = connection.take()
            if connection.is_complete:
                self._connection, self._has_ended = None, True
                connection.leave()
                return chunk
            if chunk:
                return chunk
            if connection.failure is not None:
                self.close()
                raise _mapped(connection.failure, self._url) from connection.failure
            await connection.arrival()
        if not self._has_ended:
            raise UpstreamError(f"the connection to {_host(self._url)} was closed", fault="cut", is_retryable=True)
        return b""

    async def _decoded(self, decoder: BodyDecoder) -> bytes:
        try:
            while not (piece := decoder.decode(b"" if decoder.is_pending else await self._arrived())):
                if self._has_ended and not decoder.is_pending:
                    decoder.end()
                    self._decoder = None
                    break
        except BrokenOff as exc:
            self.close()
            raise _mapped(exc, self._url) from exc
        return piece


def addressed(url: str, query: bytes) -> str:
    """The address with a caller's query, of which nothing can be more than a query."""
    return f"{url}?{urllib.parse.quote(query, safe=QUERY)}" if query else url


def _mapped(exc: CallFailed, url: str) -> UpstreamError:
    where = _host(url)
    if isinstance(exc, ConnectTimeout):
        return UpstreamError(f"no connection to {where} in time", fault="timeout", is_retryable=True)
    if isinstance(exc, BrokenOff):
        return UpstreamError(f"the connection to {where} broke in mid-answer: {exc}", fault="cut", is_retryable=True)
    if isinstance(exc, Disconnected):
        how = f"closed the connection without an answer{f': {exc}' if str(exc) else ''}"
        return UpstreamError(f"{where} {how}", fault="connect", is_retryable=True)
    return UpstreamError(_REASONS[type(exc)].format(where=where, why=exc), fault="connect", is_retryable=True)


_REASONS: Final[dict[type[CallFailed], str]] = {
    BadAddress: "{where} is not an address: {why}",
    BadRequest: "{where} was not called: {why}",
    LookupFailed: "cannot look up {where}: {why}",
    ConnectFailed: "cannot connect to {where}: {why}",
    TlsFailed: "TLS to {where} failed: {why}",
    NotHttp: "{where} did not answer in HTTP: {why}",
}


def _host(url: str) -> str:
    """For messages: no credentials, and no path, which may be a secret too."""
    try:
        return urllib.parse.urlsplit(url).netloc.rpartition("@")[2] or "the URL"
    except ValueError:
        return "the URL"


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
