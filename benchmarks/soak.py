"""Whether the gateway keeps its size: mixed traffic for as long as is wished, memory and open files watched.

    python -m benchmarks.soak [--seconds 1800] [--rate 40] [--seed 1] [--out FILE]

Traffic to a real gateway before the scripted providers of benchmarks/chaos: streamed and not, ever new questions and some
asked again (an exact cache), a target that fails at 10 % and is down for a tenth of the time, callers who leave in
mid-answer. Exits 1 if memory or open files grow, or if any answer is falsely complete or hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import random
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks.chaos.answers import Question, questions
from benchmarks.chaos.client import ask, judge
from benchmarks.chaos.contender import START_S, turnout, upstream
from benchmarks.chaos.run import begin, providers
from benchmarks.chaos.script import Phase, Script, Target
from benchmarks.server import Server, ServerFailed
from gateway.providers.local import free_port

HUNG_S = 20.0
SAMPLE_S = 0.5
LEAVING, AGAIN = 0.05, 0.2  # shares of the questions: whose caller leaves, and that were asked before
CYCLE_S = 30.0  # of the faults
CACHE_MB = "1"  # full within the warm-up, so that what grows afterwards is no cache that fills
WARM_S = 80.0
"""Until what has a bound is full: the cache, and the prompts that templates are looked for in, which come slowly."""
MEASURED_MIN_S = 20.0
SLOPE_MAX_MB_MIN = 1.0
STEP_MB = 2.0
"""What a process of this size gains or gives back at once, by the allocator's arenas. Over a half-hour it counts little."""
FILES_MAX = 10
TOLD_MAX = 10  # of the questions that went wrong
FAILOVER = {
    "midstream": "restart",
    "hedge": {"after": "p95", "budget": 0.05},
    "latency_guard": {"ttft": ">3x normal", "for": "5s", "then": "b"},
}


