"""An open-loop load: questions leave at random times drawn beforehand, whatever becomes of those before them."""

from __future__ import annotations

import asyncio
import random
import time
import urllib.parse
from collections.abc import Iterator

import msgspec

from benchmarks.chaos.answers import Question, right_answer
from benchmarks.chaos.client import Verdict, ask, judge


class Record(msgspec.Struct, frozen=True):
    """What became of one question. Times in seconds after the run's zero.

    tokens_out: of the right answer. due_s: when it should leave; latencies count from here, so that a generator that lags
    hides nothing. sent_s: when it left. first_s: the first content came; None if none did, or if it was not streamed.
    """

    case: str
    is_stream: bool
    tokens_in: int
    tokens_out: int
    due_s: float
    sent_s: float
    end_s: float
    verdict: Verdict
    status: int
    first_s: float | None = None
    why: str = ""

    @property
    def ttft_s(self) -> float | None:
        return None if self.first_s is None else self.first_s - self.due_s

    @property
    def took_s(self) -> float:
        return self.end_s - self.due_s


class Load(msgspec.Struct, frozen=True):
    """rate: questions a second, at exponential intervals. hung_s: an answer that takes longer hangs."""

    rate: float
    seconds: float
    stream_share: float = 0.5
    long_share: float = 0.1
    hung_s: float = 20.0


async def send(url: str, load: Load, asked: Iterator[Question], zero_s: float, seed: int) -> list[Record]:
    """Send the load from zero_s (monotonic clock) on, and wait for the last answer."""
    parts = urllib.parse.urlsplit(url)
    records: list[Record] = []
    draw, due_s = random.Random(seed), 0.0

    async def one(question: Question, due_s: float) -> None:
        sent_s = time.monotonic() - zero_s
        received = await ask(parts.hostname or "", parts.port or 80, question, load.hung_s)
        end_s = time.monotonic() - zero_s
        verdict, why = judge(received, question)
        first_s = sent_s + received.first_s if question.is_stream and received.first_s is not None else None
        records.append(
            Record(
                case=question.case,
                is_stream=question.is_stream,
                tokens_in=question.tokens_in,
                tokens_out=len(right_answer(question.prompt)),
                due_s=due_s,
                sent_s=sent_s,
                end_s=end_s,
                verdict=verdict,
                status=received.status,
                first_s=first_s,
                why=why,
            )
        )

    async with asyncio.TaskGroup() as group:
        for question in asked:
            due_s += draw.expovariate(load.rate)
            if due_s >= load.seconds:
                break
            await asyncio.sleep(zero_s + due_s - time.monotonic())
            group.create_task(one(question, due_s))
    return sorted(records, key=lambda record: record.due_s)
