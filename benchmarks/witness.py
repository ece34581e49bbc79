"""Clients that keep a gateway busy and remember which answers they got whole, to be compared with its ledger."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from gateway.ledger.sqlite import connect

ANSWER_S = 60.0
PAUSE_S = 0.02  # after a failure: a gateway that is away is not helped by being asked all the time

# Answers of some 0.1 s, so that there are always some under way.
POLICY = """
version: 1
providers: {rehearsed: {kind: fake, ttft: 20ms, tokens_per_second: 250, words: 20}}
models: {m: {provider: rehearsed, id: x, price: {input: 1, output: 2}}}
routes: [{name: all, model: m}]
"""


@dataclass(frozen=True)
class Answer:
    """How one request went. error: the code of the error that came in its place or ended it, or what became of the connection.

    has_begun: something was heard of the gateway. is_whole: a body that is complete, or a stream with its terminator.
    """

    status: int | None = None
    is_whole: bool = False
    has_begun: bool = False
    error: str | None = None


@dataclass
class Witness:
    """Use as an async context manager: `clients` ask one request after the other, every second one streamed, until it is left.

    answers: by request id. With stops_at_failure, each client gives up at the first connection that fails.
    """

    url: str
    clients: int = 8
    stops_at_failure: bool = False
    answers: dict[str, Answer] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._is_over = False
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    @property
    def whole(self) -> set[str]:
        """Ids of the requests that were answered whole."""
        return {id_ for id_, answer in self.answers.items() if answer.is_whole}

    async def answered(self, more: int, within_s: float = 30.0) -> None:
        """Returns when so many more answers have come. Raises TimeoutError, with what came last."""
        wanted = len(self.whole) + more
        try:
            async with asyncio.timeout(within_s):
                while len(self.whole) < wanted:  # noqa: ASYNC110 - nothing else needs to be told
                    await asyncio.sleep(0.01)
        except TimeoutError as exc:
            last = list(self.answers.values())[-3:]
            raise TimeoutError(
                f"{wanted - len(self.whole)} of {more} answers did not come within {within_s:g} s: {last}"
            ) from exc

    async def _ask_on(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=ANSWER_S) as http:
            is_stream = False
            while not self._is_over:
                id_, is_stream = uuid.uuid4().hex, not is_stream
                answer = self.answers[id_] = await ask(http, id_, is_stream=is_stream)
                if answer.status is None or not answer.is_whole:
                    if self.stops_at_failure:
                        return
                    await asyncio.sleep(PAUSE_S)


async def ask(http: httpx.AsyncClient, id_: str, *, is_stream: bool) -> Answer:
    """One request under this id."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}], "stream": is_stream}
    status: int | None = None
    text = ""
    try:
        async with http.stream("POST", "/v1/chat/completions", json=body, headers={"x-request-id": id_}) as response:
            status = response.status_code
            async for part in response.aiter_text():
                text += part
    except httpx.TransportError as exc:
        return Answer(status, has_begun=status is not None, error=repr(exc))
    if status != 200 or '"error":' in text:
        code = text.partition('"code":"')[2].partition('"')[0]
        return Answer(status, has_begun=True, error=code or text)
    is_whole = text.endswith("data: [DONE]\n\n") if is_stream else '"finish_reason":"stop"' in text
    return Answer(status, is_whole, has_begun=True, error=None if is_whole else "cut")


def booked(ledger: Path) -> list[tuple[str, str, str, int]]:
    """(request id, uid, outcome, status) of every entry, in the order they were written."""
    db = connect(ledger, read_only=True)
    try:
        return [tuple(row) for row in db.execute("SELECT request_id, uid, outcome, status FROM entry ORDER BY id")]
    finally:
        db.close()


def doubles(db_path: Path) -> int:
    """Entries that are there more than once, by request id or by uid."""
    with sqlite3.connect(db_path) as db:
        (count,) = db.execute("SELECT 2 * count(*) - count(DISTINCT request_id) - count(DISTINCT uid) FROM entry").fetchone()
    db.close()
    return int(count)
