"""What it takes to run a plan against scripted providers, in virtual time."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway import chat
from gateway.attempt import Attempt
from gateway.errors import UpstreamError
from gateway.execute import Execution
from gateway.failover.hedge import HedgeBudgets
from gateway.health.model import Health
from gateway.policy.catalog import Model
from gateway.policy.failover import PLAIN, Failover
from gateway.policy.model import AcceptRule, CacheRule, Plan, Retry, Timeouts
from gateway.providers.base import Call, Exchange, Piece
from gateway.request import ChatRequest, DialectName
from gateway.target import Target
from gateway.usage import Usage

USAGE = Usage(input=7, output=3)
ASKED = 100 + 7  # tokens of `request`, counted by characters, with what a message and an answer cost besides
PREAMBLE = Piece(b"[role]")
CONTENT = Piece(b"[text]", has_content=True, text="word " * 8)
STREAM = [
    PREAMBLE,
    CONTENT,
    Piece(b"[stop]", finish="stop"),
    Piece(b"[usage]", usage=USAGE, is_usage_only=True),
    Piece(is_end=True),
]
WHOLE = [Piece(b"{whole}", has_content=True, text="word " * 8, usage=USAGE, finish="stop", is_end=True)]

Step = float | Piece | UpstreamError
Script = Sequence[Sequence[Step] | UpstreamError | str]


def fault(kind: Any = "status", *, status: int | None = 503, **more: Any) -> UpstreamError:
    return UpstreamError(more.pop("message", f"told to fail: {kind}"), fault=kind, status=status, **more)


BUSY = fault(is_retryable=True)
GONE = fault("connect", status=None)
TOO_LONG = fault(status=400, code="context_length_exceeded", message="too many tokens")
BAD_REQUEST = fault(status=422, code="bad_param", param="top_p", message="top_p is wrong", is_callers_fault=True)


class Scripted:
    """A provider that plays a step a call, the last one again and again.

    "ok" is a complete answer in the form that the caller wants; a list is what the exchange gives: seconds to wait,
    pieces, errors; "hang" never answers; an error alone is raised on opening.
    """

    dialects: frozenset[DialectName] = frozenset()

    def __init__(self, *script: Sequence[Step] | UpstreamError | str) -> None:
        self._script = script
        self.unavailable: str | None = None
        self.asked_at: list[float] = []
        self.calls: list[Call] = []
        self.open_now = 0

    async def open(self, call: Call) -> Exchange:
        step = self._script[min(len(self.calls), len(self._script) - 1)]
        self.calls.append(call)
        self.asked_at.append(asyncio.get_running_loop().time())
        if isinstance(step, UpstreamError):
            raise step
        if step == "hang":
            await asyncio.sleep(1e6)
        self.open_now += 1
        steps = (STREAM if call.request.is_stream else WHOLE) if step == "ok" else step
        return _Played(self, iter(steps))  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Holds nothing."""


class _Played:
    def __init__(self, owner: Scripted, steps: Iterator[Step]) -> None:
        self._owner, self._steps = owner, steps

    async def read(self) -> list[Piece]:
        for step in self._steps:
            if isinstance(step, Piece):
                return [step]
            if isinstance(step, UpstreamError):
                raise step
            await asyncio.sleep(step)
        raise AssertionError("read past the end")

    async def aclose(self) -> None:
        self._owner.open_now -= 1


class Bench:
    """Models by name, each with its scripted provider and its health. Make it inside the running loop."""

    def __init__(self, **providers: Scripted) -> None:
        self.clock = asyncio.get_running_loop().time
        self.providers = providers
        health = Health(self.clock)
        self.targets = {
            name: Target(Model(name, f"p-{name}", name, None, None, "message"), p, health.of(name, f"p-{name}/{name}"))
            for name, p in providers.items()
        }
        self.hedges = HedgeBudgets()
        self.attempts: list[Attempt] = []

    def start(
        self,
        *names: str,
        is_stream: bool = True,
        attempts: int = 2,
        backoff_s: float = 0.2,
        timeouts: Timeouts | None = None,
        left_out: tuple[tuple[str, str], ...] = (),
        accept: Mapping[str, AcceptRule] | None = None,
        failover: Failover = PLAIN,
        **asked: Any,
    ) -> Execution:
        names = names or tuple(self.providers)
        limits, retry = timeouts or Timeouts(), Retry(attempts, backoff_s)
        plan = Plan("r", "rule:r", names[0], names, limits, retry, CacheRule(), left_out, accept or {}, failover=failover)
        targets = [self.targets[name] for name in names]
        execution = Execution(plan, targets, request(is_stream, **asked), self.clock, hedges=self.hedges)
        self.attempts = execution.attempts
        return execution

    async def ask(self, *names: str, **how: Any) -> bytes:
        """Run a plan to its end; the bytes of the answer."""
        execution = self.start(*names, **how)
        try:
            pieces = await execution.begin()
            data = b"".join(p.data for p in pieces)
            while not pieces[-1].is_end:
                pieces = await execution.read()
                data += b"".join(p.data for p in pieces)
        finally:
            await execution.aclose()
        return data

    async def leave(self, after_s: float, turns: int, **how: Any) -> None:
        """A client that leaves after so many seconds and turns of the event loop, and is told to once more."""
        asking = asyncio.create_task(self.ask(**how))
        await asyncio.sleep(after_s)
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    @property
    def held(self) -> dict[str, tuple[int, int]]:
        """For each model the answers that are open, and the calls that it is thought busy with."""
        return {name: (p.open_now, self.targets[name].health.busy.running) for name, p in self.providers.items()}

    @property
    def story(self) -> list[str]:
        """The attempts of the last plan, as `model outcome`."""
        return [f"{a.model} {a.outcome}" for a in self.attempts]


def request(is_stream: bool = True, text: str = "x" * 400, **fields: Any) -> ChatRequest:
    messages = [{"role": "user", "content": text}]
    body = msgspec.json.encode({"model": "auto", "stream": is_stream, "messages": messages, **fields})
    return ChatRequest("req_1", body, chat.read_head(body))
