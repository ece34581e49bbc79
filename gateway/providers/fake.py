"""Plays a model: scripted latency, speed, faults and poor answers. Ships with the product, for demonstrations and tests.

Each call takes the next step of the script, again from the start after the last.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.chat import completion, new_id, sse
from gateway.errors import UpstreamError
from gateway.policy.schema_models import FakeStep
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.refusal import refusal, reported
from gateway.request import DialectName
from gateway.usage import Usage
from gateway.wire_usage import wire_usage

_WORDS = (
    "This is a rehearsed answer from the gateway's fake provider; no model was asked and nothing was paid. "
    "It streams at the speed the policy gives it, so that routing, failover and spend can be watched safely. "
)
# Answers that a cascade does not accept.
_POOR: dict[FakeStep, list[str]] = {
    "declining": "I'm sorry, but I can't help with that. The fake provider was told to decline.".split(),
    "circling": "The fake provider was told to run in circles.".split() * 12,
}
# Steps that answer, with the log-probability of each of their tokens and of the next likeliest one.
ANSWERS: dict[FakeStep, tuple[float, float]] = {
    "ok": (-0.05, -4.0),
    "unsure": (-2.5, -2.6),
    "declining": (-0.05, -4.0),
    "circling": (-0.01, -6.0),
}
FAR_AWAY_S = 24 * 3600.0


class FakeProvider:
    """ttft_s: seconds to the first token. tokens_per_second: None is at once. words: length of an answer."""

    dialects: frozenset[DialectName] = frozenset()

    def __init__(
        self,
        name: str,
        *,
        ttft_s: float = 0.0,
        tokens_per_second: float | None = None,
        words: int = 40,
        script: Sequence[FakeStep] = ("ok",),
    ) -> None:
        self._name, self._ttft_s, self._speed = name, ttft_s, tokens_per_second
        self._words = list(itertools.islice(itertools.cycle(_WORDS.split()), words))
        self._steps = itertools.cycle(script)
        self.unavailable: str | None = None
        self.calls = 0

    async def open(self, call: Call) -> Exchange:
        self.calls += 1
        step: FakeStep = next(self._steps)
        if step == "refuse":
            raise UpstreamError(f"cannot connect to {self._name}: it is told to refuse", fault="connect", is_retryable=True)
        if step.isdigit():
            body = b'{"error": {"message": "told to answer %s"}}' % step.encode()
            raise refusal(self._name, int(step), {}, body)
        await asyncio.sleep(self._ttft_s)
        spoken = _Spoken(_POOR.get(step, self._words), _chances(call, step))
        usage = Usage(input=call.request.tokens_in, output=len(spoken.words))
        if call.request.is_stream:
            return _FakeStream(self._name, _events(spoken, call.model.id, usage), step, self._pause_s)
        return _FakeWhole(self._name, call.model.id, spoken, usage, step, self._pause_s * usage.output)

    async def aclose(self) -> None:
        """Holds nothing."""

    @property
    def _pause_s(self) -> float:
        return 1 / self._speed if self._speed else 0.0


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What is answered, a word a token. chances: log-probabilities of a token and of the next likeliest, if asked for."""

    words: list[str]
    chances: tuple[float, float] | None

    def tokens(self) -> list[str]:
        return [word if i == 0 else f" {word}" for i, word in enumerate(self.words)]

    def logprobs(self, tokens: Sequence[str]) -> dict[str, Any] | None:
        """A choice's `logprobs` for these tokens."""
        if self.chances is None:
            return None
        said, next_ = self.chances
        return {
            "content": [
                {
                    "token": token,
                    "logprob": said,
                    "bytes": list(token.encode()),
                    "top_logprobs": [
                        {"token": token, "logprob": said, "bytes": list(token.encode())},
                        {"token": " else", "logprob": next_, "bytes": list(b" else")},
                    ],
                }
                for token in tokens
            ],
            "refusal": None,
        }


def _chances(call: Call, step: FakeStep) -> tuple[float, float] | None:
    if b'"logprobs"' not in call.request.body:
        return None
    is_asked = msgspec.json.decode(call.request.body).get("logprobs") is True
    return ANSWERS.get(step) if is_asked else None


def _events(spoken: _Spoken, model: str, usage: Usage) -> Iterator[Piece]:
    head = {"id": new_id(), "object": "chat.completion.chunk", "created": 0, "model": model}

    def event(delta: dict[str, str], finish: str | None = None, logprobs: dict[str, Any] | None = None) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse({**head, "choices": [choice if logprobs is None else {**choice, "logprobs": logprobs}]})

    yield Piece(event({"role": "assistant", "content": ""}))
    for token in spoken.tokens():
        yield Piece(event({"content": token}, logprobs=spoken.logprobs([token])), has_content=True, text=token)
    yield Piece(event({}, "stop"), finish="stop")
    yield Piece(sse({**head, "choices": [], "usage": wire_usage(usage)}), usage=usage, is_usage_only=True)
    yield Piece(is_end=True)


class _FakeStream:
    """Faults come after a few tokens; `empty` before any."""

    def __init__(self, name: str, pieces: Iterator[Piece], step: FakeStep, pause_s: float) -> None:
        self._name, self._pieces, self._step, self._pause_s = name, pieces, step, pause_s
        self._read = 0

    async def read(self) -> list[Piece]:
        self._read += 1
        if self._step == "empty" or (self._step not in ANSWERS and self._read > 4):
            await _fail(self._name, self._step)
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        return [next(self._pieces)]

    async def aclose(self) -> None:
        self._pieces = iter(())


class _FakeWhole:
    def __init__(self, name: str, model: str, spoken: _Spoken, usage: Usage, step: FakeStep, wait_s: float) -> None:
        self._name, self._model, self._spoken, self._usage, self._step = name, model, spoken, usage, step
        self._wait_s = wait_s

    async def read(self) -> list[Piece]:
        if self._step not in ANSWERS:
            await _fail(self._name, self._step)
        await asyncio.sleep(self._wait_s)
        text = " ".join(self._spoken.words)
        body = completion(text, self._model, self._usage)
        logprobs = self._spoken.logprobs(self._spoken.tokens())
        if logprobs is not None:
            fields: dict[str, Any] = msgspec.json.decode(body)
            fields["choices"][0]["logprobs"] = logprobs
            body = msgspec.json.encode(fields)
        return [Piece(body, has_content=True, text=text, usage=self._usage, finish="stop", is_end=True)]

    async def aclose(self) -> None:
        """Holds nothing."""


async def _fail(name: str, step: FakeStep) -> None:
    if step == "stall":
        await asyncio.sleep(FAR_AWAY_S)
    if step == "malformed":
        raise UpstreamError(f"{name}: a stream event is not a chat chunk: told to send bad JSON", fault="malformed")
    if step == "reported":
        raise reported(name, b'{"message": "told to report an error"}')
    if step == "empty":
        raise UpstreamError(f"{name}: the answer holds no message: told to be empty", fault="empty", is_retryable=True)
    raise UpstreamError(f"{name}: the stream ended in mid-answer: told to cut", fault="cut", is_retryable=True)
