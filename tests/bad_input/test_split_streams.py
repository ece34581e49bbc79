"""However a provider's stream is cut into pieces on its way, between events or within a character, the caller reads the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.clients.pairing.says import Json, Says
from tests.clients.pairing.wires import anthropic, openai_chat, openai_responses
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, sse_reply

TEXT: Final = "Grüße, 日本 und 👩‍👩‍👧: \u2028 e\u0301 ﷽ “fin” \U0010ffff."
EVERY_BYTE: Final = range(1, 20_000)
WIRES: Final[dict[str, Callable[[Says, Json], Reply]]] = {
    "chat": openai_chat.reply,
    "responses": openai_responses.reply,
    "anthropic": anthropic.reply,
}
_ESCAPED: Final = re.compile(rb"(?:\\u[0-9a-f]{4})+")


@dataclass
class Cut:
    """A provider that speaks every wire. cuts: where its streams are cut, in bytes."""

    upstream: Upstream
    gateway: LiveGateway
    cuts: list[int]


def as_utf8(data: bytes) -> bytes:
    """JSON's escapes as the characters that they stand for."""
    return _ESCAPED.sub(lambda found: json.loads(b'"' + found[0] + b'"').encode(), data)


def policy(url: str) -> str:
    return f"""
version: 1
providers:
  chat: {{kind: openai, base_url: "{url}/chat/v1", api_key: sk-1, dialects: [chat]}}
  responses: {{kind: openai, base_url: "{url}/responses/v1", api_key: sk-2, dialects: [responses]}}
  anthropic: {{kind: anthropic, base_url: "{url}/anthropic", api_key: sk-3}}
models:
  chat: {{provider: chat, id: chat-1, price: {{input: 1.00, output: 2.00}}}}
  responses: {{provider: responses, id: responses-1, price: {{input: 1.00, output: 2.00}}}}
  anthropic: {{provider: anthropic, id: anthropic-1, price: {{input: 1.00, output: 2.00}}}}
baseline: chat
routes:
  - {{name: all, model: chat}}
"""


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cut]:
    cuts: list[int] = []

    def reply(request: Request) -> Reply:
        wire = WIRES[request.path.split("/")[1]]
        whole = wire(Says(text=TEXT), request.json())
        data = as_utf8(b"".join(step for step in whole.steps if isinstance(step, bytes)))
        places = sorted({0, *(place for place in cuts if place < len(data)), len(data)})
        return sse_reply(*(data[start:end] for start, end in pairwise(places)))

    with Upstream.of(reply) as upstream, LiveGateway(tmp_path_factory.mktemp("split"), policy(upstream.url)) as gateway:
        yield Cut(upstream, gateway, cuts)


def _chat(gateway: LiveGateway, model: str) -> str:
    said = [{"role": "user", "content": "hello"}]
    given = _asked(gateway, "/v1/chat/completions", {"model": model, "messages": said, "stream": True})
    assert given[-1] == "[DONE]"
    return "".join(choice["delta"].get("content") or "" for event in given[:-1] for choice in event["choices"])


def _messages(gateway: LiveGateway, model: str) -> str:
    said = [{"role": "user", "content": "hello"}]
    given = _asked(gateway, "/v1/messages", {"model": model, "max_tokens": 100, "messages": said, "stream": True})
    assert given[-1]["type"] == "message_stop"
    return "".join(event["delta"].get("text", "") for event in given if event["type"] == "content_block_delta")


def _responses(gateway: LiveGateway, model: str) -> str:
    given = _asked(gateway, "/v1/responses", {"model": model, "input": "hello", "stream": True})
    assert given[-1]["type"] == "response.completed"
    return "".join(event["delta"] for event in given if event["type"] == "response.output_text.delta")


def _completions(gateway: LiveGateway, model: str) -> str:
    given = _asked(gateway, "/v1/completions", {"model": model, "prompt": "hello", "stream": True})
    assert given[-1] == "[DONE]"
    return "".join(choice["text"] for event in given[:-1] for choice in event["choices"])


def _asked(gateway: LiveGateway, path: str, body: Json) -> list[Any]:
    response: httpx.Response = gateway.http.post(path, json=body)
    assert response.status_code == 200, response.text
    # httpx guesses no encoding, since ours is said; a line is what ends in a line feed, not what Python takes for one.
    lines = response.content.decode().split("\n")
    payloads = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


CALLERS: Final = {"chat": _chat, "messages": _messages, "responses": _responses, "completions": _completions}


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize("caller", CALLERS)
@given(cuts=st.lists(st.integers(1, 6_000), max_size=60))
@example(cuts=[])
@example(cuts=list(EVERY_BYTE))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_text_is_the_same_however_it_is_cut(cut: Cut, caller: str, provider: str, cuts: list[int]) -> None:
    cut.cuts[:] = cuts
    assert CALLERS[caller](cut.gateway, provider) == TEXT