class Sample(NamedTuple):
    """Of the whole process tree."""

    at_s: float
    rss_mb: float
    files: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long, the warm-up included (default: 1800)")
    parser.add_argument("--rate", type=float, default=40.0, help="questions a second (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="of questions, times and faults (default: 1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the samples to this file, as CSV")
    arguments = parser.parse_args(argv)
    if arguments.seconds < WARM_S + MEASURED_MIN_S:
        parser.error(
            f"--seconds {arguments.seconds:g}: the first {WARM_S:g} are not measured; give {WARM_S + MEASURED_MIN_S:g} at least"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="turnout-soak-") as folder:
            verdicts, samples = soak(Path(folder), arguments.seconds, arguments.rate, arguments.seed)
    except ServerFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    if arguments.out:
        rows = [",".join(Sample._fields), *(f"{at_s:.1f},{rss_mb:.3f},{files}" for at_s, rss_mb, files in samples)]
        arguments.out.write_text("\n".join(rows) + "\n")
    return report(verdicts, samples, arguments.seconds)


def report(verdicts: collections.Counter[str], samples: Sequence[Sample], seconds: float) -> int:
    """Print what came of it; 1 if something grows or an answer was wrong."""
    warm_s = max(seconds / 2, WARM_S)
    settled = [sample for sample in samples if sample.at_s >= warm_s]
    before = [sample for sample in samples if warm_s / 2 <= sample.at_s < warm_s]
    slope = slope_per_minute([(sample.at_s, sample.rss_mb) for sample in settled])
    limit = SLOPE_MAX_MB_MIN + STEP_MB / ((seconds - warm_s) / 60)
    files, files_before = (max(sample.files for sample in part) for part in (settled, before))
    found = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    last_s = seconds - warm_s
    print(
        f"{seconds:.0f} s, {found}. Memory {settled[0].rss_mb:.1f} → {settled[-1].rss_mb:.1f} MB in the last "
        f"{last_s:.0f} s, {slope:+.2f} MB/min (at most {limit:.2f}); open files at most {files} (before: {files_before})"
    )
    return int(slope > limit or files > files_before + FILES_MAX or verdicts["falsely complete"] + verdicts["hung"] > 0)


def slope_per_minute(points: Sequence[tuple[float, float]]) -> float:
    """The median slope of all pairs of (seconds, value), which single steps and peaks do not move.

    H. Theil, "A rank-invariant method of linear regression" (1950). Of more than 300 points every n-th.
    """
    few = points[:: len(points) // 300 + 1]
    return 60 * statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(few, 2))


def soak(folder: Path, seconds: float, rate: float, seed: int) -> tuple[collections.Counter[str], list[Sample]]:
    """How many questions ended how, and the samples. Raises ServerFailed."""
    targets = [Target("a", free_port(), list(_faults(seconds))), Target("b", free_port(), [Phase(seconds)])]
    ports = {target.name: target.port for target in targets}
    with turnout(folder / "gateway", _policy(ports), TURNOUT_CACHE_MB=CACHE_MB) as server:
        server.wait_ready("/healthz", START_S)
        with providers(Script(seed, targets), folder):
            begin(targets)
            return uvloop.run(_traffic(server, seconds, rate, seed))


def _faults(seconds: float) -> Iterator[Phase]:
    at_s = 0.0
    while at_s < seconds:
        yield Phase(at_s + 0.9 * CYCLE_S, "errors", error_share=0.1)
        at_s += CYCLE_S
        yield Phase(at_s, "down")


def _policy(ports: dict[str, int]) -> dict[str, Any]:
    return {
        "version": 1,
        "providers": {name: {"kind": "openai", "base_url": upstream(port)} for name, port in ports.items()},
        "models": {name: {"provider": name, "id": name, "price": {"input": 1.0, "output": 4.0}} for name in ports},
        "defaults": {"timeouts": {"connect": "500ms", "first_token": "1s", "idle": "1s", "total": "12s"}},
        "baseline": "a",
        "routes": [{"name": "chat", "model": "a", "fallback": ["b"], "cache": {"mode": "exact", "ttl": "1h"}, **FAILOVER}],
    }


async def _traffic(server: Server, seconds: float, rate: float, seed: int) -> tuple[collections.Counter[str], list[Sample]]:
    verdicts: collections.Counter[str] = collections.Counter()
    samples: list[Sample] = []
    parts, draw, start = urllib.parse.urlsplit(server.url), random.Random(seed), time.monotonic()
    asked: collections.deque[Question] = collections.deque(maxlen=200)

    async def one(question: Question, deadline_s: float) -> None:
        received = await ask(parts.hostname or "", parts.port or 80, question, deadline_s)
        if received.is_hung and deadline_s < HUNG_S:
            verdicts["left by the caller"] += 1
            return
        verdict, why = judge(received, question)
        verdicts[verdict] += 1
        if verdict != "whole" and verdicts[verdict] <= TOLD_MAX:
            print(f"{time.monotonic() - start:.1f} s, {verdict}: {why}", file=sys.stderr, flush=True)

    async def watch() -> None:
        while True:
            samples.append(_sample(server, time.monotonic() - start))
            await asyncio.sleep(SAMPLE_S)

    watching = asyncio.create_task(watch())
    fresh, due_s = questions(seed, 0.5, 0.1), 0.0
    async with asyncio.TaskGroup() as group:
        while (due_s := due_s + draw.expovariate(rate)) < seconds:
            await asyncio.sleep(start + due_s - time.monotonic())
            question = draw.choice(asked) if asked and draw.random() < AGAIN else next(fresh)
            asked.append(question)
            deadline_s = draw.uniform(0.02, 0.12) if draw.random() < LEAVING else HUNG_S
            group.create_task(one(question, deadline_s))
    watching.cancel()
    return verdicts, samples


def _sample(server: Server, at_s: float) -> Sample:
    rss, files = server.size()
    return Sample(at_s, rss / 2**20, files)


if __name__ == "__main__":
    sys.exit(main())
