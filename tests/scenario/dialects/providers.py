"""Providers that say the same thing in every dialect: a policy with one for each, and the server that they all are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.clients.upstream.cue import Answer
from tests.clients.upstream.server import WIRES
from tests.scripted_server import CUT, HANG, Reply, Request, Step, json_reply, sse_reply

# Model: how its provider is asked. Each speaks to one kind of caller in its own dialect.
KINDS: Final = {
    "talks-chat": "{{kind: openai, base_url: '{url}/v1', api_key: sk-1, dialects: [chat]{more}}}",
    "talks-messages": "{{kind: anthropic, base_url: '{url}', api_key: sk-1{more}}}",
    "talks-responses": "{{kind: openai, base_url: '{url}/v1', api_key: sk-1, dialects: [responses]{more}}}",
}
PRICE: Final = "price: {input: 2, output: 8}"
DEAR: Final = "price: {input: 20, output: 80}"  # of the models `talks-…-dear`, which a cascade may climb to
SETTLE_S: Final = 0.1  # between the last bytes and the cut, so that they are read


def policy(url: str, routes: str, top: str = "", provider: str = "") -> str:
    """url: the server's. routes, top, provider: YAML, of the routes, of the top level and of each provider."""
    more = f", {provider}" if provider else ""
    providers = "\n".join(f"  {name}: {kind.format(url=f'{url}/{name}', more=more)}" for name, kind in KINDS.items())
    priced = [(name, name, PRICE) for name in KINDS] + [(name, f"{name}-dear", DEAR) for name in KINDS]
    models = "\n".join(f"  {name}: {{provider: {at}, id: m-1, {price}, prefill: true}}" for at, name, price in priced)
    return f"""
version: 1
providers:
{providers}
models:
{models}
baseline: talks-chat
{top}
defaults:
  timeouts: {{connect: 5s, first_token: 20s, idle: 20s, total: 40s}}
  retry: {{attempts: 1}}
routes:
{routes}
"""


@dataclass(frozen=True)
class Call:
    """What a model was asked. prompt: the user's last words. number: of calls with this prompt, from 1. index: of all calls."""

    model: str
    prompt: str
    number: int
    index: int
    body: dict[str, Any]


@dataclass
class Providers:
    """Hand `reply` to an Upstream. shown: how many events there are of a stream that is cut or hangs."""

    play: Callable[[Call], Answer]
    shown: int = 7
    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, prompt: str) -> Sequence[str]:
        """The models that were, in turn."""
        return [call.model for call in self.calls if call.prompt == prompt]

    def reply(self, request: Request) -> Reply:
        _, model, rest = request.path.split("/", 2)
        wire, body = WIRES[f"/{rest}"], request.json()
        prompt = [turn.text for turn in wire.turns(body) if turn.role == "user"][-1]
        with self._lock:
            call = Call(model, prompt, 1 + sum(call.prompt == prompt for call in self.calls), len(self.calls), body)
            self.calls.append(call)
        answer = self.play(call)
        if answer.fail is not None:
            return json_reply(wire.error(answer.fail), status=answer.fail.status)
        is_broken = answer.hang or answer.cut
        if body.get("stream"):
            events: list[Step] = [*wire.events(answer, body)]
            ending: list[Step] = [SETTLE_S, CUT if answer.cut else HANG]
            return sse_reply(answer.pause_s, *(events[: self.shown] + ending if is_broken else events))
        steps: list[Step] = [HANG] if is_broken else [answer.pause_s, *json_reply(wire.whole(answer, body)).steps]
        return Reply(steps, headers={"content-type": "application/json"})
