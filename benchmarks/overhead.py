"""What the gateway adds to an answer: CPU, throughput and latency, beside a bare pass-through and no gateway at all.

    python -m benchmarks.overhead [--seconds 2] [--rounds 3] [--json OUT]

Four contenders under the same load in front of the same mock provider, in turn in every round: `direct` (no gateway),
`bare` (benchmarks/passthrough.py) and Turnout under both files of benchmarks/policies. benchmarks/README.md says what
each figure means.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.load import Load, Result
from benchmarks.server import TURNOUT, Server, ServerFailed, environment
from gateway.cli.table import table
from gateway.providers.local import free_port

HERE = Path(__file__).resolve().parent
CONCURRENCY = 32
START_S = 60.0
POLICIES = {"turnout, pass-through": "pass-through.yaml", "turnout, default": "default.yaml"}
FIGURES = {  # name in the JSON: heading
    "rps": f"req/s c{CONCURRENCY}",
    "cpu_s_per_1k": "CPU s/1k req",
    "added_p50_ms": "+p50 ms",
    "added_p99_ms": "+p99 ms",
    "cpu_s_per_1k_chunks": "CPU s/1k chunks",
    "errors": "errors",
}
RATIOS = ("rps", "cpu_s_per_1k", "cpu_s_per_1k_chunks")
Row = dict[str, float | None]


class Contender(NamedTuple):
    """url: up to and with /v1. server: None for the provider itself, whose CPU is not asked for."""

    name: str
    url: str
    server: Server | None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each of the three loads of a contender (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="figures are medians over these (default: 3)")
    parser.add_argument("--rate", type=float, default=200.0, help="requests/s for the added latency (default: 200)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all rounds to this file")
    args = parser.parse_args(argv)
    try:
        rounds = measure(args.seconds, args.rounds, args.rate)
    except ServerFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    medians = {name: _medians([r[name] for r in rounds]) for name in rounds[0]}
    ratios = {name: {k: _ratio(medians[name][k], medians["bare"][k]) for k in RATIOS} for name in POLICIES}
    print(f"\n{report(medians, ratios)}\n")
    print(f"Medians of {args.rounds} rounds of {args.seconds:g} s, latency at {args.rate:g} requests/s. {_machine()}.")
    if args.json:
        options = {"seconds": args.seconds, "rounds": args.rounds, "rate": args.rate}
        found = {"machine": _machine(), "options": options, "medians": medians, "ratios_to_bare": ratios, "rounds": rounds}
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(seconds: float, count: int, rate: float) -> list[dict[str, Row]]:
    """A row for each contender in each round. Raises ServerFailed."""
    serials = itertools.count()
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder, contextlib.ExitStack() as stack:
        contenders = start(Path(folder), stack)
        for contender in contenders:
            for is_stream in (False, True):
                _closed(contender, serials, min(seconds, 1.0), is_stream=is_stream)
        rounds = []
        for number in range(count):
            print(f"round {number + 1} of {count}", file=sys.stderr, flush=True)
            rows: dict[str, Row] = {}
            for contender in contenders:
                rows[contender.name] = one_row(contender, serials, seconds, rate, seed=number)
                for q in ("p50_ms", "p99_ms"):
                    rows[contender.name][f"added_{q}"] = _less(rows[contender.name][q], rows["direct"][q])
            rounds.append(rows)
        return rounds


def start(folder: Path, stack: contextlib.ExitStack) -> list[Contender]:
    """The mock and every contender, up and answering. They share core 0 with us and have core 1 for themselves."""
    cores = sorted(os.sched_getaffinity(0))[:2] if sys.platform == "linux" else []
    ours, theirs = (cores[:1], cores[1:]) if len(cores) == 2 else ([], [])
    if ours and sys.platform == "linux":
        os.sched_setaffinity(0, ours)

    def server(name: str, command: list[str], port: int, cores: list[int], **env: str) -> Server:
        log = folder / f"{port}.log"
        env = environment(TURNOUT_DATA_DIR=str(folder / f"data-{port}"), PYTHONPATH=str(HERE.parent), **env)
        return stack.enter_context(Server(name, command, f"http://127.0.0.1:{port}", log, env=env, cores=cores))

    port = free_port()
    mock = server("mock upstream", [sys.executable, "-m", "benchmarks.mock_upstream", "--port", str(port)], port, ours)
    upstream = f"{mock.url}/v1"
    uvicorn = [sys.executable, "-m", "uvicorn", "benchmarks.passthrough:app", "--no-access-log", "--log-level", "warning"]
    port = free_port()
    servers = {"bare": server("pass-through", [*uvicorn, "--port", str(port)], port, theirs, UPSTREAM=upstream)}
    for name, file in POLICIES.items():
        port = free_port()
        command = [*TURNOUT, "serve", "--policy", str(HERE / "policies" / file), "--port", str(port)]
        servers[name] = server(name, command, port, theirs, UPSTREAM=upstream)
    for each in [mock, *servers.values()]:
        each.wait_ready("/healthz", START_S)
    return [Contender("direct", upstream, None), *(Contender(n, f"{s.url}/v1", s) for n, s in servers.items())]


def one_row(contender: Contender, serials: itertools.count[int], seconds: float, rate: float, seed: int) -> Row:
    """One contender's figures of one round; None where there is nothing to tell."""
    row: Row = {}
    whole, cpu_s = _closed(contender, serials, seconds, is_stream=False)
    row["rps"] = whole.by_the_end / whole.seconds
    row["cpu_s_per_1k"] = 1000 * cpu_s / whole.answers if contender.server and whole.answers else None
    paced = uvloop.run(Load(contender.url, serials).open_(rate, seconds, seed))
    row["p50_ms"], row["p99_ms"] = (paced.latency_ms(share) if paced.answers else None for share in (0.5, 0.99))
    streamed, cpu_s = _closed(contender, serials, seconds, is_stream=True)
    row["cpu_s_per_1k_chunks"] = 1000 * cpu_s / streamed.chunks if contender.server and streamed.chunks else None
    row["errors"] = whole.errors + paced.errors + streamed.errors
    return row


def _closed(contender: Contender, serials: itertools.count[int], seconds: float, *, is_stream: bool) -> tuple[Result, float]:
    """The result of a closed loop, and the contender's CPU seconds for it."""
    before = contender.server.cpu_s() if contender.server else 0.0
    result = uvloop.run(Load(contender.url, serials, is_stream=is_stream).closed(CONCURRENCY, seconds))
    return result, contender.server.cpu_s() - before if contender.server else 0.0


def report(medians: dict[str, Row], ratios: dict[str, Row]) -> str:
    """The tables, for people."""
    figures = [[name, *(_shown(row[key]) for key in FIGURES)] for name, row in medians.items()]
    compared = [[name, *(_shown(row[key]) for key in RATIOS)] for name, row in ratios.items()]
    headings = ("ratio to bare", *(FIGURES[key] for key in RATIOS))
    return f"{table(('', *FIGURES.values()), figures)}\n\n{table(headings, compared)}"


def _medians(rows: list[Row]) -> Row:
    columns = {key: [value for row in rows if (value := row[key]) is not None] for key in rows[0]}
    medians: Row = {key: statistics.median(values) if values else None for key, values in columns.items()}
    return {**medians, "errors": sum(columns["errors"])}


def _ratio(mine: float | None, bare: float | None) -> float | None:
    return mine / bare if mine is not None and bare else None


def _less(value: float | None, base: float | None) -> float | None:
    return value - base if value is not None and base is not None else None


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3f}"


def _machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
