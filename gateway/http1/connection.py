"""One connection to a server: a request goes out, its answer comes in and is kept until its one reader takes it.

The parser is llhttp, and what it calls for headers and body are methods of a dict and a list, so that no Python runs for either.
Nothing here waits: whoever reads does, on the future of `arrival`. The time of a call is bounded by whoever made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

from gateway.http1.address import Origin
from gateway.http1.failures import BrokenOff, CallFailed, Disconnected, NotHttp

HEAD_BYTES_MAX: Final = 64 * 1024  # of all headers of an answer; of trailers and of a chunk's extensions as well
UNREAD_BYTES_MAX: Final = 512 * 1024  # nobody has taken so much: no more is read from the network
WRITE_BYTES: Final = 256 * 1024  # what is handed to the transport at a time


class Home(Protocol):
    """Where connections are between two calls."""

    def keep(self, connection: Connection) -> None:
        """It can take another call."""
        ...

    def withdraw(self, connection: Connection) -> None:
        """It can take no more calls."""
        ...

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        ...


class Connection(asyncio.Protocol):
    """Belongs to one call at a time: `send`, then `arrival` and `take` until is_complete or failure, then `leave`.

    has_head: status and headers, names in lower case, are those of the answer. is_complete: nothing more will come. failure: why
    it never will.
    INVARIANT: an answer is parsed only if a request is out for it, and a connection is kept only after all of its answer.
    """

    __slots__ = (
        "_fields",
        "_home",
        "_is_busy",
        "_is_choked",
        "_is_head",
        "_is_lost",
        "_is_paused",
        "_lingering",
        "_listener",
        "_loop",
        "_parser",
        "_parts",
        "_permits",
        "_room_bytes",
        "_transport",
        "_unread_bytes",
        "_unsent",
        "_waiter",
        "failure",
        "has_head",
        "headers",
        "idle_since",
        "is_complete",
        "is_reusable",
        "origin",
        "status",
    )

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home, origin: Origin) -> None:
        self._loop, self._home, self.origin = loop, home, origin
        self._is_busy = self._is_choked = self._is_head = self._is_lost = self._is_paused = False
        self._room_bytes = self._unread_bytes = 0
        self._unsent: memoryview | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._listener: Callable[[], None] | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._fields: dict[bytes, bytes] = {}
        self._permits: list[None] = []
        self.status, self.headers = 0, self._fields
        self.has_head = self.is_complete = self.is_reusable = False
        self.failure: CallFailed | None = None
        self.idle_since = 0  # in ticks of the pool
        self._parser = httptools.HttpResponseParser(_Callbacks(self, self._parts, self._fields, self._permits))
        # What servers do and other clients let pass: folded headers, odd bytes in them, LF alone, spaces behind a chunk's size.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    # The call's side

    def send(self, head: bytes, body: bytes, *, is_head: bool = False) -> None:
        """Begin a call. is_head: its answer has no body, whatever its headers say. What does not fit now goes out as it can."""
        self._is_busy, self._is_head = True, is_head
        self.has_head = self.is_complete = self.is_reusable = False
        self._room_bytes = HEAD_BYTES_MAX
        self._fields.clear()
        self._permits.append(None)
        if len(body) <= WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._unsent = memoryview(body)
            self._transport.write(head)
            self._write_on()

    def arrival(self) -> asyncio.Future[None]:
        """Done when the head is there; from then on when more of the body is, or its end, or a failure. For one reader."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call it from now on, where `arrival` would be done; None: no more. The end of the call is the end of it as well."""
        self._listener = listener

    def take(self) -> bytes:
        """The bytes of the body that have come and were not taken; b"" if there are none."""
        parts = self._parts
        if not parts:
            return b""
        taken = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._unread_bytes = 0
        if self._is_paused:
            self._resume()
        return taken

    def leave(self) -> None:
        """The call is over: another may use the connection if the answer was read to its end, else it is closed at once."""
        self._listener = None
        if not self.is_complete or not self.is_reusable or self._unsent is not None or self._is_choked:
            self.abort()
            return
        self._parts.clear()
        self._unread_bytes = 0
        if self._is_paused:
            self._resume()
        self._is_busy = False
        self._home.keep(self)

    def linger(self, for_s: float) -> None:
        """The call is over but for the end of a body that nobody reads: left when that comes, closed if it does not in time."""
        if self.is_complete or self._is_lost:
            self.leave()
            return
        self.take()
        self._lingering = self._loop.call_later(for_s, self.leave)

    def abort(self) -> None:
        """Close at once, without sending what is not sent. Whoever waits is told by a failure."""
        if self._is_busy and not self.is_complete and self.failure is None:
            self.failure = BrokenOff("it was closed on this side")
        self._home.withdraw(self)
        self.is_reusable = False
        self._transport.abort()

    @property
    def is_open(self) -> bool:
        return not self._is_lost and not self._transport.is_closing()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # not by isinstance: uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        if not self._is_busy:
            self.abort()  # nobody asked: it would be taken for the next call's answer
            return
        # Each event of a stream comes through here: what is done for all of them is done in place.
        try:
            self._parser.feed_data(data if self.has_head else self._behind_bound(data))
        except (httptools.HttpParserError, NotHttp) as exc:
            self._refuse(exc)
        except httptools.HttpParserUpgrade:
            self._refuse(NotHttp("the server changed to another protocol, which nobody asked for"))
        else:
            if self._parts:
                self._room_bytes = HEAD_BYTES_MAX
                self._unread_bytes += len(data)
                if self._unread_bytes > UNREAD_BYTES_MAX:
                    self._pause()
            elif not self.is_complete:
                self._room_bytes -= len(data)
                if self._room_bytes < 0:
                    self._refuse(NotHttp(f"more than {HEAD_BYTES_MAX} bytes of chunks and trailers without a body"))
        if self._lingering is not None:
            self.take()
            if self.is_complete:
                self._stop_lingering()
                self.leave()
        elif self._listener is not None:
            self._listener()
        elif self.has_head and self._waiter is not None:
            self._wake()

    def eof_received(self) -> None:
        """Nothing more can be asked. The transport closes itself."""
        self.is_reusable = False
        self._home.withdraw(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost, self.is_reusable = True, False
        self._unsent = None
        self._stop_lingering()
        self._home.closed(self)
        if self._is_busy and not self.is_complete and self.failure is None:
            if not self.has_head:
                self.failure = Disconnected("" if exc is None else str(exc))
            elif exc is None and self._ends_with_connection():
                self.is_complete = True
            else:
                self.failure = BrokenOff(str(exc) if exc is not None else "the body is incomplete")
        if self._listener is not None:
            self._listener()
        self._wake()
        del self._parser  # which holds this object by its callbacks

    def pause_writing(self) -> None:
        self._is_choked = True

    def resume_writing(self) -> None:
        self._is_choked = False
        self._write_on()

    # Between the two

    def _behind_bound(self, data: bytes) -> bytes:
        """Of bytes that begin within a head, those that may be parsed once it is there. Raises NotHttp for too large a head."""
        if len(data) <= self._room_bytes:
            return data
        # Exactly as far as the bound, so that how the bytes were cut on their way makes no difference.
        self._parser.feed_data(data[: self._room_bytes])
        if not self.has_head:
            raise NotHttp(f"its headers have more than {HEAD_BYTES_MAX} bytes")
        return data[self._room_bytes :]

    def began(self) -> None:
        """The parser's: a head is complete."""
        status, fields = self._parser.get_status_code(), self._fields
        if status < 200:
            if status < 100 or (status > 103 and _has_body(fields)):
                self._refuse(NotHttp(f"its status is {status}" if status < 100 else "an interim answer with a body"))
            elif status != 101:  # the parser stops at that
                self._permits.append(None)
                fields.clear()
            return
        # Read from the back, so that the first of a name in two spellings counts.
        self.headers = {name.lower(): value for name, value in reversed(fields.items())}
        fields.clear()
        if b"\0" in b"".join(self.headers.values()):
            self._refuse(NotHttp("there is a null character in its headers"))
            return
        self.status, self.has_head = status, True
        self.is_reusable = self._parser.should_keep_alive()
        if self._is_head:
            self.is_complete, self.is_reusable = True, False

    def ended(self) -> None:
        """The parser's: a message is complete, which may be an interim one."""
        if self.has_head:
            self.is_complete = True
        else:
            self._parts.clear()

    def _ends_with_connection(self) -> bool:
        return b"content-length" not in self.headers and b"transfer-encoding" not in self.headers

    def _refuse(self, cause: Exception) -> None:
        """What came makes no sense. Behind a complete answer that only costs the connection."""
        if isinstance(cause, httptools.HttpParserCallbackError) and not isinstance(cause.__context__, IndexError):
            raise cause
        if not self.is_complete and self.failure is None:
            self.failure = BrokenOff(str(cause)) if self.has_head else NotHttp(str(cause))
        self.abort()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _pause(self) -> None:
        if not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._is_paused = False
        if self.is_open:
            self._transport.resume_reading()

    def _write_on(self) -> None:
        while self._unsent is not None and not self._is_choked:
            piece, rest = self._unsent[:WRITE_BYTES], self._unsent[WRITE_BYTES:]
            self._unsent = rest if rest else None
            self._transport.write(piece)

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None


def _has_body(fields: dict[bytes, bytes]) -> bool:
    """Whether the parser would read a body behind an interim answer's head, as it does for those that it does not know."""
    return any(name.lower() in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in fields.items())


class _Callbacks:
    """What the parser calls. Headers, body and beginnings go straight into containers, without a Python frame each.

    permits: one for each answer that may begin; with none left the parser stops where an answer begins that nobody asked for, so
    that it cannot become the next call's.
    """

    def __init__(self, connection: Connection, parts: list[bytes], fields: dict[bytes, bytes], permits: list[None]) -> None:
        self.on_message_begin = permits.pop
        self.on_header = fields.setdefault
        self.on_body = parts.append
        self.on_headers_complete = connection.began
        self.on_message_complete = connection.ended
