"""An answer whose shape cannot be told in the caller's dialect: another model answers, and the ledger says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply, sse_reply

POLICY = """
version: 1
providers: {{up: {{kind: openai, base_url: "{url}/v1", dialects: [chat], breaker: {{failures: 1000, min_calls: 1000}}}}}}
models:
  odd: {{provider: up, id: odd, price: {{input: 1, output: 2}}}}
  well: {{provider: up, id: well, price: {{input: 1, output: 2}}}}
routes:
  - {{name: alone, when: {{tag.alone: "1"}}, model: odd}}
  - {{name: all, model: odd, fallback: [well]}}
"""
ASKED = [{"role": "user", "content": "hi"}]
CALLERS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"messages": ASKED, "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "hi"},
}


def said(request: Request) -> Reply:
    """`odd` calls a tool with a list where an object should be."""
    body = request.json()
    odd = {"role": "assistant", "content": None, "tool_calls": [["not", "a", "call"]]}
    spoken = odd if body["model"] == "odd" else {"role": "assistant", "content": "Hello."}
    head = {"id": "c", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": spoken, "finish_reason": "stop"}
        return json_reply({**head, "object": "chat.completion", "choices": [choice]})
    chunks = [{"index": 0, "delta": spoken, "finish_reason": None}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
    events = [{**head, "object": "chat.completion.chunk", "choices": [choice]} for choice in chunks]
    return sse_reply(*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with Upstream.of(said) as upstream, LiveGateway(tmp_path_factory.mktemp("odd"), POLICY.format(url=upstream.url)) as live:
        yield live


@pytest.mark.parametrize("path", CALLERS)
@pytest.mark.parametrize("stream", [False, True])
def test_another_model_answers(gateway: LiveGateway, path: str, stream: bool) -> None:
    answer = gateway.http.post(path, json={"model": "auto", "stream": stream, **CALLERS[path]})
    assert answer.status_code == 200, answer.text
    assert "Hello." in answer.text
    entry = gateway.entry(answer)
    assert [(a["model"], a["outcome"], a["fault"]) for a in entry["attempts"]] == [
        ("odd", "error", "malformed"),
        ("well", "ok", None),
    ]


@pytest.mark.parametrize("path", CALLERS)
def test_alone_it_is_a_502_and_booked_as_one(gateway: LiveGateway, path: str) -> None:
    headers = {"x-turnout-tags": "alone=1"}
    answer = gateway.http.post(path, json={"model": "auto", **CALLERS[path]}, headers=headers)
    assert answer.status_code == 502, answer.text
    entry = gateway.entry(answer)
    assert (entry["outcome"], entry["status"]) == ("error", 502)
    assert "tool_calls" in entry["attempts"][0]["error"]
