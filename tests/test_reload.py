"""What a running gateway takes when files change: here, prices; the policy's own files in tests/scenario."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.loading import load_router
from gateway.policy.catalog import TokenPrice
from gateway.reload import PolicyWatch
from gateway.router import Router
from gateway.runtime import CurrentRuntime, Runtime
from tests.pricing.tables import map_bytes, priced

POLICY = """version: 1
providers:
  openai: {kind: openai, api_key: k}
models:
  m: {provider: openai, id: m-1}
routes:
  - {name: rest, model: m}
"""


def write_map(folder: Path, date: str, input_: int) -> None:
    (folder / "prices.json").write_bytes(map_bytes({"openai/m-1": priced(input_, 9)}, date))


def test_a_newer_price_map_is_taken_though_the_policy_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    write_map(tmp_path, "2099-01-01", 5)
    current = CurrentRuntime(Runtime(load_router(path), {}))
    taken: list[Router] = []
    told: list[str | None] = []

    async def adopt(router: Router) -> None:
        taken.append(router)
        current.now = Runtime(router, {})

    async def scenario() -> None:
        watch = PolicyWatch(path, current, adopt, told.append)
        await watch.reload()
        assert taken == [], "nothing has changed"
        write_map(tmp_path, "2099-02-01", 7)
        await watch.reload()
        (tmp_path / "prices.json").write_text("{")
        await watch.reload()

    asyncio.run(scenario())
    (router,) = taken
    price = router.policy.models["m"].price
    assert isinstance(price, TokenPrice) and price.input == 7
    assert told[:2] == [None, None]
    assert told[2] is not None and "the price map" in told[2]  # and the prices that were taken stay
    assert current.now.policy is router.policy
