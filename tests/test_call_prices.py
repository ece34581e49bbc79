"""What a call of two models costs, as `turnout calibrate` weighs it."""

from __future__ import annotations

import pytest

from gateway.cli.call_prices import call_prices
from tests.policy.sample import compiled

POLICY = """version: 1
providers: {p: {kind: fake}}
models:
  weak: {provider: p, id: w, price: {input: 1, output: 2}}
  strong: {provider: p, id: s, price: {input: 3, output: 15, tiers: [{above: 200000, input: 6, output: 22.5}]}}
routes: [{name: rest, model: weak}]
"""


@pytest.mark.parametrize(
    ("tokens_in", "strong_usd"), [(1000, 0.003 + 0.015), (200_000, 0.6 + 0.015), (200_001, 0.000006 * 200_001 + 0.0225)]
)
def test_a_call_costs_what_one_of_its_length_does(tokens_in: int, strong_usd: float) -> None:
    found = call_prices(compiled(POLICY), "weak", "strong", None, tokens_in, 1000)
    assert found is not None
    assert found.weak == pytest.approx(tokens_in * 1e-6 + 0.002)
    assert found.strong == pytest.approx(strong_usd)
