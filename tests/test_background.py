"""Work left behind by requests: bounded, one of a name, ended with the gateway, and never silent about mistakes."""

import asyncio

import pytest

from gateway.caching.background import Background


def test_only_one_of_a_name_runs_and_only_so_many(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        background, hold, done = Background(running_max=2), asyncio.Event(), []

        async def work() -> None:
            await hold.wait()
            done.append(1)

        assert background.start("a", work)
        assert not background.start("a", work)
        assert background.start("b", work)
        assert not background.start("c", work)
        assert not background.start("d", work)
        assert caplog.text.count("more are left out") == 1
        hold.set()
        while len(background):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        assert len(done) == 2
        assert background.start("a", work)
        await background.aclose()

    asyncio.run(scenario())


def test_closing_cancels_and_nothing_starts_afterwards() -> None:
    async def scenario() -> None:
        background, seen = Background(), []

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                seen.append("ended")

        background.start("a", work)
        await asyncio.sleep(0)
        await background.aclose()
        assert seen == ["ended"]
        assert not background.start("b", work)

    asyncio.run(scenario())


def test_a_mistake_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        background = Background()

        async def work() -> None:
            raise ZeroDivisionError("oh")

        background.start("audit-1", work)
        while len(background):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)

    asyncio.run(scenario())
    assert "audit-1 failed" in caplog.text
    assert "ZeroDivisionError: oh" in caplog.text
