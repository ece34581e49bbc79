"""A provider for scenarios, on a real port and in a thread: models that say what a test tells them to.

with Upstream(lambda call: Says("Paris", logprob=-0.1) if call.model == "small-1" else Says("Rome")) as upstream:
    ...  # a policy whose base_url is f"{upstream.url}/v1"
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.cascade import answers
from tests.scripted_server import HANG, Reply, Request, ScriptedServer, Step, json_reply, sse_reply


@dataclass(frozen=True)
class Call:
    """What the model was asked. number: of calls of this model with this prompt, from 1."""

    model: str
    prompt: str
    number: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Says:
    """An answer. logprob, lead: of each token, given only to those who ask. calls: (tool, arguments)."""

    text: str | None = None
    logprob: float | None = None
    lead: float = 2.0
    finish: str = "stop"
    calls: tuple[tuple[str, str], ...] = ()

    def reply(self, call: Call) -> Reply:
        given = self.logprob if call.body.get("logprobs") else None
        if not call.body.get("stream"):
            choice: dict[str, Any] = {"message": answers.message(self.text, list(self.calls)), "finish_reason": self.finish}
            if given is not None:
                choice["logprobs"] = answers.logprobs(answers.tokens_of(self.text or ""), given, self.lead)
            return json_reply(answers.whole(*[choice] * (call.body.get("n") or 1)))
        usage = [answers.usage_event()] if (call.body.get("stream_options") or {}).get("include_usage") else []
        return sse_reply(*self._events(given), *usage, b"data: [DONE]\n\n")

    def _events(self, given: float | None) -> list[bytes]:
        if not self.calls:
            return answers.events(self.text or "", given, self.lead, self.finish)
        (name, arguments), half = self.calls[0], len(self.calls[0][1]) // 2
        first = {"index": 0, "id": "call_0", "type": "function", "function": {"name": name, "arguments": arguments[:half]}}
        rest = {"index": 0, "function": {"arguments": arguments[half:]}}
        return [
            answers.event({"role": "assistant", "tool_calls": [first]}),
            answers.event({"tool_calls": [rest]}),
            answers.event({}, self.finish),
        ]


@dataclass(frozen=True)
class Fails:
    """An error status with a message."""

    status: int
    message: str = "told to fail"

    def reply(self, call: Call) -> Reply:
        return json_reply({"error": {"message": self.message}}, status=self.status)


@dataclass(frozen=True)
class Hangs:
    """Begins, says nothing more than this, and stays."""

    text: str = ""

    def reply(self, call: Call) -> Reply:
        steps: list[Step] = [*answers.events(self.text)[:-1], HANG] if self.text and call.body.get("stream") else [HANG]
        return sse_reply(*steps) if call.body.get("stream") else Reply(steps, headers={"content-type": "application/json"})


Play = Callable[[Call], Says | Fails | Hangs]


class Upstream:
    """A context manager; `url` and `calls` are there inside it."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._bytes: Callable[[Request], Reply] = self._reply
        self._lock = threading.Lock()
        self.calls: list[Call] = []

    @classmethod
    def of(cls, answer: Callable[[Request], Reply]) -> Upstream:
        """One that answers in bytes, whatever is asked; `calls` stays empty."""
        upstream = cls(lambda call: Says())
        upstream._bytes = answer
        return upstream

    def __enter__(self) -> Upstream:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = ScriptedServer(self._bytes)
        self._do(self.server.__aenter__())
        self.url = self.server.url
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._do(self.server.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def client_left(self, call: int) -> None:
        """Returns when the caller of this call has closed its connection."""
        self._do(asyncio.wait_for(self.server.client_left(call), 10))

    def does(self, work: Callable[[], object]) -> None:
        """Call it on the server's own loop, as what its replies wait for has to be."""
        self._loop.call_soon_threadsafe(work)

    def asked(self, prompt: str) -> list[Call]:
        with self._lock:
            return [call for call in self.calls if call.prompt == prompt]

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    def _reply(self, request: Request) -> Reply:
        body = json.loads(request.body)
        prompt = body["messages"][-1]["content"]
        with self._lock:
            number = 1 + sum(c.prompt == prompt and c.model == body["model"] for c in self.calls)
            call = Call(body["model"], prompt, number, body)
            self.calls.append(call)
        return self._play(call).reply(call)
