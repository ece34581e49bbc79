"""What every contender goes through in a round, in this order."""

from __future__ import annotations

from dataclasses import dataclass

CURVE = (1, 4, 16, 64)  # concurrencies of the overhead curve


@dataclass(frozen=True, slots=True)
class Workload:
    """concurrency: of a closed loop; 0 for an open one, with `rate` requests a second. times: how much longer than others."""

    concurrency: int = 0
    rate: float = 0.0
    is_stream: bool = False
    times: float = 1.0


LATENCY, TTFT, CHUNKS = "r200", "s20", "s50"
THROUGHPUT = ("c32", "c128")
WORKLOADS = {
    **{f"c{concurrency}": Workload(concurrency) for concurrency in (*CURVE, 32, 128)},
    # Longer, for their percentiles: 200 and 20 requests a second are few.
    LATENCY: Workload(rate=200, times=2),
    TTFT: Workload(rate=20, is_stream=True, times=4),
    CHUNKS: Workload(50, is_stream=True),
}
