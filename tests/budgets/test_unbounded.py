"""Many streams at once that bound no answer, against $1, through the whole gateway: what is promised, and not more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import httpx
import pytest

from gateway.budgets.usual import COLD_TOKENS
from tests.live_gateway import LiveGateway

USD: Final = 10**9
TOKEN: Final = 100_000  # nano-USD, in as out
IN: Final = 2  # tokens of "hello"
AT_ONCE: Final = 100


def policy(words: int) -> str:
    """One model that waits until all have asked, and then says so many words, a token each."""
    return f"""
version: 1
providers:
  one: {{kind: fake, words: {words}, ttft: 1s}}
models:
  only: {{provider: one, id: only-1, price: {{input: 100, output: 100}}}}
baseline: only
defaults:
  timeouts: {{connect: 1s, first_token: 15s, idle: 15s, total: 60s}}
routes:
  - {{name: all, model: only}}
budgets:
  - {{per: gateway, usd: 1/day}}
  - {{per: team, usd: 100/day}}
"""


async def ask_all(gateway: LiveGateway) -> list[int]:
    """The status of each, when all have ended."""
    body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        asked = (client.post("/v1/chat/completions", json=body) for _ in range(AT_ONCE))
        return [answer.status_code for answer in await asyncio.gather(*asked)]


def spent_nusd(gateway: LiveGateway) -> int:
    rows = gateway.http.get("/admin/budgets", headers={"authorization": "Bearer the-operator"}).json()["budgets"]
    [row] = [row for row in rows if row["per"] == "gateway"]
    assert row["reserved_nusd"] == 0
    nusd: int = row["spent_nusd"]
    return nusd


@pytest.mark.parametrize("words", [1000, 2000])
def test_cold_no_more_are_let_through_than_fit_and_each_overspends_by_what_it_says_beyond(tmp_path: Path, words: int) -> None:
    reserve, cost = (IN + COLD_TOKENS) * TOKEN, (IN + words) * TOKEN
    with LiveGateway(tmp_path, policy(words), admin_key="the-operator") as gateway:
        answered = asyncio.run(ask_all(gateway)).count(200)
        assert answered == USD // reserve == 9
        assert spent_nusd(gateway) == answered * cost <= USD + answered * max(cost - reserve, 0)


@pytest.mark.parametrize("words", [1000, 2000])
def test_warm_nothing_is_overspent(tmp_path: Path, words: int) -> None:
    cost = (IN + words) * TOKEN
    reserve = max(cost, (IN + COLD_TOKENS) * TOKEN)
    with LiveGateway(tmp_path, policy(words), admin_key="the-operator") as gateway:
        for is_stream in (False, True):
            assert gateway.chat(stream=is_stream).status_code == 200
        assert asyncio.run(ask_all(gateway)).count(200) == (USD - 2 * cost) // reserve
        assert spent_nusd(gateway) <= USD
