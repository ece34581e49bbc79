"""Both ends of a stream as processes of their own: a provider that is frozen in mid-answer, a client that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.crashes import free_port, serve
from benchmarks.server import Server
from benchmarks.witness import booked
from tests.processes.gateways import START_S

pytestmark = pytest.mark.timeout(60)

# A gateway plays the provider: four words a second for fifteen seconds.
PROVIDER = """
version: 1
providers: {rehearsed: {kind: fake, ttft: 20ms, tokens_per_second: 4, words: 60}}
models: {m: {provider: rehearsed, id: x, price: {input: 1, output: 2}}}
routes: [{name: all, model: m}]
"""
POLICY = """
version: 1
providers:
  real: {{kind: openai, base_url: "{url}/v1"}}
  spare: {{kind: fake, words: 5}}
models:
  first: {{provider: real, id: auto, price: {{input: 1, output: 2}}}}
  second: {{provider: spare, id: x, price: {{input: 1, output: 2}}}}
defaults: {{timeouts: {{connect: 1s, first_token: 3s, idle: 1s, total: 8s}}, retry: {{attempts: 1}}}}
routes:
  - {{name: restart, when: {{model: "r*"}}, model: first, fallback: [second], midstream: restart}}
  - {{name: continue, when: {{model: "c*"}}, model: first, fallback: [second], midstream: continue}}
  - {{name: error, model: first, fallback: [second]}}
"""
HELLO = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
# The client of a user who closes the window: killed, it has no time to say goodbye.
CLIENT = """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="x")
stream = client.chat.completions.create(
    model="auto", stream=True, messages=[{"role": "user", "content": "hello"}], extra_headers={"x-request-id": "the-one"}
)
for chunk in stream:
    print(chunk.choices[0].delta.content if chunk.choices else "", flush=True)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A gateway that plays the provider, and the gateway in front of it."""
    folders = [tmp_path_factory.mktemp(name) for name in ("provider", "gateway")]
    with serve(folders[0], free_port(), policy=PROVIDER) as provider:
        with serve(folders[1], free_port(), policy=POLICY.format(url=provider.url)) as server:
            provider.wait_ready("/health/ready", START_S)
            server.wait_ready("/health/ready", START_S)
            yield provider, server


def test_a_client_that_is_killed_in_mid_stream_ends_the_call_upstream_and_pays(two: tuple[Server, Server]) -> None:
    provider, server = two

    async def scenario() -> dict[str, Any]:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, server.url, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert client.stdout is not None
        for _ in range(3):
            await client.stdout.readline()
        client.kill()
        await client.wait()
        assert await ending(server) == ("cancelled", 499)
        # The provider is a gateway too: it has seen us leave, long before its answer would have ended.
        assert await ending(provider) == ("cancelled", 499)
        async with httpx.AsyncClient(base_url=server.url) as http:
            entry: dict[str, Any] = (await http.get("/v1/requests/the-one")).json()
        return entry

    entry = asyncio.run(scenario())
    assert [(a["model"], a["outcome"]) for a in entry["attempts"]] == [("first", "cancelled")]
    assert entry["usage"]["estimated"] and 0 < entry["usage"]["output"] < 60 and entry["cost_nusd"] > 0


def test_a_provider_that_is_frozen_in_mid_stream(two: tuple[Server, Server]) -> None:
    provider, server = two

    async def scenario() -> dict[str, tuple[list[Any], dict[str, Any]]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            begun = asyncio.Semaphore(0)
            streams = {way: asyncio.create_task(told(http, way, begun)) for way in ("error", "restart", "continue")}
            for _ in streams:
                await begun.acquire()
            os.kill(provider.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(15):
                    ended = {way: await stream for way, stream in streams.items()}
                # It does not answer the next one at all, which goes to the spare.
                after = await http.post("/v1/chat/completions", json={**HELLO, "stream": False})
                assert after.status_code == 200 and after.headers["x-turnout-model"] == "second"
            finally:
                os.kill(provider.pid, signal.SIGCONT)
            return ended

    ended = asyncio.run(scenario())
    for way, (got, entry) in ended.items():
        first, *others = entry["attempts"]
        assert (first["model"], first["outcome"], first["fault"]) == ("first", "timeout", "timeout")
        assert first["usage"]["estimated"] and first["cost"] > 0
        if way == "error":
            assert "error" in got[-1] and "[DONE]" not in got and others == []
            assert entry["outcome"] == "timeout"
        else:
            assert got[-1] == "[DONE]" and (entry["outcome"], entry["model"]) == ("ok", "second")
            assert [(a["model"], a["outcome"], a["seam"]) for a in others] == [("second", "ok", way)]
            assert [e["turnout"]["midstream"] for e in got if "turnout" in e] == [way]


async def told(http: httpx.AsyncClient, way: str, begun: asyncio.Semaphore) -> tuple[list[Any], dict[str, Any]]:
    """The events of one stream, and its entry."""
    got: list[Any] = []
    async with http.stream("POST", "/v1/chat/completions", json=HELLO, headers={"x-turnout-route": way}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                got.append(line[6:] if line == "data: [DONE]" else json.loads(line[6:]))
                if len(got) == 3:
                    begun.release()
    return got, (await http.get(f"/v1/requests/{response.headers['x-request-id']}")).json()


async def ending(server: Server) -> tuple[str, int]:
    """Outcome and status of the only entry, once it is there."""
    async with asyncio.timeout(8):
        while not (entries := booked(server.log.parent / "ledger.db")):  # noqa: ASYNC110 - it is another process that writes
            await asyncio.sleep(0.05)
    ((_, _, outcome, status),) = entries
    return outcome, status
