"""Ids of prompts in a gateway: found beside the traffic, kept in the ledger, the same after a restart and in every replica."""

import asyncio
import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from benchmarks.prompt_traffic import prose
from gateway.chat import ChatHead, Message
from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Part, Template
from gateway.ledger.spool import Spool
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.writer import LedgerWriter
from gateway.prompts.ids import PromptIds
from gateway.request import ChatRequest

WAIT_S = 10.0


def ask(text: str, *more: Message, system: str | None = None) -> ChatRequest:
    systems = [] if system is None else [Message("system", system)]
    return ChatRequest("req", b"{}", ChatHead("auto", [*systems, Message("user", text), *more]))


SUMMARIES = [ask(f"Summarise the following article in three sentences:\n\n{rest}") for rest in ("A dog.", "Rain", "Who knows?")]
TRANSLATIONS = [
    ask(f"Translate the following text into {x}:\n\n{y}") for x, y in (("French", "hi"), ("Dutch", "no"), ("Thai", "ok"))
]


class Table:
    """A ledger of templates in memory: what is written can be read."""

    engine: Literal["sqlite", "postgres"] = "sqlite"
    where = "memory"

    def __init__(self) -> None:
        self.written: list[Template] = []
        self.is_full = self.is_away = self.is_closed = False

    def reserve(self) -> None:
        if self.is_full:
            raise LedgerUnavailable("the ledger cannot be written")

    def put(self, record: Template) -> None:
        self.written.append(record)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        if self.is_away:
            raise OSError("the ledger cannot be read")
        (after,) = values
        assert isinstance(after, int)
        return [
            {"n": n, "id": t.id, "text": t.text, "stands_for": _json(t.stands_for)}
            for n, t in enumerate(self.written, start=1)
            if n > after
        ]

    def batches(self, query: str, values: Sequence[object] = (), size: int = 10_000) -> Any:
        raise NotImplementedError

    def parts(self) -> Sequence[Part]:
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


def _json(ids: list[str]) -> str:
    return "[" + ", ".join(f'"{id_}"' for id_ in ids) + "]"


@contextlib.asynccontextmanager
async def running(table: Table) -> AsyncIterator[PromptIds]:
    ids = PromptIds(table, table, look_s=0.05)
    await ids.start()
    try:
        yield ids
    finally:
        await ids.aclose()


async def until(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.01)


def is_template(id_: str | None) -> bool:
    return id_ is not None and id_.startswith("t-")


def test_a_template_is_found_written_and_known_after_a_restart(tmp_path: Path) -> None:
    async def run(requests: list[ChatRequest]) -> list[str | None]:
        writer = LedgerWriter(SqliteLedger(tmp_path / "ledger.db"), Spool(tmp_path / "spool"))
        writer.start()
        ids = PromptIds(writer, SqliteReader(tmp_path / "ledger.db"), look_s=0.1)
        await ids.start()
        first = [ids.id_of(request) for request in requests]
        if not is_template(first[-1]):
            await until(lambda: is_template(ids.id_of(requests[-1])))
        last = ids.id_of(requests[-1])
        await ids.aclose()
        await writer.aclose()
        return [*first, last]

    *first, last = asyncio.run(run(SUMMARIES))
    assert first[0] is None, "asked once, and like nothing else"
    again = asyncio.run(run([ask("Summarise the following article in three sentences:\n\nSomething else.")]))
    assert again == [last, last], "from the first request on"
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        assert db.execute("SELECT id, text FROM template").fetchall() == [
            (last, "Summarise the following article in three sentences:\n\n<*>")
        ]


def test_what_one_gateway_finds_the_other_knows() -> None:
    async def scenario() -> None:
        table = Table()
        async with running(table) as one, running(table) as two:
            for request in SUMMARIES:
                one.id_of(request)
            await until(lambda: is_template(two.id_of(ask("Summarise the following article in three sentences:\n\nNew."))))
            assert one.id_of(SUMMARIES[0]) == two.id_of(SUMMARIES[0])
            for request in TRANSLATIONS:
                two.id_of(request)
            await until(lambda: is_template(one.id_of(TRANSLATIONS[0])))
        assert len(table.written) == 2, "and nobody writes what is written"

    asyncio.run(scenario())


