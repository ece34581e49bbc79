"""The scripted providers: a process of its own that speaks OpenAI chat over real HTTP and fails by the timetable.

    python -m benchmarks.chaos.provider --script FILE --log FILE

Each target has a port of its own, so that one that is down refuses connections. The timetable begins when `PUT /zero` names the
time, on the monotonic clock that all processes share; until then the first phase lasts. A conversation that ends with a part of
the answer, said by the assistant, is answered with the rest. Ends on SIGTERM, with a line in the log for every call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks.chaos.answers import case_of, remaining, right_answer
from benchmarks.chaos.connection import Connection, Left, Reset
from benchmarks.chaos.script import FAULTS, Call, Phase, Script, Target

SILENCE_S = 60.0
ERRORS = {"500": "Internal Server Error", "503": "Service Unavailable", "429": "Too Many Requests"}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Clock:
    """Seconds after the run's zero; 0 until that is known."""

    def __init__(self) -> None:
        self._zero_s = 0.0
        self._is_set = asyncio.Event()

    def begin(self, zero_s: float) -> None:
        self._zero_s = zero_s
        self._is_set.set()

    def now_s(self) -> float:
        return time.monotonic() - self._zero_s if self._is_set.is_set() else 0.0

    async def until(self, time_s: float) -> None:
        await self._is_set.wait()
        await asyncio.sleep(time_s - self.now_s())


