"""A client's connection: HTTP/1.1 in, each request to the hot route it is for, or to the ASGI application, answers out in order.

The hot routes are asked without ASGI, whose messages, receiver and watch for a client that leaves cost as much as all that is
decided of a request. One that came whole costs a task and nothing else of the event loop's: its body is there before the task
begins, so that nothing has to be waited for; a client that leaves cancels it from here; room to write is waited for when there
is none, and time is bounded by timers that are set when something is late, and not for each request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Final, cast

from gateway.edge.asgi_call import CONTINUE, AsgiCall, scope_of
from gateway.edge.body_bounds import BODY_S, DISCARD_FACTOR, check_encoding, late, too_large
from gateway.edge.endpoint import Endpoint, refuse
from gateway.edge.error_response import ErrorBody, error_body_at
from gateway.edge.exchange import taken
from gateway.edge.http_exchange import CLOSE, HttpExchange
from gateway.edge.idleness import Idleness
from gateway.edge.no_request import answer_to
from gateway.edge.request_reader import NoHttp, RequestReader
from gateway.edge.serving import Config, Front, ServerState
from gateway.errors import ClientError, InternalError, TurnoutError
from gateway.reply import ClientStalled

log = logging.getLogger("turnout.edge")

PARTING_S: Final = 2.0  # for a client that is still sending to hear that the connection ends


class Connection(asyncio.Protocol):
    """One client's; the Line of its exchanges. Made by uvicorn's server for each, with these arguments.

    While one request is answered those behind it wait, and nothing more is read than came with them.
    """

    transport: asyncio.Transport
    answering: HttpExchange | None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._front: Front = config.app
        self._keep_alive_s, self._state, self._app_state = config.timeout_keep_alive, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._reader = RequestReader(self, self._front.hot)
        self._waiting: deque[HttpExchange] = deque()  # pipelined
        self.answering: HttpExchange | None = None
        self.is_congested = self.is_last = self._is_paused = False
        self._is_deaf = False  # what still comes is none of a request
        self._spoilt_by: NoHttp | None = None
        self._room: list[asyncio.Future[None]] = []
        self._body_timer: asyncio.TimerHandle | None = None
        self._parting: asyncio.TimerHandle | None = None
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._common_lines = b""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of its classes
        self._state.connections.add(self)
        self._idleness = Idleness(self, self._loop, self._keep_alive_s)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        try:
            self._reader.feed(data)
        except NoHttp as exc:
            self._spoil(exc)
        self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        for timer in (self._body_timer, self._parting, self._idleness):
            if timer is not None:
                timer.cancel()
        self._reader.close()
        del self._reader, self._idleness  # which know this connection: it is to be freed without a collection
        exchange, self.answering = self.answering, None
        self._waiting.clear()
        self.resume_writing()
        if exchange is None:
            return
        exchange.has_left = True
        if exchange.call is not None:
            exchange.call.hear()
        elif exchange.task is not None and not exchange.is_complete:
            exchange.task.cancel()

    def pause_writing(self) -> None:
        self.is_congested = True

    def resume_writing(self) -> None:
        self.is_congested = False
        for waiter in self._room:
            if not waiter.done():
                waiter.set_result(None)
        self._room.clear()

    # What the reader calls.

    def came(self, exchange: HttpExchange) -> None:
        if self.answering is None:
            self.answering = exchange
        else:
            self._waiting.append(exchange)
            self.pause_reading()

    # What exchanges call.

    def common_lines(self) -> bytes:
        if self._defaults is not self._state.default_headers:
            defaults = self._defaults = self._state.default_headers  # made anew each second, for the date
            self._common_lines = b"".join([b"%b: %b\r\n" % header for header in defaults])
            self.is_last = CLOSE in self._common_lines
        return self._common_lines

    def answered(self, exchange: HttpExchange) -> None:
        self.answering = None
        self._idleness.since = self._loop.time()
        if not exchange.keeps_alive:
            self._part()
        elif self._waiting:
            self.answering = self._waiting.popleft()
            # Not here: what goes wrong with it is no matter of whoever gave the answer before.
            self._loop.call_soon(self._proceed)
        elif self._spoilt_by is not None:
            self._end_spoilt(self._spoilt_by)
        elif self._is_paused:
            self.resume_reading()

    async def has_room(self) -> None:
        if not self.is_congested:
            return  # it was made before anybody came to wait for it
        waiter = self._loop.create_future()
        self._room.append(waiter)
        try:
            await taken(waiter)
        except ClientStalled:
            exchange = self.answering
            if exchange is not None and exchange.task is asyncio.current_task():
                exchange.has_left, self.answering = True, None  # it hears of it here, and is not cancelled for it
            self.transport.abort()
            raise

    def pause_reading(self) -> None:
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    # What its idleness, and the server at its end, ask.

    @property
    def is_answering(self) -> bool:
        """A request is being answered, or its body is awaited, which has a bound of its own."""
        return self.answering is not None

    @property
    def is_amid_request(self) -> bool:
        """A part of a request is here, and more of it is to come."""
        return self._reader.is_amid

    @property
    def is_owed_a_body(self) -> bool:
        """Whether there is a request that the client has not sent all of, and that nobody has begun to answer."""
        return self.answering is not None and self.answering.task is None

    def shutdown(self) -> None:
        """End with the answer that is under way, or now."""
        if self.answering is None:
            self.transport.close()
        else:
            self.answering.keeps_alive = False

    # From a request to whoever answers it.

    def _spoil(self, why: NoHttp) -> None:
        """What came is no HTTP; the requests before it are answered still."""
        log.warning("a client sent what is no HTTP: %s", why)
        self._spoilt_by, self._is_deaf = why, True
        exchange, self._reader.receiving = self._reader.receiving, None
        if exchange is None:
            pass
        elif exchange in self._waiting:
            self._waiting.remove(exchange)
        elif exchange.is_complete:  # answered before it was whole
            exchange.keeps_alive = False
            if self.answering is None:
                self._part()
            return
        else:
            self.answering, exchange.has_left = None, True
            if exchange.call is not None:
                exchange.call.hear()
                if exchange.call.has_begun:  # there is an answer that a second one would be taken for a part of
                    self.transport.close()
                    return
        if self.answering is None:
            self._end_spoilt(why)
        else:
            self.pause_reading()

    def _end_spoilt(self, why: NoHttp) -> None:
        lines = self.common_lines()
        self.transport.write(answer_to(why, lines, b"" if self.is_last else CLOSE))
        self._part()

    def _part(self) -> None:
        """Close, so that a client that is still sending hears what was said last.

        A close at once would be a reset then, which takes from it what it has not read yet (RFC 9112, 9.6).
        """
        if (self._spoilt_by is None and self._reader.receiving is None) or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            self._is_deaf = True
            self._parting = self._loop.call_later(PARTING_S, self.transport.close)
            self.transport.write_eof()
            self.resume_reading()

    def _proceed(self) -> None:
        """Take the request whose turn it is as far as it goes with what is there of it."""
        exchange = self.answering
        if exchange is None:
            return
        endpoint = exchange.endpoint
        if endpoint is None:
            self._call(exchange)
        elif exchange.task is None and (exchange.is_admitted or self._admits(exchange, endpoint)):
            if exchange.size > endpoint.body_bytes_max:
                self._discard(exchange, endpoint)
            elif exchange.is_received:
                body = b"".join(exchange.chunks)  # of one piece no copy
                exchange.chunks.clear()
                self._begin(exchange, endpoint.answer(exchange, body))

    def _call(self, exchange: HttpExchange) -> None:
        if exchange.call is None:
            exchange.call = AsgiCall(exchange)
            self._begin(exchange, exchange.call.run(self._front, scope_of(exchange, self._app_state)))
            if not self._waiting:
                self.resume_reading()
        exchange.call.hear()

    def _admits(self, exchange: HttpExchange, endpoint: Endpoint[Any]) -> bool:
        """Whether the body is wanted; before it is here, so that it need not come in vain."""
        try:
            self._front.admit(exchange)
        except ClientError as exc:
            self._refuse(exchange, exc, error_body_at(exchange.head.path, exchange.headers))
            return False
        except Exception:  # the last resort, as behind it
            log.exception("request %s could not be let in by a mistake of the gateway's", exchange.id)
            self._refuse(exchange, InternalError(exchange.id), endpoint.dialect.error_body)
            return False
        if not exchange.head.is_plain and not self._invites(exchange, endpoint):
            return False
        exchange.is_admitted = True
        if not exchange.is_received:
            self._body_timer = self._loop.call_later(BODY_S, self._body_is_late, exchange, endpoint)
            self.resume_reading()
        return True

    def _invites(self, exchange: HttpExchange, endpoint: Endpoint[Any]) -> bool:
        """Whether the body is one that is read; who waits for that word is told."""
        try:
            check_encoding(exchange.headers)
        except ClientError as exc:
            self._refuse(exchange, exc, endpoint.dialect.error_body)
            return False
        if exchange.awaits_word:
            exchange.awaits_word = False
            self.transport.write(CONTINUE)
        return True

    def _discard(self, exchange: HttpExchange, endpoint: Endpoint[Any]) -> None:
        exchange.chunks.clear()
        if exchange.is_received or exchange.size > endpoint.body_bytes_max * DISCARD_FACTOR:
            self._refuse(exchange, too_large(exchange.headers, endpoint.body_bytes_max), endpoint.dialect.error_body)

    def _begin(self, exchange: HttpExchange, work: Coroutine[Any, Any, None]) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        task = exchange.task = self._loop.create_task(work)
        self._state.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._state.tasks.discard(task)
        if self.answering is not None and self.answering.task is task:  # what is out of the answer must not look like a whole one
            self.answering = None
            self.transport.close()

    def _refuse(self, exchange: HttpExchange, error: TurnoutError, words: ErrorBody) -> None:
        self._begin(exchange, refuse(exchange, error, words))

    def _body_is_late(self, exchange: HttpExchange, endpoint: Endpoint[Any]) -> None:
        self._body_timer = None
        self._refuse(exchange, late(), endpoint.dialect.error_body)
