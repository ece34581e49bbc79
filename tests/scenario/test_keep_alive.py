"""A provider that is silent in mid-answer: the caller's connection is kept alive, and its SDK takes no notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, sse_reply

POLICY = """
version: 1
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
models: {{m: {{provider: up, id: x, price: {{input: 1, output: 2}}}}}}
routes: [{{name: all, model: m}}]
"""
ASKED = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    fields = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]}
    return f"data: {json.dumps(fields)}\n\n".encode()


def thinking_long(request: Request) -> Reply:
    return sse_reply(chunk({"content": "Hm, "}), 1.5, chunk({"content": "yes."}), chunk({}, "stop"), b"data: [DONE]\n\n")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with Upstream.of(thinking_long) as upstream:
        folder: Path = tmp_path_factory.mktemp("silent")
        with LiveGateway(folder, POLICY.format(url=upstream.url), keep_alive_s=0.3) as live:
            yield live


def test_comments_in_openais_dialect(gateway: LiveGateway) -> None:
    read = httpx.post(f"{gateway.url}/v1/chat/completions", json=ASKED).text
    before, after = read.index('"Hm, "'), read.index('"yes."')
    assert read[before:after].count(": keep-alive\n\n") >= 2
    assert ": keep-alive" not in read[after:]
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}], stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream) == "Hm, yes."


def test_pings_in_anthropics(gateway: LiveGateway) -> None:
    read = httpx.post(f"{gateway.url}/v1/messages", json={**ASKED, "max_tokens": 10}).text
    before, after = read.index('"Hm, "'), read.index('"yes."')
    assert read[before:after].count("event: ping\n") >= 2
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        with client.messages.stream(model="auto", max_tokens=10, messages=[{"role": "user", "content": "hi"}]) as stream:
            assert stream.get_final_text() == "Hm, yes."
