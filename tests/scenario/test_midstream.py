"""What the real client, the ledger and the cache make of a stream that another model takes over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import CUT, Reply, Request, sse_reply

POLICY = """
version: 1
providers:
  near: {{kind: openai, base_url: "{url}/near/v1"}}
  far: {{kind: openai, base_url: "{url}/far/v1"}}
models:
  first: {{provider: near, id: first-1, price: {{input: 1.00, output: 2.00}}}}
  second: {{provider: far, id: second-1, price: {{input: 10.00, output: 20.00}}, prefill: true}}
baseline: second
routes:
  - name: all
    model: first
    fallback: [second]
    retry: {{attempts: 1}}
    midstream: {way}
    cache: {{mode: exact}}
"""


def chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    fields = {"id": f"chatcmpl-{model}", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


class CutThenOther:
    """The first model says "One, two, " and is cut; the second says what it has to."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Reply:
        body = request.json()
        self.asked.append(body)
        model = body["model"]
        begin = chunk(model, {"role": "assistant", "content": ""})
        if model == "first-1":
            return sse_reply(begin, chunk(model, {"content": "One, "}), chunk(model, {"content": "two, "}), 0.05, CUT)
        usage = {"id": "chatcmpl-x", "choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}}
        said = [chunk(model, {"content": text}) for text in self._texts]
        end = [chunk(model, {}, "stop"), b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"]
        return sse_reply(begin, *said, *end)


@pytest.mark.parametrize(
    ("way", "second", "text"),
    [("continue", (" three", "."), "One, two, three."), ("restart", ("One, two, three.",), "One, two, One, two, three.")],
)
def test_the_openai_client_reads_one_stream_of_two_models(tmp_path: Path, way: str, second: tuple[str, ...], text: str) -> None:
    play = CutThenOther(*second)
    with Upstream.of(play) as upstream, LiveGateway(tmp_path, POLICY.format(url=upstream.url, way=way)) as gateway:
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
        for n in range(2):  # the second time as well: such an answer is not kept
            with client.chat.completions.stream(
                model="auto", messages=[{"role": "user", "content": "count"}], extra_headers={"x-request-id": f"r{n}"}
            ) as stream:
                for _ in stream:
                    pass
                answer = stream.get_final_completion()
            assert answer.choices[0].message.content == text
            assert answer.choices[0].message.role == "assistant"
            assert answer.choices[0].finish_reason == "stop"
        entry = gateway.http.get("/v1/requests/r0").json()
        assert gateway.http.get("/v1/requests/r1").json()["cache"] == "miss"
    assert len(play.asked) == 4
    if way == "continue":
        assert play.asked[1]["messages"] == [{"role": "user", "content": "count"}, {"role": "assistant", "content": "One, two,"}]
    else:
        assert play.asked[1]["messages"] == [{"role": "user", "content": "count"}]
    assert (entry["outcome"], entry["model"], entry["provider"]) == ("ok", "second", "far")
    first, then = entry["attempts"]
    assert (first["outcome"], first["fault"], first["seam"]) == ("error", "cut", None)
    assert (then["outcome"], then["seam"], then["seam_chars"]) == ("ok", way, 10)
    assert entry["cost_nusd"] == first["cost"] + then["cost"] and then["cost"] == 20 * 10_000 + 3 * 20_000
    assert entry["ttft_ms"] == first["ttft_ms"]
    if way == "continue":
        # The question once, and the answer's two parts: what the baseline would have been paid for.
        assert entry["usage"]["input"] == first["usage"]["input"]
        assert entry["usage"]["output"] == first["usage"]["output"] + 3
    else:
        assert (entry["usage"]["input"], entry["usage"]["output"]) == (20, 3)


def test_an_answer_of_two_parts_is_not_kept_even_if_one_model_gave_both(tmp_path: Path) -> None:
    def play(request: Request) -> Reply:
        asked.append(request)
        begin = [chunk("first-1", {"role": "assistant", "content": "One"})]
        return (
            sse_reply(*begin, 0.05, CUT)
            if len(asked) % 2
            else sse_reply(*begin, chunk("first-1", {}, "stop"), b"data: [DONE]\n\n")
        )

    asked: list[Request] = []
    with Upstream.of(play) as upstream:
        policy = POLICY.format(url=upstream.url, way="restart").replace("fallback: [second]", "fallback: []")
        with LiveGateway(tmp_path, policy.replace("attempts: 1", "attempts: 2")) as gateway:
            entries = [gateway.entry(gateway.chat("count", stream=True)) for _ in range(2)]
    assert [(e["outcome"], e["cache"], [a["seam"] for a in e["attempts"]]) for e in entries] == [
        ("ok", "miss", [None, "restart"])
    ] * 2