class Play:
    """One target: listens while it is not down, and answers as its phase says."""

    def __init__(self, target: Target, seed: int, clock: Clock, log: list[Call]) -> None:
        self._target, self._seed, self._clock, self._log = target, seed, clock, log
        self._open: set[Connection] = set()
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        """Go through the phases; the last one lasts."""
        server: asyncio.Server | None = None
        for start_s, _, phase in self._target.spans():
            if start_s:
                await self._clock.until(start_s)
            if phase.kind == "down" and server is not None:
                server.close()
                server = None
                for connection in list(self._open):
                    connection.reset()
            elif phase.kind != "down" and server is None:
                server = await asyncio.start_server(self._serve, "127.0.0.1", self._target.port, backlog=1024)
        await asyncio.Event().wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self._open.add(connection)
        try:
            while (request := await connection.request()) is not None:
                await self._answer(connection, *request)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the caller is gone
        finally:
            self._open.discard(connection)
            connection.close()

    async def _answer(self, connection: Connection, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET "):
            connection.write(_reply(200, {"object": "list", "data": []}))
            return
        if head.startswith(b"PUT "):
            self._clock.begin(float(body))
            connection.write(_reply(200, {}))
            return
        now_s = self._clock.now_s()
        question, phase = json.loads(body), self._target.at(now_s)
        prompt, tokens, tokens_in = _asked(question["messages"])
        case = case_of(prompt)
        self._asked[case] = number = self._asked.get(case, 0) + 1
        # By question and not by order: whoever asks, and however often others ask, is dealt the same cards.
        draw = random.Random(f"{self._seed} {self._target.name} {case} {number}")
        ttft_s = phase.ttft_s * math.exp(draw.gauss(0, phase.spread))
        played, gap_s = "ok", phase.gap_s
        if draw.random() < phase.error_share:
            played = draw.choice(FAULTS)
        elif draw.random() < phase.drip_share:
            played, gap_s = "drip", phase.drip_gap_s
        call = Call(self._target.name, case, now_s, phase.kind, played, tokens_in=tokens_in)
        answer = Answer(connection, call, phase, tokens, question.get("model", ""), ttft_s, gap_s)
        try:
            await (answer.stream() if question.get("stream") else answer.whole())
        except Left:
            is_down = self._target.at(self._clock.now_s()).kind == "down"
            answer.end(was_left=not is_down, played="down" if is_down else played)
        except Reset:
            connection.reset()
            answer.end()
        finally:
            self._log.append(answer.call)


class Answer:
    """The answer to one call, right or wrong as `call.played` says. `call` is complete once it has ended."""

    def __init__(
        self, connection: Connection, call: Call, phase: Phase, tokens: list[str], model: str, ttft_s: float, gap_s: float
    ) -> None:
        self._connection, self._tokens, self._model = connection, tokens, model
        self._ttft_s, self._gap_s, self._started = ttft_s, gap_s, time.monotonic()
        self._written = 0
        self.call = call

    async def stream(self) -> None:
        """As events. Raises Left and Reset."""
        await self._first()
        played = self.call.played
        if played in ERRORS:
            return self._refuse()
        self._connection.write(STREAM_HEAD + (b"" if played == "silent" else self._event({"role": "assistant", "content": ""})))
        if played == "silent":
            return await self._break_off()
        if played == "event":
            error = {"error": {"message": "the engine is overloaded", "type": "server_error", "code": "overloaded"}}
            self._connection.write(_chunk(b"data: " + json.dumps(error).encode() + b"\n\n") + b"0\r\n\r\n")
            return self.end()
        is_broken = played in ("cut", "reset", "stall")
        for token in self._tokens[: len(self._tokens) // 2] if is_broken else self._tokens:
            await self._connection.pause(self._gap_s if self._written else 0)
            self._connection.write(self._event({"content": token}))
            self._written += 1
        if is_broken:
            if played == "cut":
                self._connection.write(b"0\r\n\r\n")  # to HTTP a regular end
            return await self._break_off()
        usage = self._event(None, usage=self._usage())
        self._connection.write(self._event({}, "stop") + usage + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        self.end(is_whole=True)

    async def whole(self) -> None:
        """As one JSON document. Raises Left and Reset."""
        await self._first(len(self._tokens) * self._gap_s)
        played = self.call.played
        if played in ERRORS:
            return self._refuse()
        if played == "event":
            self._connection.write(_reply(200, {"error": {"message": "the engine is overloaded", "type": "server_error"}}))
            return self.end()
        message = {"role": "assistant", "content": "".join(self._tokens)}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self._written = len(self._tokens)
        fields = {"id": "chatcmpl-chaos", "object": "chat.completion", "created": 1_700_000_000, "model": self._model}
        reply = _reply(200, {**fields, "choices": choices, "usage": self._usage()})
        if played in ("silent", "cut", "reset", "stall"):
            self._connection.write(reply[: reply.find(b"\r\n\r\n") + 4 + (0 if played == "silent" else 80)])
            return await self._break_off()
        self._connection.write(reply)
        self.end(is_whole=True)

    async def _first(self, more_s: float = 0.0) -> None:
        await self._connection.pause(self._ttft_s + more_s)
        self.call = msgspec.structs.replace(self.call, late_s=time.monotonic() - self._started - self._ttft_s - more_s)

    async def _break_off(self) -> None:
        """Silence for long, or what was sent arrives and the connection is reset."""
        await self._connection.pause(SILENCE_S if self.call.played in ("silent", "stall") else 0.02)
        raise Reset

    def _refuse(self) -> None:
        status = int(self.call.played)
        error = {"error": {"message": f"scripted {status}", "type": "server_error", "code": None}}
        self._connection.write(_reply(status, error, b"retry-after: 1\r\n" if status == 429 else b""))
        self.end()

    def end(self, *, is_whole: bool = False, was_left: bool = False, played: str | None = None) -> None:
        """Complete `call`."""
        self.call = msgspec.structs.replace(
            self.call, tokens_out=self._written, is_whole=is_whole, was_left=was_left, played=played or self.call.played
        )

    def _usage(self) -> dict[str, int]:
        tokens_in = self.call.tokens_in
        return {"prompt_tokens": tokens_in, "completion_tokens": self._written, "total_tokens": tokens_in + self._written}

    def _event(self, delta: dict[str, str] | None, finish: str | None = None, **more: Any) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        fields = {"id": "chatcmpl-chaos", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": self._model}
        return _chunk(b"data: " + json.dumps({**fields, "choices": choices, **more}).encode() + b"\n\n")


def _asked(messages: list[dict[str, Any]]) -> tuple[str, list[str], int]:
    """The question, the tokens that are still to say, and how many were read."""
    begun, prompt, tokens_in = "", "", 0
    for message in messages:
        content = message["content"]
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())
        tokens_in += len(text.split())
        if message["role"] == "assistant":
            begun += text
        elif case_of(text):
            prompt, begun = text, ""
    return prompt, remaining(right_answer(prompt), begun), tokens_in


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _reply(status: int, fields: dict[str, Any], headers: bytes = b"") -> bytes:
    body = json.dumps(fields).encode()
    reason = ERRORS.get(str(status), "OK").encode()
    start = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n" % (status, reason)
    return start + headers + b"content-length: %d\r\n\r\n%b" % (len(body), body)


async def play(script: Script, calls: list[Call]) -> None:
    """Play until SIGTERM. calls: all that came, as they end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = Clock()
    plays = [asyncio.create_task(Play(target, script.seed, clock, calls).run()) for target in script.targets]
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({*plays, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()  # a target that could not listen ends the run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="a Script in JSON")
    parser.add_argument("--log", type=Path, required=True, help="where to write the calls, a line of JSON each")
    arguments = parser.parse_args()
    calls: list[Call] = []
    uvloop.run(play(msgspec.json.decode(arguments.script.read_bytes(), type=Script), calls))
    arguments.log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))


if __name__ == "__main__":
    main()
