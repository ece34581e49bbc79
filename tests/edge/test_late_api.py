"""The routes that are not hot: made once, when they are first asked for or a while after the start, and never in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.edge import late_api
from gateway.edge.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.edge.late_api import LateApi


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


async def status(api: LateApi) -> int:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    await api({"type": "http"}, receive, send)
    return int(said[0]["status"])


def test_the_first_who_ask_have_it_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_api, "AFTER_S", 3600.0)
    made: list[None] = []

    def make() -> ASGIApp:
        made.append(None)
        return answering

    async def scenario() -> None:
        api = LateApi(make)
        assert await asyncio.gather(status(api), status(api)) == [204, 204]
        assert await status(api) == 204 and len(made) == 1
        await api.aclose()

    run(scenario)


def test_it_is_made_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_api, "AFTER_S", 0.01)

    async def scenario() -> None:
        api = LateApi(lambda: answering)
        while api.app is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        await api.aclose()

    run(scenario)


def test_a_mistake_in_it_is_logged_at_the_start_and_fails_who_asks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(late_api, "AFTER_S", 0.0)

    def make() -> ASGIApp:
        raise ValueError("two routes of one name")

    async def scenario() -> None:
        api = LateApi(make)
        while not caplog.records:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        assert "mistake" in caplog.text and "two routes of one name" in caplog.text
        for _ in range(2):
            with pytest.raises(ValueError, match="two routes"):
                await status(api)
        await api.aclose()

    run(scenario)


def test_who_leaves_does_not_keep_others_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_api, "AFTER_S", 3600.0)

    async def scenario() -> None:
        api = LateApi(lambda: answering)
        first = asyncio.create_task(status(api))
        await asyncio.sleep(0)
        first.cancel()
        assert await status(api) == 204
        await asyncio.gather(first, return_exceptions=True)
        await api.aclose()

    run(scenario)


def test_an_end_before_it_is_made_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_api, "AFTER_S", 3600.0)
    made: list[None] = []

    async def scenario() -> None:
        api = LateApi(lambda: made.append(None) or answering)
        await asyncio.sleep(0)
        await api.aclose()
        assert not made and api.app is None

    run(scenario)
