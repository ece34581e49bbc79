"""The gateway says no, or stops: the class that each official client raises, and when it may ask again."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.budgets.policies import budgeted
from tests.limits.policies import limited
from tests.live_gateway import LiveGateway
from tests.processes.gateways import SLOW, ended, gateway
from tests.scenario.dialects.callers import CALLERS, Ask

SDK: dict[str, Any] = {"openai_chat": openai, "openai_responses": openai, "anthropic_messages": anthropic}
FORMS = tuple(itertools.product(CALLERS, (True, False)))


def error_of(raised: Any, dialect: str) -> dict[str, Any]:
    """The error's fields; `body` is what the client has of the answer, or of the event that ended it."""
    fields: dict[str, Any] = raised.body["error"] if dialect == "anthropic_messages" else raised.body
    return fields


@pytest.mark.parametrize(("rules", "code"), [("limits", "rate_limit_exceeded"), ("budgets", "budget_exceeded")])
def test_a_limit_or_a_budget_is_a_rate_limit_error_that_says_when(tmp_path: Path, rules: str, code: str) -> None:
    policy = limited("{per: key, requests: 1/h}") if rules == "limits" else budgeted("{per: key, usd: 0.105/day}")
    with LiveGateway(tmp_path, policy) as live:
        for dialect, is_stream in FORMS:
            mine = {"x-turnout-tags": "app=x", "authorization": f"Bearer {dialect}-{is_stream}"}
            ask = [Ask("hello", f"{dialect}-{is_stream}-{n}", is_stream=is_stream, headers=mine) for n in range(3)]
            assert CALLERS[dialect](live.url, ask[0]).text
            with pytest.raises(SDK[dialect].RateLimitError) as refused:
                for again in ask[1:]:
                    CALLERS[dialect](live.url, again)
            assert error_of(refused.value, dialect)["code"] == code
            assert int(refused.value.response.headers["retry-after"]) > 0
            entry = live.http.get(f"/v1/requests/{refused.value.response.headers['x-request-id']}").json()
            assert (entry["outcome"], entry["status"], entry["dialect"], entry["attempts"]) == ("refused", 429, dialect, [])


def test_a_gateway_that_stops_says_so_in_each_dialect(tmp_path: Path) -> None:
    async def scenario() -> list[BaseException | None]:
        async with gateway(tmp_path, policy=SLOW, TURNOUT_GRACE_S="0.5") as server:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(len(FORMS)) as pool:
                asked = [
                    loop.run_in_executor(pool, failure, server.url, dialect, Ask("hello", f"stops-{n}", is_stream=is_stream))
                    for n, (dialect, is_stream) in enumerate(FORMS)
                ]
                await asyncio.sleep(2)
                os.kill(server.pid, signal.SIGTERM)
                raised = await asyncio.gather(*asked)
            assert await ended(server) == 0
            return raised

    for (dialect, is_stream), raised in zip(FORMS, asyncio.run(scenario()), strict=True):
        if is_stream:
            assert isinstance(raised, SDK[dialect].APIError), dialect
        else:
            assert isinstance(raised, SDK[dialect].InternalServerError), dialect
            assert (raised.status_code, raised.response.headers["retry-after"]) == (503, "1")
        assert error_of(raised, dialect)["code"] == "shutting_down"


def failure(url: str, dialect: str, ask: Ask) -> BaseException | None:
    try:
        CALLERS[dialect](url, ask)
    except (openai.APIError, anthropic.APIError) as exc:
        return exc
    return None
