"""No SDK at all: what is on the wire, read with httpx as most scripts do."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest

from tests.clients.processes import Upstream, play
from tests.clients.python.policy import COST_USD, EVERY_MODEL

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)


def lines_of(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return [line for line in response.text.splitlines() if line and not line.startswith(":")]


@MODELS
def test_a_chat_stream_ends_with_usage_and_a_terminator(gateway: str, upstream: Upstream, model: str) -> None:
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body["messages"] = [{"role": "user", "content": play(text="日本語 🙂", split=1)}]
    lines = lines_of(httpx.post(f"{gateway}/v1/chat/completions", json=body, timeout=30))
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "日本語 🙂"
    assert chunks[-1]["choices"] == [] and math.isclose(chunks[-1]["usage"]["cost"], COST_USD)
    assert len(upstream.recorded()) == 1


@MODELS
def test_a_chat_stream_has_no_usage_unless_asked(gateway: str, upstream: Upstream, model: str) -> None:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    lines = lines_of(httpx.post(f"{gateway}/v1/chat/completions", json=body, timeout=30))
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert all(chunk["choices"] and not chunk.get("usage") for chunk in chunks)
    assert len(upstream.recorded()) == 1


@MODELS
def test_a_messages_stream_names_its_events(gateway: str, upstream: Upstream, model: str) -> None:
    body = {
        "model": model,
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": play(text="日本語 🙂", split=1)}],
    }
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    lines = lines_of(httpx.post(f"{gateway}/v1/messages", json=body, headers=headers, timeout=30))
    names = [line.removeprefix("event: ") for line in lines[::2]]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    assert names == [event["type"] for event in events]
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta") == "日本語 🙂"
    assert len(upstream.recorded()) == 1


@MODELS
def test_a_responses_stream_names_and_numbers_its_events(gateway: str, upstream: Upstream, model: str) -> None:
    body = {"model": model, "stream": True, "input": play(text="日本語 🙂", split=1)}
    lines = lines_of(httpx.post(f"{gateway}/v1/responses", json=body, timeout=30))
    names = [line.removeprefix("event: ") for line in lines[::2]]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    assert names == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == "日本語 🙂"
    assert len(upstream.recorded()) == 1


@pytest.mark.parametrize(
    ("path", "model", "body"),
    [
        ("/v1/chat/completions", "llama-3.3-70b", {"messages": [{"role": "user", "content": "hi"}], "zzz": {"b": 1.50}}),
        ("/v1/responses", "gpt-4.1", {"input": "hi", "zzz": {"b": 1.50}}),
        (
            "/v1/messages",
            "claude-sonnet-4-6",
            {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "zzz": {"b": 1.50}},
        ),
        ("/v1/completions", "gpt-3.5-turbo-instruct", {"prompt": "hi", "zzz": {"b": 1.50}}),
    ],
)
def test_the_same_dialect_passes_as_it_is(gateway: str, upstream: Upstream, path: str, model: str, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{gateway}{path}", json={"model": model, **body}, timeout=30)
    assert answer.status_code == 200, answer.text
    asked = upstream.last()
    assert asked["path"] == path
    sent = {name: value for name, value in asked["body"].items() if name != "model"}
    assert sent == body


def test_a_connection_is_kept(gateway: str, upstream: Upstream) -> None:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
    with httpx.Client(base_url=gateway, timeout=30) as client:
        for _ in range(3):
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200
            assert answer.headers.get("connection", "keep-alive") == "keep-alive"
    assert len(upstream.recorded()) == 3
