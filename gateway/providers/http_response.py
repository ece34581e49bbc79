"""An answer over HTTP whose body comes bit by bit. Bytes and a status; knows no dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.errors import UpstreamError
from gateway.http1.connection import Connection
from gateway.http1.decoding import BodyDecoder, decoder_for
from gateway.http1.failures import BrokenOff
from gateway.http1.headers import Headers
from gateway.providers.http_failures import host_of, mapped

WHOLE_BYTES_MAX = 64 * 1024 * 1024
ERROR_BYTES_MAX = 64 * 1024
ERROR_S = 1.0
FINISH_S = 0.05
ENCODING: Final = b"content-encoding"


class HttpResponse:
    """A response whose body has not been read. Close it exactly once, read to its end or not. It has one reader."""

    __slots__ = ("_connection", "_has_ended", "_url", "headers", "status")

    def __init__(self, connection: Connection, url: str) -> None:
        self._connection: Connection | None = connection  # until the body has ended, or nobody wants it any more
        self._url, self._has_ended = url, False
        self.status, self.headers = connection.status, Headers(connection.headers)

    @property
    def is_read(self) -> bool:
        """Whether the body has been read to its clean end."""
        return self._has_ended

    @property
    def has_more(self) -> bool:
        """Whether `take`, which has just given something, may give or raise more at once: of that nobody will be told."""
        connection = self._connection
        return connection is None or connection.failure is not None

    def take(self) -> bytes | None:
        """What has arrived, b"" at the clean end; None: nothing yet, await `arrival`. Raises UpstreamError when it breaks off."""
        connection = self._connection
        if connection is None:
            if not self._has_ended:
                raise UpstreamError(f"the connection to {host_of(self._url)} was closed", fault="cut", is_retryable=True)
            return b""
        chunk = connection.take()
        if connection.is_complete:  # so that it is free for the next call
            self._connection, self._has_ended = None, True
            connection.leave()
        elif not chunk:
            if connection.failure is not None:
                self.close()
                raise mapped(connection.failure, self._url) from connection.failure
            return None
        return chunk

    def arrival(self) -> asyncio.Future[None]:
        """Done when `take`, which gave None, is worth another call. No coroutine: each event of a stream is waited for here."""
        assert self._connection is not None, "`take` would have said so"
        return self._connection.arrival()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call it from now on, where `arrival` would be done; None: no more."""
        if self._connection is not None:
            self._connection.listen(listener)

    async def read_chunk(self) -> bytes:
        """What has arrived, at least a byte; b"" at the clean end. Raises UpstreamError when it breaks off."""
        while (chunk := self.take()) is None:
            await self.arrival()
        return chunk

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
        chunk = self.take()
        if chunk is None:
            chunk = await self.read_chunk()
        if self.is_read and len(chunk) <= bytes_max:
            return chunk  # as most answers: it has come with its head
        chunks, size = [chunk], len(chunk)
        while size <= bytes_max and not self.is_read:
            chunk = await self.read_chunk()
            chunks.append(chunk)
            size += len(chunk)
        if size > bytes_max:
            raise UpstreamError(f"{host_of(self._url)} sent more than {bytes_max} bytes", fault="malformed")
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


class CompressedResponse(HttpResponse):
    """One whose body was compressed, though nobody asked for it: what is read of it is not."""

    __slots__ = ("_decoder", "_is_out")

    def __init__(self, connection: Connection, url: str, decoder: BodyDecoder) -> None:
        super().__init__(connection, url)
        self._decoder, self._is_out = decoder, False

    @property
    def is_read(self) -> bool:
        return self._is_out

    @property
    def has_more(self) -> bool:
        return True

    def take(self) -> bytes | None:
        decoder = self._decoder
        try:
            while not self._is_out:
                data = b"" if decoder.is_pending else super().take()
                if data is None:
                    return None
                if piece := decoder.decode(data):
                    return piece
                if self._has_ended and not decoder.is_pending:
                    decoder.end()
                    self._is_out = True
        except BrokenOff as exc:
            self.close()
            raise mapped(exc, self._url) from exc
        return b""


def response_to(connection: Connection, url: str) -> HttpResponse:
    """Raises NotHttp for a body in a coding that cannot be read here."""
    encoding = connection.headers.get(ENCODING)
    decoder = None if encoding is None else decoder_for(encoding.decode("latin-1"))
    return HttpResponse(connection, url) if decoder is None else CompressedResponse(connection, url, decoder)
