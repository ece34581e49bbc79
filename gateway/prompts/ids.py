"""Gives each request the id of its prompt, and finds prompt templates meanwhile, together with the other gateways.

What is known of templates stands in the ledger; that all who share it read the same is what makes ids the same everywhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import LedgerReader, Template
from gateway.prompts.mining import TEMPLATES_MAX, Found, Miner
from gateway.prompts.pattern import Shape
from gateway.prompts.recogniser import Recogniser
from gateway.prompts.view import View, view_of
from gateway.request import ChatRequest

log = logging.getLogger("turnout.prompts")

LOOK_S: Final = 10.0  # between two looks at what others have found
IDLE_S: Final = 0.25
CPU_SHARE: Final = 0.02  # of one core, to find templates
ROWS_AGAIN: Final = 100  # of what was read before: rows of other writers may come to light out of order

Row = tuple[str, str, Sequence[str]]  # a template's id, its text, and what it stands for


class TemplateLog(Protocol):
    """Where templates are written: the ledger's writer."""

    def reserve(self) -> None: ...
    def put(self, record: Template) -> None: ...


class PromptIds:
    """Owned by the application's lifespan: start, then aclose, which closes the reader too.

    Requests are only compared, in the loop; all else is done in a thread, one prompt at a time, and paced.
    """

    def __init__(self, ledger: TemplateLog, reader: LedgerReader, look_s: float = LOOK_S) -> None:
        self._ledger, self._reader, self._look_s = ledger, reader, look_s
        self._recogniser = Recogniser()
        self._miner = Miner()  # in the thread only
        self._unwritten: deque[Template] = deque()
        self._read_to = 0
        self._is_readable = True
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompts")
        self._task: asyncio.Task[None] | None = None

    def id_of(self, request: ChatRequest) -> str | None:
        """The id of the request's prompt, if it has one. Takes some microseconds, whatever the size of the request."""
        view = view_of(request)
        return None if view is None else self._recogniser.id_of(view)

    async def start(self) -> None:
        """Read what is known, so that ids are those of before from the first request on; then begin to find more."""
        await self._look(is_first=True)
        self._task = asyncio.create_task(self._run(), name="prompt-templates")
        self._task.add_done_callback(_ended)

    async def aclose(self) -> None:
        """Stop. What has been found is handed over to the ledger, which closes after."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._write()
        self._thread.shutdown()
        self._reader.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._recogniser.waiting
        while True:
            look_at = loop.time() + self._look_s
            while (left_s := look_at - loop.time()) > 0:
                if not waiting:
                    await asyncio.sleep(min(IDLE_S, left_s))
                    continue
                found, spent_s = await loop.run_in_executor(self._thread, self._learn, waiting.pop())
                self._take(found)
                await asyncio.sleep(spent_s / CPU_SHARE)
            self._write()
            await self._look()

    def _learn(self, view: View) -> tuple[list[Found], float]:
        began = time.thread_time()
        while self._recogniser.dropped:
            self._miner.forget(self._recogniser.dropped.popleft())
        found = self._miner.learn(view, self._recogniser.matched)
        return found, time.thread_time() - began

    def _take(self, found: Sequence[Found]) -> None:
        """Use what was found here, and write it down for all."""
        now = time.time()
        for one in found:
            template = Template(one.shape.id, now, one.shape.text, list(one.stands_for))
            self._recogniser.adopt(template.id, template.text, template.stands_for)
            self._unwritten.append(template)
        if found:
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            try:
                self._ledger.reserve()
            except LedgerUnavailable:
                return  # requests are refused for it as well, and the ledger says why; the next look tries again
            self._ledger.put(self._unwritten.popleft())

    async def _look(self, *, is_first: bool = False) -> None:
        """Read what others have found since the last look, and see what that makes together with what is known here."""
        try:
            rows, found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, is_first)
        except OSError as exc:
            if self._is_readable:
                log.error("prompt templates that other gateways find are not seen until the ledger can be read: %s", exc)
            self._is_readable = False
            return
        self._is_readable = True
        for id_, text, stands_for in rows:
            self._recogniser.adopt(id_, text, stands_for)
        self._take(found)

    def _read(self, is_first: bool) -> tuple[list[Row], list[Found]]:
        query = "SELECT n, id, text, stands_for FROM template WHERE n > ? ORDER BY n"
        read = self._reader.rows(query, (self._read_to - ROWS_AGAIN,))
        rows: list[Row] = [(row["id"], row["text"], json.loads(row["stands_for"])) for row in read]
        taken = {id_ for _, _, stands_for in rows for id_ in stands_for}
        families = self._recogniser.families
        new = {id_: Shape.parse(text) for id_, text, _ in rows if id_ not in taken and families.text(id_) is None}
        for id_ in taken:
            self._miner.forget(id_)
        found: list[Found] = []
        for shape in [shape for id_, shape in new.items() if shape.id == id_][-TEMPLATES_MAX:]:
            if is_first:
                self._miner.know(shape)
            else:
                found += self._miner.adopt(shape)
        self._read_to = max([self._read_to, *(row["n"] for row in read)])
        return rows, found


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.error("no more prompt templates are found, by a mistake of the gateway's; those known are still used", exc_info=exc)
