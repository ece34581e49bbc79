"""A call that never had a connection is on nobody's bill, however it was ended: there was nobody to read it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.ledger.sqlite_reader import SqliteReader
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Says, Upstream

POLICY = """
version: 1
providers:
  gone: {{kind: {kind}, base_url: "{gone}", api_key: sk-1}}
  here: {{kind: openai, base_url: "{here}/v1", api_key: sk-1}}
models:
  one: {{provider: gone, id: gpt-4o, price: {{input: 1, output: 2}}}}
  two: {{provider: here, id: gpt-4o, price: {{input: 1, output: 2}}}}
defaults: {{timeouts: {{first_token: 5s, total: 1s}}, retry: {{attempts: 1}}}}
routes:
  - {{name: hedges, when: {{model: hedged}}, model: one, fallback: [two], hedge: {{after: 50ms, budget: 1.0}}}}
  - {{name: all, model: one}}
"""


@pytest.fixture
def gone() -> Iterator[str]:
    """The address of a host that does not answer to SYN: its queue of connections is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_provider_that_cannot_be_reached_is_owed_nothing(tmp_path: Path, gone: str, kind: str) -> None:
    with Upstream(lambda call: Says("Hello")) as upstream:
        policy = POLICY.format(kind=kind, gone=gone if kind == "anthropic" else f"{gone}/v1", here=upstream.url)
        with LiveGateway(tmp_path, policy) as gateway:
            hedged = gateway.entry(gateway.chat("hello " * 100, model="hedged"))
            late = gateway.entry(gateway.chat("hello " * 100))
            with pytest.raises(httpx.ReadTimeout):
                gateway.http.post("/v1/chat/completions", json=BODY, headers={"x-request-id": "left"}, timeout=0.3)
            left = until_booked(gateway, "left")
    assert [(a["model"], a["outcome"], a["usage"]) for a in hedged["attempts"]][:1] == [("one", "lost_hedge", None)]
    assert (hedged["outcome"], hedged["overhead_nusd"]) == ("ok", 0)
    assert (late["outcome"], late["cost_nusd"], late["attempts"][0]["usage"]) == ("timeout", 0, None)
    assert (left["outcome"], left["cost_nusd"]) == ("cancelled", 0)


BODY = {"model": "auto", "messages": [{"role": "user", "content": "hello " * 100}]}


def until_booked(gateway: LiveGateway, request_id: str) -> dict[str, Any]:
    give_up = time.monotonic() + 10
    while True:
        reader = SqliteReader(gateway.settings.ledger)
        try:
            found = reader.rows("SELECT outcome, cost_nusd FROM entry WHERE request_id = ?", (request_id,))
        finally:
            reader.close()
        if found:
            return found[0]
        assert time.monotonic() < give_up, "it is not booked"
        time.sleep(0.05)
