"""What a request is booked at: the price of its day and of its length, through the whole gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live_gateway import LiveGateway

POLICY = """
version: 1
providers:
  play: {kind: fake, words: 20}
models:
  dated:
    provider: play
    id: a
    price:
      - {from: 2020-01-01, input: 3, output: 15}
      - {from: 2099-01-01, input: 5000, output: 5000}
  tiered:
    provider: play
    id: b
    price: {input: 3, output: 15, tiers: [{above: 50, input: 6, output: 22.5}]}
baseline: tiered
routes:
  - {name: rest, model: dated}
"""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("model", "words", "rates"),
    [
        ("dated", 5, (3_000, 15_000)),
        ("dated", 500, (3_000, 15_000)),
        ("tiered", 5, (3_000, 15_000)),
        ("tiered", 500, (6_000, 22_500)),
    ],
)
def test_a_request_is_booked_at_the_price_of_its_day_and_length(
    tmp_path: Path, model: str, words: int, rates: tuple[int, int], stream: bool
) -> None:
    with LiveGateway(tmp_path, POLICY) as gateway:
        entry = gateway.entry(gateway.chat("word " * words, model=model, stream=stream))
        used = entry["usage"]
        assert (used["input"] > 50) == (words == 500)
        assert entry["cost_nusd"] == used["input"] * rates[0] + used["output"] * rates[1]
        tiered = (6_000, 22_500) if used["input"] > 50 else (3_000, 15_000)
        assert entry["baseline_nusd"] == used["input"] * tiered[0] + used["output"] * tiered[1]
