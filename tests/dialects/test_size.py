"""What a request or a stream costs grows with its size and no faster: no body that is taken holds the gateway up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from gateway.chat import sse
from gateway.dialects.base import Writer
from gateway.dialects.completions_answer import CompletionWriter
from gateway.dialects.messages_request import canonical
from gateway.dialects.messages_writer import MessagesWriter
from gateway.dialects.responses_answer import ResponsesWriter
from gateway.reply import Closing
from gateway.usage import Usage

Json = dict[str, Any]
FEW, MANY = 500, 8_000  # 16 times as many
GROWTH_MAX = 64  # what is quadratic takes 256 times as long
FAST_S = 0.5  # of the many: whatever it is, it holds nobody up

ASKED: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def spent_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def grows_with_its_size(work: Callable[[int], Callable[[], object]]) -> None:
    few_s, many_s = (spent_s(work(count)) for count in (FEW, MANY))
    assert many_s < max(FAST_S, GROWTH_MAX * few_s), f"{FEW} take {few_s:.3f} s, {MANY} take {many_s:.3f} s"


def called(index: int, arguments: str) -> Json:
    return {
        "tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    }


def more(index: int, arguments: str) -> Json:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


STREAMS: dict[str, Callable[[int], Sequence[Json]]] = {
    "text": lambda n: [{"content": "a "}] * n,
    "thinking": lambda n: [{"reasoning_content": "a "}] * n,
    "one long argument": lambda n: [called(0, '{"a": "'), *[more(0, "x}")] * n],
    "two long arguments in turn": lambda n: [called(0, '{"a": "'), called(1, '{"a": "'), *[more(i % 2, "x}") for i in range(n)]],
    "calls": lambda n: [called(i, "{}") for i in range(n)],
    "details": lambda n: [{"reasoning_details": [{"type": "reasoning.encrypted", "index": i, "data": "x"}]} for i in range(n)],
}
WRITERS: dict[str, Callable[[], Writer]] = {
    "messages": lambda: MessagesWriter("req_1", 5),
    "responses": lambda: ResponsesWriter({"model": "m"}, has_logprobs=False),
    "completions": lambda: CompletionWriter(wants_usage=True),
}


@pytest.mark.parametrize("of", STREAMS)
@pytest.mark.parametrize("dialect", WRITERS)
def test_a_stream_in_very_many_pieces(dialect: str, of: str) -> None:
    def work(count: int) -> Callable[[], object]:
        events = [sse({"id": "x", "choices": [{"index": 0, "delta": delta}]}) for delta in STREAMS[of](count)]
        writer = WRITERS[dialect]()
        return lambda: [*map(writer.events, events), writer.end(Closing(Usage(1, 1), None, b"", b""))]

    grows_with_its_size(work)


def test_a_system_prompt_in_very_many_blocks() -> None:
    def work(count: int) -> Callable[[], object]:
        body = msgspec.json.encode({**ASKED, "system": [{"type": "text", "text": "a"}] * count})
        return lambda: canonical(body)

    grows_with_its_size(work)
