"""Silence on a stream: something is sent that says nothing, never in the middle of the answer, and never after it."""

from __future__ import annotations

import asyncio

from gateway.edge.keep_alive import Pulse
from gateway.reply import ClientStalled
from tests.virtual_time import run


class Heart:
    """Counts beats; the next one takes `takes_s`."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.takes_s = 0.0
        self.raises: Exception | None = None

    async def beat(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises


async def _noted(pulse: Pulse) -> None:
    if (beating := pulse.noted()) is not None:
        await beating


def test_it_beats_as_long_as_nothing_is_said() -> None:
    async def scenario() -> None:
        heart = Heart()
        pulse = Pulse(heart.beat, 10)
        await asyncio.sleep(35)
        await pulse.stop()
        await asyncio.sleep(60)
        assert heart.at == [10, 20, 30]

    run(scenario())


def test_it_beats_so_long_after_the_last_word_and_no_later() -> None:
    async def scenario() -> None:
        heart = Heart()
        pulse = Pulse(heart.beat, 10)
        for _ in range(4):
            await asyncio.sleep(9)
            await _noted(pulse)
        assert heart.at == []
        await asyncio.sleep(10.5)
        assert heart.at == [46]
        await pulse.stop()

    run(scenario())


def test_whoever_speaks_waits_for_a_beat_on_its_way() -> None:
    async def scenario() -> None:
        heart, loop = Heart(), asyncio.get_running_loop()
        heart.takes_s = 3
        pulse = Pulse(heart.beat, 10)
        await asyncio.sleep(11)
        await _noted(pulse)
        assert loop.time() == 13
        await asyncio.sleep(8.5)  # the next one has begun: ten seconds after the word at 11
        await pulse.stop()
        assert heart.at == [10, 21]
        assert loop.time() == 24

    run(scenario())


def test_a_beat_that_takes_longer_than_the_interval_is_waited_for() -> None:
    async def scenario() -> None:
        heart = Heart()
        heart.takes_s = 25
        pulse = Pulse(heart.beat, 10)
        await asyncio.sleep(45)
        pulse.cancel()
        assert heart.at == [10, 40]

    run(scenario())


def test_the_interval_may_change() -> None:
    async def scenario() -> None:
        heart = Heart()
        pulse = Pulse(heart.beat, 45)
        await asyncio.sleep(1)
        await pulse.every(10)
        await asyncio.sleep(25)
        await pulse.stop()
        assert heart.at == [11, 21]

    run(scenario())


def test_a_client_that_is_gone_is_found_by_the_answer_and_not_by_a_beat() -> None:
    async def scenario() -> None:
        heart = Heart()
        heart.raises = ClientStalled()
        pulse = Pulse(heart.beat, 10)
        await asyncio.sleep(25)
        await pulse.stop()
        assert heart.at == [10, 20]

    run(scenario())
