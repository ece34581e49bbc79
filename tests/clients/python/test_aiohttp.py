"""No SDK at all, asynchronously: many streams at a time, pieces as they come, and callers who leave."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.clients.processes import Upstream, play
from tests.clients.python.policy import EVERY_MODEL

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not in this environment")

PATHS = pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
MODELS = pytest.mark.parametrize("model", EVERY_MODEL)


def asked(path: str, model: str, prompt: str) -> dict[str, object]:
    if path == "/v1/responses":
        return {"model": model, "stream": True, "input": prompt}
    return {"model": model, "stream": True, "max_tokens": 99, "messages": [{"role": "user", "content": prompt}]}


async def said(lines: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Each piece of the text, whatever the dialect."""
    async for line in lines:
        if line.startswith(b"data: {"):
            event = json.loads(line.removeprefix(b"data: "))
            choices = event.get("choices") or [{}]
            delta = choices[0].get("delta", event.get("delta"))
            text = delta if isinstance(delta, str) else (delta or {}).get("content") or (delta or {}).get("text")
            if text:
                yield text


@PATHS
def test_many_streams_at_a_time(gateway: str, upstream: Upstream, path: str) -> None:
    async def one(session: aiohttp.ClientSession, at: int) -> str:
        body = asked(path, EVERY_MODEL[at % 4], play(text=f"this is answer {at}", pause_s=0.01))
        async with session.post(f"{gateway}{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return "".join([piece async for piece in said(answer.content)])

    async def all_at_once() -> list[str]:
        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(one(session, at) for at in range(24)))

    assert asyncio.run(all_at_once()) == [f"this is answer {at}" for at in range(24)]
    assert len(upstream.recorded()) == 24


@PATHS
@MODELS
def test_pieces_come_as_they_are_said(gateway: str, upstream: Upstream, path: str, model: str) -> None:
    async def first_piece() -> str:
        body = asked(path, model, play(text="one two three four five six", hang=True))
        async with aiohttp.ClientSession() as session, session.post(f"{gateway}{path}", json=body) as answer:
            return await anext(said(answer.content))

    # The provider says half of it and then no more: what was said is here all the same.
    assert asyncio.run(first_piece()).strip() == "one"
    assert upstream.wait_until_left()["body"]["stream"] is True


@PATHS
@MODELS
def test_who_leaves_ends_the_call_upstream_at_once(gateway: str, upstream: Upstream, path: str, model: str) -> None:
    async def leave() -> float:
        body = asked(path, model, play(text="one two three four five six", hang=True))
        async with aiohttp.ClientSession() as session:
            answer = await session.post(f"{gateway}{path}", json=body)
            await anext(said(answer.content))
            answer.close()
            return time.monotonic()

    left = asyncio.run(leave())
    recorded = upstream.wait_until_left()
    # Upstream and this test read the same clock. It is 100 ms on a quiet machine; on a busy one everybody is late.
    assert recorded["at"] + recorded["left_after_s"] - left < 2.0
