"""Results of a run that never was, for the tests of what is made of them."""

from __future__ import annotations

import msgspec

from benchmarks.gateways.results import DIRECT, About, Loaded, Machine, Results, Round
from benchmarks.gateways.workloads import WORKLOADS


def loaded(latency_ms: float, cpu_s: float | None = None, problems: int = 0) -> Loaded:
    return Loaded(
        seconds=2.0,
        counted=1000,
        answers=1250,
        events=16_000,
        problems={"cut off": problems} if problems else {},
        latency_ms={"p50": latency_ms, "p99": 3 * latency_ms},
        ttft_ms={"p50": latency_ms / 2, "p99": latency_ms},
        cpu_s=cpu_s,
        upstream_requests=1250,
        upstream_chunks=20_000,
    )


def found(latency_ms: float, cpu_s: float | None, problems: int = 0) -> Round:
    size = None if cpu_s is None else 100.0
    loads = {name: loaded(latency_ms, cpu_s, problems) for name in WORKLOADS}
    return Round(start_s=size and 0.5, rss_idle_mib=size, rss_after_mib=size, loads=loads)


def made() -> Results:
    """Three rounds: the second slow for all, litellm only in the first."""
    rounds = [
        {DIRECT: found(base, None), "default": found(base + added, 0.25 * added), "portkey": found(base + 4, 2.5, problems=1)}
        for base, added in ((1.0, 1.0), (7.0, 5.0), (1.0, 2.0))
    ]
    rounds[0]["litellm"] = found(30.0, 25.0)
    machine = Machine(
        cpu="Abacus 3", cores=2, kernel="Linux 6.1", python="CPython 3.11.7", is_optimised=False, load_before=0.1, stolen=0.02
    )
    return Results(
        date="2026-01-31",
        commit="0123456789+",
        command="python -m benchmarks.gateways",
        seconds=2.0,
        machine=machine,
        contenders={
            DIRECT: About("no gateway", ""),
            "default": About("Turnout", "1.0", True),
            "portkey": About("Portkey", "1.15.2"),
            "litellm": About("LiteLLM", "1.106.2"),
        },
        left_out={"nginx": "nginx is not installed"},
        rounds=rounds,
    )


def without(results: Results, *names: str) -> Results:
    rounds = [{name: each for name, each in one.items() if name not in names} for one in results.rounds]
    return msgspec.structs.replace(results, rounds=rounds)
