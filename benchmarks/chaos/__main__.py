"""Outages on purpose, and how Turnout bears them beside LiteLLM's Router: a table with goals, the raw records, pictures.

    python -m benchmarks.chaos [--minutes 7] [--seed 1] [--only outage,spike,tail,drip,crashes] [--crashes 5] [--out DIR]
        [--page docs/reliability.md]

Scripted providers answer every question in one right way or fail by a timetable; a load that does not wait for answers
checks each. docs/reliability.md says what each figure means. Exits 1 if a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.chaos.lines import Line, lines, table, warnings
from benchmarks.chaos.picture import picture
from benchmarks.chaos.run import Run, run
from benchmarks.chaos.scenarios import LITELLM, PLAIN, SCENARIOS, TURNOUT, Scenario
from benchmarks.crashes import crash
from benchmarks.server import ServerFailed

CRASHES = "crashes"
MARKS = ("<!-- measured: python -m benchmarks.chaos --page -->", "<!-- end of what was measured -->")
TITLES = {
    "outage": "Outage: one target down, one failing at 30 %, one well",
    "spike": "Latency spike: the first target takes ten times as long",
    "tail": "Long tail: with hedging and without",
    "drip": "Slow drips: with a floor for tokens a second and without",
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, help="length of the load in all, every scenario in proportion (default: 7)")
    parser.add_argument("--seed", type=int, default=1, help="of questions, times and faults (default: 1)")
    parser.add_argument(
        "--only", type=_names, default=[*SCENARIOS, CRASHES], metavar="NAMES", help="of the scenarios above, by commas"
    )
    parser.add_argument(
        "--crashes", type=int, default=5, metavar="N", help="how often the gateway is killed under load (default: 5)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep records, calls, figures and pictures here")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page, and the pictures beside it")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.only) - {*SCENARIOS, CRASHES}
    if unknown:
        parser.error(f"--only: no scenario is called {', '.join(sorted(unknown))}; known: {', '.join([*SCENARIOS, CRASHES])}")
    scenarios = [SCENARIOS[name]() for name in arguments.only if name != CRASHES]
    told: list[Line] = []
    pictures: dict[str, str] = {}
    busy: list[str] = []
    try:
        for scenario in scenarios:
            runs = play(scenario.scaled(_factor(scenarios, arguments.minutes)), arguments.seed)
            told += lines(scenario.name, runs)
            busy += warnings(runs)
            if arguments.out:
                keep(runs, arguments.out)
            pictures[scenario.name] = picture(TITLES[scenario.name], runs)
        if CRASHES in arguments.only:
            told.append(crashes(arguments.crashes, arguments.seed))
    except ServerFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    shown = table(told, [name for name in (TURNOUT, PLAIN, LITELLM) if any(name in line.values for line in told)])
    shown = "\n\n".join([shown, f"Seed {arguments.seed}. {machine()}.", *busy])
    print(f"\n{shown}")
    if arguments.out:
        (arguments.out / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        (arguments.out / "table.md").write_text(shown + "\n")
    if arguments.page:
        fill(arguments.page, shown, pictures)
    return int(any(line.is_reached is False for line in told))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _factor(scenarios: Sequence[Scenario], minutes: float | None) -> float:
    seconds = sum(scenario.load.seconds * len(scenario.contenders) for scenario in scenarios)
    return 60 * minutes / seconds if minutes and seconds else 1.0


def play(scenario: Scenario, seed: int) -> list[Run]:
    """Every contender through the same. Raises ServerFailed."""
    runs = []
    for name, contender in scenario.contenders.items():
        load = scenario.load_of(name)
        print(f"{scenario.name}: {name}, {load.seconds:.0f} s at {load.rate:g}/s", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="turnout-chaos-") as folder:
            runs.append(run(scenario.name, name, contender.start, load, scenario.phases, Path(folder), seed))
    return runs


def crashes(times: int, seed: int) -> Line:
    """How many ledger entries were lost when the gateway was killed so often under load. Raises ServerFailed."""
    print(f"crashes: {times}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="turnout-chaos-") as folder:
        tally = asyncio.run(crash(Path(folder), times, workers=1, chance=random.Random(seed)))
    figure = f"ledger entries lost or doubled in {times} × kill -9"
    found = f"{tally.lost + tally.doubled} of {tally.answers}"
    return Line(CRASHES, figure, {TURNOUT: found}, "0", tally.is_sound)


def keep(runs: Sequence[Run], out: Path) -> None:
    """Records and calls of every run as CSV and JSON lines, and one picture of all of them."""
    out.mkdir(parents=True, exist_ok=True)
    for each in runs:
        stem = f"{each.scenario}-{each.contender.lower().replace(' ', '-')}"
        with (out / f"{stem}.csv").open("w", newline="") as file:
            rows: list[Mapping[str, object]] = [msgspec.structs.asdict(record) for record in each.records]
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
        (out / f"{stem}-calls.jsonl").write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in each.calls))
    setup = {"targets": msgspec.to_builtins(runs[0].targets), "load": msgspec.to_builtins(runs[0].load)}
    (out / f"{runs[0].scenario}.json").write_text(json.dumps(setup, indent=1) + "\n")
    (out / f"{runs[0].scenario}.svg").write_text(picture(TITLES[runs[0].scenario], runs))


def fill(page: Path, shown: str, pictures: Mapping[str, str]) -> None:
    """Put the table between the page's marks, and each picture that it shows in its place."""
    before, after = page.read_text().split(MARKS[0])[0], page.read_text().split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n{shown}\n{MARKS[1]}{after}")
    for name, svg in pictures.items():
        if f"(pictures/{name}.svg)" in before + after:
            (page.parent / "pictures").mkdir(exist_ok=True)
            (page.parent / "pictures" / f"{name}.svg").write_text(svg)


def machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
