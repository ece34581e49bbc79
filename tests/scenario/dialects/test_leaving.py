"""A client that leaves, in any dialect: the provider's answer is cancelled at once, and what was generated is booked."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.upstream.cue import Answer
from tests.live_gateway import LiveGateway
from tests.scenario.dialects.providers import KINDS, Providers, policy
from tests.scenario.upstream import Upstream

CLOSED_S = 2.0  # 100 ms on a quiet machine, most of it the server's own look at its client; on a busy one everybody is late
PROVIDERS = Providers(lambda call: Answer(text="One two three four five six seven eight nine ten.", hang=True))
ASKED = {
    "openai_chat": ("/v1/chat/completions", "messages"),
    "anthropic_messages": ("/v1/messages", "messages"),
    "openai_responses": ("/v1/responses", "input"),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream.of(PROVIDERS.reply) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    rules = policy(upstream.url, "  - {name: rest, model: talks-chat}")
    with LiveGateway(tmp_path_factory.mktemp("leaving"), rules) as live:
        yield live


@pytest.mark.parametrize(("dialect", "model", "is_stream"), tuple(itertools.product(ASKED, KINDS, (True, False))))
def test_the_provider_is_let_go_of_and_what_it_said_is_booked(
    gateway: LiveGateway, upstream: Upstream, dialect: str, model: str, is_stream: bool
) -> None:
    id_ = f"{dialect}-{model}-{is_stream}"
    path, field = ASKED[dialect]
    body = {"model": model, field: [{"role": "user", "content": id_}], "stream": is_stream, "max_tokens": 99}
    if dialect == "openai_responses":
        del body["max_tokens"]
    left_at = asyncio.run(leave(gateway, path, body, id_))
    (call,) = [call for call in PROVIDERS.calls if call.prompt == id_]
    upstream.client_left(call.index)
    assert time.monotonic() - left_at < CLOSED_S
    entry = booked(gateway, id_)
    assert (entry["outcome"], entry["status"], entry["dialect"], entry["stream"]) == ("cancelled", 499, dialect, is_stream)
    (attempt,) = entry["attempts"]
    assert (attempt["model"], attempt["outcome"], attempt["usage"]["estimated"]) == (model, "cancelled", True)
    assert entry["cost_nusd"] == attempt["cost"] > 0
    assert (attempt["usage"]["output"] > 0) is is_stream


async def leave(gateway: LiveGateway, path: str, body: dict[str, Any], id_: str) -> float:
    """When it left: once it had read the first words of a stream, or the provider had the request."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as client:
        request = client.build_request("POST", path, json=body, headers={"x-request-id": id_})
        if body["stream"]:
            response = await client.send(request, stream=True)
            heard = ""
            async for text in response.aiter_text():
                heard += text
                if "two" in heard:
                    break
            await response.aclose()
            return time.monotonic()
        asking = asyncio.create_task(client.send(request))
        async with asyncio.timeout(20):
            while not PROVIDERS.asked(id_):  # noqa: ASYNC110 - nothing tells when it comes
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return time.monotonic()


def booked(gateway: LiveGateway, id_: str) -> dict[str, Any]:
    until = time.monotonic() + 10
    while (found := gateway.http.get(f"/v1/requests/{id_}")).status_code != 200:
        assert time.monotonic() < until, "it is not booked"
        time.sleep(0.02)
    fields: dict[str, Any] = found.json()
    return fields
