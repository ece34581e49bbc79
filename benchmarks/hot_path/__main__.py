"""`python -m benchmarks.hot_path`: count, print, compare, and renew what the test expects. About four seconds a scenario."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hot_path.baseline import changes, file_of, findings, read, write
from benchmarks.hot_path.counting import Counts
from benchmarks.hot_path.running import CountingFailed, counts_of
from benchmarks.hot_path.scenarios import SCENARIOS


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 1 when something costs a tenth more or less than it is expected to."""
    args = _arguments(argv)
    expected = _expected(args.against)
    found: dict[str, Counts] = {}
    print(f"{'a request':<20} {'instructions':>14} {'calls':>8} {'C calls':>8} {'peak bytes':>11}")
    problems = []
    for name in args.scenario or SCENARIOS:
        try:
            found[name] = counts_of(name)
        except CountingFailed as exc:
            problems.append(str(exc))
        else:
            _print(name, found[name], expected.get(name))
    if args.top:
        for name, counts in found.items():
            _print_functions(name, counts, expected.get(name), args.top)
    if args.json:
        write(args.json, found)
    if args.update and not problems:
        write(file_of(), {name: {**_expected(None), **found}[name] for name in SCENARIOS})
        print(f"\nwrote {file_of()}")
        return 0
    problems += findings(expected, found)
    print("", *problems, sep="\n")
    return 1 if problems else 0


def _expected(path: Path | None) -> dict[str, Counts]:
    """What to compare with; nothing for a version of Python that has no file."""
    path = path or file_of()
    return read(path) if path.exists() else {}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    known = "\n".join(f"  {s.name:<20} {s.what}" for s in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hot_path",
        description="Count what a request costs: instructions of Python, calls, memory.",
        epilog=f"scenarios:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this one; repeatable")
    parser.add_argument(
        "--top", type=int, default=0, metavar="N", help="name the N functions that cost most, and that changed most"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the counts, for --against")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with these (default: what the test expects)")
    parser.add_argument("--update", action="store_true", help="have the test expect what is counted now")
    return parser.parse_args(argv)


def _print(name: str, counts: Counts, then: Counts | None) -> None:
    figures = (counts.instructions, counts.calls, counts.c_calls, counts.peak_bytes)
    print("{:<20} {:14,.0f} {:8,.0f} {:8,.0f} {:11,.0f}".format(name, *figures), flush=True)
    if then is not None:
        before = (then.instructions, then.calls, then.c_calls, then.peak_bytes)
        changed = (f"{now / was - 1:+.1%}" if was else "" for now, was in zip(figures, before, strict=True))
        print("{:<20} {:>14} {:>8} {:>8} {:>11}".format("", *changed), flush=True)


def _print_functions(name: str, counts: Counts, then: Counts | None, top: int) -> None:
    print(f"\n{name}: what functions do themselves\n{'instructions':>12} {'calls':>7} {'C calls':>8}")
    ordered = sorted(counts.functions.items(), key=lambda item: -item[1][0])
    for function, (instructions, calls, c_calls) in ordered[:top]:
        print(f"{instructions:12,.1f} {calls:7,.1f} {c_calls:8,.1f}  {function}")
    if then is not None and (lines := changes(then, counts)):
        print("changed most", *[*lines[:top], *(["   …"] if len(lines) > 2 * top else []), *lines[top:][-top:]], sep="\n")


if __name__ == "__main__":
    sys.exit(main())
