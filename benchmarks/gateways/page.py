"""docs/performance.md and its picture, made of a run's results and nothing else, so that no number can go stale.

python -m benchmarks.gateways.page bench-results      take the results of that run, and write the page
python -m benchmarks.gateways.page                    write it again from docs/performance/results.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gateways.curve import picture
from benchmarks.gateways.results import Results, dump_results, load_results
from benchmarks.gateways.table import tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/performance.md"
PICTURE = "docs/pictures/performance.svg"
RESULTS = "docs/performance/results.json"
TEMPLATE = Path(__file__).with_name("page.md")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateways.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="DIR", help="where a run has left its results.json")
    run = parser.parse_args(argv).run
    results = load_results((run / "results.json" if run else ROOT / RESULTS).read_bytes())
    for name, text in documents(results).items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(text)
    return 0


def documents(results: Results) -> dict[str, str]:
    """What is committed of a run: the page, its picture and the results, by path."""
    return {PAGE: page(results), PICTURE: picture(results), RESULTS: dump_results(results).decode()}


def page(results: Results) -> str:
    """The page. Its words are in page.md, beside this file."""
    return (
        TEMPLATE.read_text()
        .replace("{{contenders}}", _contenders(results))
        .replace("{{tables}}", tables(results))
        .replace("{{machine}}", _machine(results))
    )


def _contenders(results: Results) -> str:
    rows = [f"| `{name}` | {about.what} | {about.version or '–'} |" for name, about in results.contenders.items()]
    left_out = [f"Left out was `{name}`: {why}." for name, why in results.left_out.items()]
    table = "\n".join(["| | is | version |", "| --- | --- | --- |", *rows])
    return "\n\n".join([table, *left_out])


def _machine(results: Results) -> str:
    machine = results.machine
    build = "with" if machine.is_optimised else "without"
    rounds = len(results.rounds)
    facts = {
        "date": results.date,
        "commit": f"`{results.commit}`" + (", with changes that were not committed" if results.commit.endswith("+") else ""),
        "command": f"`{results.command}`",
        "rounds": f"{rounds} of {results.seconds:g} s a load; figures are medians",
        "processor": f"{machine.cpu}, {machine.cores} cores",
        "system": machine.kernel,
        "Python": f"{machine.python}, built {build} profile-guided optimisation",
        "busy with other things": f"load {machine.load_before} before the run; the host took {machine.stolen:.1%} of the time",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items())])


if __name__ == "__main__":
    sys.exit(main())
