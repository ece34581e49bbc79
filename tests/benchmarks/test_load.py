"""The load generator: what it counts, and from when."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable

from benchmarks.gateways.load import Load, Result, Target, run
from benchmarks.gateways.mock_upstream import ANSWER, CHUNKS, FIRST, LAST, TOKEN, Upstream
from benchmarks.gateways.prompts import SENTENCES, prompt

Reply = Callable[[asyncio.Transport], None]
FAILURE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"


class Scripted(Upstream):
    """Replies as it is told to."""

    reply: Reply

    def _answer(self, head: bytes, body: bytes) -> None:
        assert json.loads(body)["messages"][0]["content"].startswith("Case ")
        type(self).reply(self._transport)


def server(reply: Reply) -> type[Scripted]:
    return type("Server", (Scripted,), {"reply": staticmethod(reply)})


def played(
    protocol: type[Upstream], *, concurrency: int = 0, rate: float = 0.0, seconds: float = 0.2, is_stream: bool = False
) -> Result:
    async def play() -> Result:
        listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        async with listening:
            target = Target(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", headers={"x-test": "1"})
            load = Load(target, itertools.count(), is_stream=is_stream)
            return await (load.closed(concurrency, seconds) if concurrency else load.open_(rate, seconds, seed=1))

    return run(play())


def test_whole_answers_are_counted_with_their_latency() -> None:
    result = played(Upstream, concurrency=4)
    assert result.answers >= len(result.latencies_s) > 10 and not result.problems
    assert all(0 < latency_s < 5 for latency_s in result.latencies_s) and result.ttfts_s == []


def test_a_stream_is_whole_with_all_its_chunks_and_its_first_token_comes_before_its_end() -> None:
    result = played(Upstream, concurrency=3, seconds=0.6, is_stream=True)
    assert result.answers >= 3 and not result.problems
    assert len(result.ttfts_s) == len(result.latencies_s) > 0
    assert max(result.ttfts_s) < min(result.latencies_s)
    assert result.events > CHUNKS


def test_a_failure_is_a_problem_and_no_latency() -> None:
    replies = itertools.chain([ANSWER, ANSWER], itertools.repeat(FAILURE))  # the first end the warm-up
    result = played(server(lambda transport: transport.write(next(replies))), concurrency=2, seconds=0.05)
    assert set(result.problems) == {"status 503"} and result.answers == 2 and result.latencies_s == []


def test_an_answer_that_is_cut_off_is_a_problem_and_the_load_goes_on() -> None:
    def cut(transport: asyncio.Transport) -> None:
        transport.write(ANSWER[:-10])
        transport.close()

    result = played(server(cut), rate=100, seconds=0.2)
    assert set(result.problems) == {"cut off"} and result.problems["cut off"] > 5


def test_a_stream_that_lacks_chunks_is_a_problem() -> None:
    result = played(server(lambda transport: transport.write(FIRST + TOKEN + LAST)), rate=50, is_stream=True)
    assert set(result.problems) == {"short stream"}


def test_nobody_who_listens_is_a_problem() -> None:
    async def play() -> Result:
        listening = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        return await Load(Target(f"http://127.0.0.1:{port}/v1"), itertools.count()).open_(50, 0.1, seed=1)

    result = run(play())
    assert set(result.problems) == {"no connection"} and result.answers == 0


def test_the_same_seed_sends_as_many_requests() -> None:
    first, second = (played(Upstream, rate=200, seconds=0.3) for _ in range(2))
    assert len(first.latencies_s) == len(second.latencies_s) == first.answers > 30


def test_a_slow_answer_delays_no_other_request_at_a_rate() -> None:
    def late(transport: asyncio.Transport) -> None:
        asyncio.get_running_loop().call_later(0.3, transport.write, ANSWER)

    result = played(server(late), rate=100, seconds=0.3)
    assert len(result.latencies_s) > 15 and not result.problems
    assert min(result.latencies_s) >= 0.29 and max(result.latencies_s) < 2 * 0.3 + 0.5  # one after the other it would take 5 s


def test_a_server_that_was_busy_when_a_request_was_due_is_charged_for_that_time() -> None:
    def blocked(transport: asyncio.Transport) -> None:
        time.sleep(0.05)  # the load's loop is blocked as well, and cannot send
        transport.write(ANSWER)

    result = played(server(blocked), rate=100, seconds=0.3)
    assert max(result.latencies_s) > 0.3


def test_no_two_prompts_are_alike_and_none_needs_escaping() -> None:
    prompts = [prompt(serial) for serial in range(20_000)]
    assert len({text[14:] for text in prompts}) == len(prompts)
    assert len(SENTENCES) == len(set(SENTENCES)) == 512
    for text in prompts[:500]:
        assert json.loads(b'"%b"' % text) == text.decode("ascii")
        assert 600 < len(text) < 800 and not any(char.isdigit() for char in text.decode())
