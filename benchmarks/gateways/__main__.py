"""What gateways cost beside each other: CPU, throughput, added latency, memory and start, in one run.

    python -m benchmarks.gateways [--contenders default,litellm] [--rounds 3] [--seconds 1.2] [--quick] [--out bench-results]

No gateway, a bare pass-through, Turnout under its policies, and nginx, Portkey and LiteLLM where they are installed
(python -m benchmarks.gateways.peers). Writes results.json (every round), curve.csv (every latency of a closed loop) and
table.md. docs/performance.md says what each figure means. Exits 1 if a contender failed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psutil

from benchmarks.gateways.contenders import CONTENDERS, DIRECT, Contender
from benchmarks.gateways.machine import StolenTime, commit, machine
from benchmarks.gateways.measure import CORES, NICE, OURS, Measurement, provider
from benchmarks.gateways.results import About, Results, Round, dump_results
from benchmarks.gateways.table import tables
from benchmarks.server import ServerFailed, prioritise

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "python -m benchmarks.gateways"
SECONDS, QUICK_SECONDS = 1.2, 0.6


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    chosen, left_out = choose(arguments.contenders)
    for name, why in left_out.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    on, stolen, before = machine(), StolenTime(), datetime.datetime.now(datetime.UTC)
    try:
        with _preferred():
            found, failures = measure(chosen, rounds, seconds, arguments.out)
    except ServerFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    results = Results(
        date=before.date().isoformat(),
        commit=commit(),
        command=command(arguments),
        seconds=seconds,
        machine=msgspec.structs.replace(on, stolen=round(stolen.share(), 4)),
        contenders={each.name: About(each.what, each.version(), each.is_ours) for each in chosen if each.name not in failures},
        left_out=left_out | failures,
        rounds=found,
    )
    (arguments.out / "results.json").write_bytes(dump_results(results))
    shown = tables(results)
    (arguments.out / "table.md").write_text(shown + "\n")
    print(f"\n{shown}\n\nMedians of {rounds} rounds; {len(CORES)} cores used. Written to {arguments.out}/.")
    if failures:
        print(f"failed: {', '.join(failures)}", file=sys.stderr)
    return int(bool(failures))


def command(arguments: argparse.Namespace) -> str:
    """What to type for the same run, wherever it is to be written."""
    options = {"--contenders": arguments.contenders, "--rounds": arguments.rounds, "--seconds": arguments.seconds}
    words = [PROGRAM, *(["--quick"] if arguments.quick else [])]
    for name, value in options.items():
        if value:
            words += [name, ",".join(value) if isinstance(value, list) else f"{value:g}"]
    return " ".join(words)


@contextlib.contextmanager
def _preferred() -> Iterator[None]:
    """This process on the load's core and with the priority that the others get, until the block ends."""
    process = psutil.Process()
    before = process.nice()
    if OURS and sys.platform == "linux":
        process.cpu_affinity(OURS)
    if NICE:
        prioritise(process, NICE)
    try:
        yield
    finally:
        if NICE:
            prioritise(process, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--contenders", type=_names, metavar="NAMES", help=f"by commas, of {', '.join(CONTENDERS)}; {DIRECT} is always measured"
    )
    parser.add_argument("--rounds", type=int, help="figures are medians over these (default: 3)")
    parser.add_argument("--seconds", type=float, help="of the shortest of the nine loads of a contender (default: 1.2)")
    parser.add_argument("--quick", action="store_true", help=f"one round of {QUICK_SECONDS} s, to see that it works")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", metavar="DIR", help="(default: bench-results)")
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no contender is called {', '.join(unknown)}; known: {', '.join(CONTENDERS)}")
    return names


def choose(names: Sequence[str] | None) -> tuple[list[Contender], dict[str, str]]:
    """Who is measured, and who is not and why. Without names: all that can be measured here and need not be asked for."""
    wanted = [each for each in CONTENDERS.values() if (each.name in names if names else not each.is_asked_for)]
    if CONTENDERS[DIRECT] not in wanted:
        wanted.insert(0, CONTENDERS[DIRECT])
    missing = {each.name: each.missing() for each in wanted}
    return [each for each in wanted if not missing[each.name]], {name: why for name, why in missing.items() if why}


def measure(chosen: Sequence[Contender], rounds: int, seconds: float, out: Path) -> tuple[list[dict[str, Round]], dict[str, str]]:
    """Every contender in every round, and who failed and how. One that fails once is not tried again. Raises ServerFailed."""
    found: list[dict[str, Round]] = []
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder, (out / "curve.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["round", "contender", "concurrency", "number", "latency_us"])

        def raw(contender: str, workload: str, latencies_s: Sequence[float]) -> None:
            head = (len(found), contender, workload.removeprefix("c"))
            writer.writerows((*head, number, round(latency_s * 1e6)) for number, latency_s in enumerate(latencies_s, 1))

        with provider(Path(folder)) as mock:
            measurement = Measurement(mock, seconds, raw)
            for number in range(1, rounds + 1):
                print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
                found.append({})
                for contender in chosen:
                    if contender.name in failures:
                        continue
                    try:
                        found[-1][contender.name] = measurement.round_of(contender, seed=number)
                    except (ServerFailed, subprocess.CalledProcessError) as exc:
                        if contender.name == DIRECT:
                            raise
                        print(f"  {exc}", file=sys.stderr, flush=True)
                        failures[contender.name] = str(exc).partition(";")[0]
    return found, failures


if __name__ == "__main__":
    sys.exit(main())
