"""A client that leaves: the provider's answer is cancelled, and what was generated is booked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.live_gateway import LiveGateway
from tests.scripted_server import HANG, Reply, ScriptedServer

POLICY = """
version: 1
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
models: {{m: {{provider: up, id: x, price: {{input: 1, output: 2}}}}}}
routes: [{{name: all, model: m}}]
"""
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x"}
HELLO = json.dumps({**CHUNK, "choices": [{"index": 0, "delta": {"content": "Hello there"}, "finish_reason": None}]})
SSE = {"content-type": "text/event-stream"}


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_cancels_upstream_and_books_what_was_generated(tmp_path: Path, stream: bool) -> None:
    async def scenario() -> None:
        steps = [f"data: {HELLO}\n\n".encode(), HANG] if stream else [HANG]
        async with ScriptedServer([Reply(steps, headers=SSE if stream else {})]) as upstream:
            with LiveGateway(tmp_path, POLICY.format(url=upstream.url)) as gateway:
                await leave(gateway, stream)
                async with asyncio.timeout(10):
                    await upstream.client_left(0)
                entry = await booked(gateway)
        assert (entry["outcome"], entry["status"]) == ("cancelled", 499)
        assert [a["outcome"] for a in entry["attempts"]] == ["cancelled"]
        if stream:
            assert entry["usage"]["estimated"] is True
            assert entry["cost_nusd"] > 0

    async def leave(gateway: LiveGateway, stream: bool) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            request = client.build_request("POST", "/v1/chat/completions", json=body, headers={"x-request-id": "leaver"})
            if stream:
                response = await client.send(request, stream=True)
                async for _ in response.aiter_bytes():
                    break
                await response.aclose()
            else:
                with pytest.raises(httpx.ReadTimeout):
                    request.extensions["timeout"] = {"read": 0.3, "connect": 5, "write": 5, "pool": 5}
                    await client.send(request)

    async def booked(gateway: LiveGateway) -> dict[str, object]:
        async with httpx.AsyncClient(base_url=gateway.url) as client, asyncio.timeout(10):
            while True:
                found = await client.get("/v1/requests/leaver")
                if found.status_code == 200:
                    fields: dict[str, object] = found.json()
                    return fields
                await asyncio.sleep(0.02)

    asyncio.run(scenario())