def test_two_that_find_the_same_at_once_give_it_one_id() -> None:
    async def scenario() -> None:
        table = Table()
        async with running(table) as one, running(table) as two:
            for gateway in (one, two):
                for request in SUMMARIES:
                    gateway.id_of(request)
            await until(lambda: is_template(one.id_of(SUMMARIES[0])) and is_template(two.id_of(SUMMARIES[0])))
            assert one.id_of(SUMMARIES[0]) == two.id_of(SUMMARIES[0])
        assert len({template.id for template in table.written}) == 1

    asyncio.run(scenario())


def test_halves_of_a_template_found_apart_become_one_everywhere() -> None:
    async def scenario() -> None:
        table = Table()
        french, dutch = (
            [ask(f"Translate the following text into {language}:\n\n{text}") for text in ("hi", "good night", "where is it?")]
            for language in ("French", "Dutch")
        )
        async with running(table) as one, running(table) as two:
            for request in french:
                one.id_of(request)
            for request in dutch:
                two.id_of(request)
            await until(lambda: is_template(id_ := one.id_of(dutch[0])) and id_ == two.id_of(french[0]) == one.id_of(french[0]))
            before = len(table.written)
            await asyncio.sleep(0.3)
            assert len(table.written) == before, "they come to an end"

    asyncio.run(scenario())


def test_a_template_waits_for_a_ledger_that_is_full() -> None:
    async def scenario() -> None:
        table = Table()
        table.is_full = True
        async with running(table) as ids:
            for request in SUMMARIES:
                ids.id_of(request)
            await until(lambda: is_template(ids.id_of(SUMMARIES[0])))
            assert table.written == []
            table.is_full = False
            await until(lambda: len(table.written) == 1)
        assert table.is_closed

    asyncio.run(scenario())


def test_without_a_ledger_to_read_it_serves_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        table = Table()
        table.put(Template("t-0", 1.0, "written by hand: <*>"))
        table.is_away = True
        with caplog.at_level(logging.ERROR, "turnout.prompts"):
            async with running(table) as ids:
                await asyncio.sleep(0.3)
                for request in SUMMARIES:
                    ids.id_of(request)
                await until(lambda: is_template(ids.id_of(SUMMARIES[0])))
                assert len(caplog.records) == 1
                table.is_away = False
                await asyncio.sleep(0.2)
                assert ids.id_of(ask("written by hand: what?")) is None, "an id that the text does not make is for reports"

    asyncio.run(scenario())


def test_all_turns_of_a_conversation_have_one_id() -> None:
    async def scenario() -> None:
        async with running(Table()) as ids:
            for request in SUMMARIES:
                ids.id_of(request)
            await until(lambda: is_template(ids.id_of(SUMMARIES[0])))
            text = "Summarise the following article in three sentences:\n\nOnce more"
            later = ask(text, Message("assistant", "Fine."), Message("user", "Shorter!"))
            assert ids.id_of(ask(text)) == ids.id_of(later) == ids.id_of(SUMMARIES[0])

    asyncio.run(scenario())


@pytest.mark.parametrize("messages", [[], [Message("user", None)], [Message("tool", "18 degrees")]], ids=["none", "null", "tool"])
def test_a_request_that_says_nothing_has_no_id(messages: list[Message]) -> None:
    async def scenario() -> None:
        async with running(Table()) as ids:
            assert ids.id_of(ChatRequest("req", b"{}", ChatHead("auto", messages))) is None

    asyncio.run(scenario())


def test_learning_leaves_the_cores_to_the_requests() -> None:
    async def scenario() -> None:
        rng = random.Random(1)
        async with running(Table()) as ids:
            began, used = time.monotonic(), time.process_time() - time.thread_time()
            while time.monotonic() < began + 2.0:
                ids.id_of(ask(prose(rng, 10, 40)))
                await asyncio.sleep(0.002)
            used = time.process_time() - time.thread_time() - used  # by all threads but this one
            assert 0.0 < used < 0.1 * (time.monotonic() - began)

    asyncio.run(scenario())


def test_a_megabyte_costs_no_more_than_a_page() -> None:
    async def scenario() -> None:
        async with running(Table()) as ids:
            huge = ask("word " * 200_000, system="rule " * 200_000)
            began = time.thread_time()
            for _ in range(100):
                ids.id_of(huge)
            assert (time.thread_time() - began) / 100 < 0.004

    asyncio.run(scenario())
