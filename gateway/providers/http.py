"""The one file that imports the upstream HTTP client. Bytes and statuses; knows no dialect.

aiohttp, because under load its pool costs a fifteenth of httpx's (see docs/decisions).
"""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextvars import ContextVar

import aiohttp

from gateway.errors import Fault, UpstreamError
from gateway.loopback import is_loopback
from gateway.providers.base import Sending

_sending: ContextVar[Sending | None] = ContextVar("sending", default=None)  # of the call that this task makes

WHOLE_BYTES_MAX = 64 * 1024 * 1024
ERROR_BYTES_MAX = 64 * 1024
ERROR_S = 1.0
FINISH_S = 0.05
QUERY = "!$&'()*+,;=:@/?[]%~"  # what a query may hold as it is


class HttpClient:
    """One connection pool for all providers. Opened on first use, inside the running loop.

    proxies: by scheme; the environment's if not given.
    """

    def __init__(self, user_agent: str, proxies: Mapping[str, str] | None = None) -> None:
        self._user_agent = user_agent
        self._proxies = urllib.request.getproxies() if proxies is None else proxies
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, sending: Sending | None = None
    ) -> HttpResponse:
        """Send a POST; returns when the response's headers are here. sending: told when there is a connection. As `send` else."""
        return await self.send("POST", url, headers, body, connect_s=connect_s, sending=sending)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, sending: Sending | None = None
    ) -> HttpResponse:
        """Send any request; returns when the response's headers are here. body: b"" for none.

        connect_s bounds name look-up, TCP and TLS; the caller bounds the rest. Redirects are not followed,
        since they would take the credentials along. Raises UpstreamError.
        """
        # The timeout object is cheap and per call, because each route has its own.
        timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        if sending is not None:
            sending.has_line = False
        _sending.set(sending)
        try:
            proxy = proxy_for(url, self._proxies)
            response = await self._opened().request(
                method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False, proxy=proxy
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise _mapped(exc, url) from exc
        return HttpResponse(response, url)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # limit=0: how many calls may be in flight is a policy's decision, not the pool's.
            connector = _Connector(limit=0, keepalive_timeout=30, ttl_dns_cache=60)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": self._user_agent, "accept-encoding": "identity"},
                read_bufsize=256 * 1024,
            )
        return self._session


class _Connector(aiohttp.TCPConnector):
    """Says when a call has its connection, which a caller who stops waiting could not know. Cheaper than aiohttp's tracing."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[aiohttp.tracing.Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if (sending := _sending.get()) is not None:
            sending.has_line = True
        return connection


class HttpResponse:
    """A response whose body has not been read. Close it exactly once."""

    def __init__(self, response: aiohttp.ClientResponse, url: str) -> None:
        self._response = response
        self._url = url
        self.status = response.status
        self.headers = response.headers

    async def read_chunk(self) -> bytes:
        """What has arrived, at least a byte; b"" at the clean end. Raises UpstreamError when it breaks off."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _mapped(exc, self._url, is_under_way=True) from exc

    async def read_error(self) -> bytes:
        """The body of an error answer, as much of it as comes in ERROR_S: the status says what matters, whatever its words."""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(ERROR_S):
                while size < ERROR_BYTES_MAX and (chunk := await self.read_chunk()):
                    chunks.append(chunk)
                    size += len(chunk)
        except (TimeoutError, UpstreamError):
            pass  # cut, or too slow: what has come must do
        return b"".join(chunks)[:ERROR_BYTES_MAX]

    async def read_whole(self, bytes_max: int = WHOLE_BYTES_MAX) -> bytes:
        """The rest of the body. Raises UpstreamError when it breaks off or is too large."""
        chunks: list[bytes] = []
        size = 0
        while chunk := await self.read_chunk():
            chunks.append(chunk)
            size += len(chunk)
            if size > bytes_max:
                raise UpstreamError(f"{_host(self._url)} sent more than {bytes_max} bytes", fault="malformed")
        return b"".join(chunks)

    async def finish(self) -> None:
        """Read what is left of a body whose content is complete, if it is there at once, and close.

        The end of an HTTP body often comes a little after the end of its content; a connection that is dropped in
        between cannot be used again, which costs the next call a TLS handshake.
        """
        try:
            async with asyncio.timeout(FINISH_S):
                while await self.read_chunk():
                    pass
        except (TimeoutError, UpstreamError):
            pass  # the answer is complete; it is only the connection that is not used again
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection unless the body was read to its end (then it is back in the pool already)."""
        self._response.close()


def addressed(url: str, query: bytes) -> str:
    """The address with a caller's query, of which nothing can be more than a query."""
    return f"{url}?{urllib.parse.quote(query, safe=QUERY)}" if query else url


def _mapped(exc: Exception, url: str, *, is_under_way: bool = False) -> UpstreamError:
    where = _host(url)
    fault: Fault = "cut" if is_under_way else "connect"
    if isinstance(exc, aiohttp.ConnectionTimeoutError | aiohttp.ServerTimeoutError | TimeoutError):
        return UpstreamError(f"no connection to {where} in time", fault="timeout", is_retryable=True)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        reason = f"cannot look up {where}"
    elif isinstance(exc, aiohttp.ClientSSLError):
        reason = f"TLS to {where} failed: {exc}"
    elif isinstance(exc, aiohttp.ClientConnectorError):
        reason = f"cannot connect to {where}: {exc.os_error.strerror or exc}"
    elif isinstance(exc, aiohttp.ServerDisconnectedError):
        reason = f"{where} closed the connection without an answer"
    elif isinstance(exc, aiohttp.InvalidURL):
        reason = f"{_host(url)!r} is not an address"
    elif isinstance(exc, aiohttp.ClientResponseError):  # whose own text has the whole address, which may be a secret
        reason = f"{where} did not answer in HTTP: {exc.message}"
    elif is_under_way:
        reason = f"the connection to {where} broke in mid-answer: {exc}"
    else:
        reason = f"{where} did not answer in HTTP: {exc}"
    return UpstreamError(reason, fault=fault, is_retryable=True)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2] or url


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy for this address, if any. proxies: by scheme, as the environment names them (HTTPS_PROXY, …).

    Never one for this machine's own addresses, whatever NO_PROXY says: what goes to a local model stays here.
    """
    if not proxies:
        return None
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return proxies.get(parts.scheme)
