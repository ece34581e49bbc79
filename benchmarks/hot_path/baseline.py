"""The counts that are expected, one file for each minor version of Python, and what to say of counts that differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.hot_path.counting import Counts

FOLDER = Path(__file__).parent / "counts"
UPDATE = "python -m benchmarks.hot_path --update"
TOLERANCE = 0.10
FIGURES = {"instructions": "instructions", "calls": "calls", "c_calls": "C calls", "peak_bytes": "bytes at the most"}
COLUMNS = {"instructions": 0, "calls": 1, "c_calls": 2}  # where a function's are; memory is nobody's alone
NAMED = 8  # functions in a message
FUNCTION_MIN = 50  # instructions of one, to be kept in a file

Profiles = Mapping[str, Counts]  # by scenario


def file_of(version: tuple[int, int] = sys.version_info[:2]) -> Path:
    """Where the counts for a version of Python are; each compiles to other instructions."""
    return FOLDER / f"{version[0]}.{version[1]}.json"


def read(path: Path) -> dict[str, Counts]:
    """Raises FileNotFoundError."""
    return {name: Counts(**fields) for name, fields in json.loads(path.read_bytes()).items()}


def write(path: Path, profiles: Profiles) -> None:
    """One line for each function, so that a change of a few is a change of a few lines."""
    scenarios = []
    for name, counts in profiles.items():
        fields = asdict(counts)
        functions = {f: costs for f, costs in sorted(fields.pop("functions").items()) if costs[0] >= FUNCTION_MIN}
        lines = ",\n".join(f"   {json.dumps(f)}: {json.dumps([round(c, 1) for c in costs])}" for f, costs in functions.items())
        head = "".join(f"  {json.dumps(figure)}: {round(value, 1)},\n" for figure, value in fields.items())
        scenarios.append(f' {json.dumps(name)}: {{\n{head}  "functions": {{\n{lines}\n  }}\n }}')
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(scenarios) + "\n}\n")


def findings(expected: Profiles, found: Profiles) -> list[str]:
    """What is more than TOLERANCE away from what is expected, each in some lines with the functions that did it."""
    said = []
    for name, now in found.items():
        if (then := expected.get(name)) is None:
            said.append(f"scenario '{name}' has no counts to be held against; `{UPDATE}` writes them")
            continue
        for figure, noun in FIGURES.items():
            before, after = getattr(then, figure), getattr(now, figure)
            if abs(after - before) > TOLERANCE * before:
                grown = changes(then, now, COLUMNS[figure])[:NAMED] if figure in COLUMNS else []
                said.append(_finding(f"scenario '{name}'", noun, before, after, grown))
    return said


def _finding(where: str, noun: str, before: float, after: float, grown: Sequence[str]) -> str:
    change = f"{where}: {after:,.0f} {noun} a request, {before:,.0f} are expected ({after / before - 1:+.1%})"
    if after < before:
        return f"{change}; so that nobody loses what was won: `{UPDATE}`"
    change += f"; make it cheaper, or `{UPDATE}` and say in the commit what it buys"
    return "\n  ".join([f"{change}. Functions whose own {noun} grew most:", *grown]) if grown else change


def changes(then: Counts, now: Counts, column: int = 0) -> list[str]:
    """The functions that do more or less themselves, those that grew most first. column: 0 instructions, 1 calls, 2 C calls."""
    none = [0.0, 0.0, 0.0]
    pairs = {
        name: (then.functions.get(name, none)[column], now.functions.get(name, none)[column])
        for name in then.functions.keys() | now.functions.keys()
        if name in then.functions or now.functions[name][0] >= FUNCTION_MIN  # a smaller one may be as old, and was not kept
    }
    ordered = sorted(pairs.items(), key=lambda item: (item[1][0] - item[1][1], item[0]))
    return [f"{b - a:+8,.0f}  {a:8,.0f} -> {b:8,.0f}  {name}" for name, (a, b) in ordered if abs(a - b) >= 1]
