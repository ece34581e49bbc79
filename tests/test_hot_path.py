"""What a request costs is counted and held against what it cost before, so that nobody makes it dearer unseen."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.hot_path.baseline import file_of, findings, read, write
from benchmarks.hot_path.counting import Counts, count
from benchmarks.hot_path.running import CountingFailed, counts_of
from benchmarks.hot_path.scenarios import SCENARIOS

BEFORE = Counts(1000, 100, 50, 4000, {"a.py:f": [600.0, 60.0, 20.0], "b.py:g": [400.0, 40.0, 30.0]})


@pytest.mark.skipif(not file_of().exists(), reason=f"no counts for this version of Python: {file_of().name} is missing")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_request_costs_what_it_did(name: str) -> None:
    problems = findings(read(file_of()), {name: counts_of(name)})
    assert not problems, "\n".join(problems)


def test_every_run_counts_the_same() -> None:
    one, other = (counts_of("pass-through") for _ in range(2))
    assert one.instructions == other.instructions > 1000
    assert one.functions == other.functions


def test_a_scenario_that_cannot_be_played_is_an_error_with_its_cause() -> None:
    with pytest.raises(CountingFailed, match=r"scenario 'none' ended with status 1:\n(.*\n)*KeyError: 'none'"):
        counts_of("none")


def test_instructions_and_calls_are_those_of_each_function() -> None:
    def work(times: int) -> list[int]:
        return sorted(len(str(n)) for n in range(times))

    async def once(times: int) -> None:
        work(times)

    few, more = (asyncio.run(count(lambda times=times: once(times), 10)) for times in (5, 105))  # type: ignore[misc]
    name = next(name for name in few.functions if name.endswith(".work"))
    assert few.functions[name][1:] == more.functions[name][1:] == [1, 1]  # one call of it, and it calls `sorted`
    assert few.functions[name][0] == more.functions[name][0] > 5
    inner = f"{name}.<locals>.<genexpr>"
    assert [more.functions[inner][i] - few.functions[inner][i] for i in (1, 2)] == [100, 100]  # it goes on, and calls `len`
    assert more.instructions - few.instructions == more.functions[inner][0] - few.functions[inner][0] > 500
    assert more.peak_bytes > few.peak_bytes


def test_a_tenth_more_is_said_with_what_grew_most() -> None:
    functions = {"a.py:f": [601.0, 70.0, 20.0], "c.py:new": [500.0, 51.0, 0.0]}
    dearer = replace(BEFORE, instructions=1101, calls=121, peak_bytes=5000, functions=functions)
    instructions, calls, memory = findings({"s": BEFORE}, {"s": dearer})
    assert "scenario 's': 1,101 instructions a request, 1,000 are expected (+10.1%)" in instructions
    assert re.findall(r"[+-]\d+  .*", instructions) == [
        "+500         0 ->      500  c.py:new",
        "+1       600 ->      601  a.py:f",
        "-400       400 ->        0  b.py:g",
    ]
    assert "121 calls a request, 100 are expected (+21.0%)" in calls
    assert re.findall(r"[+-]\d+  .*", calls) == [
        "+51         0 ->       51  c.py:new",
        "+10        60 ->       70  a.py:f",
        "-40        40 ->        0  b.py:g",
    ]
    assert "5,000 bytes at the most a request, 4,000 are expected (+25.0%)" in memory and "\n" not in memory


@pytest.mark.parametrize("figure", ["instructions", "calls", "c_calls", "peak_bytes"])
def test_every_figure_is_held_to_a_tenth_either_way(figure: str) -> None:
    expected = getattr(BEFORE, figure)
    for factor, problems in ((0.89, 1), (0.91, 0), (1.0, 0), (1.09, 0), (1.11, 1)):
        assert len(findings({"s": BEFORE}, {"s": replace(BEFORE, **{figure: factor * expected})})) == problems


def test_a_tenth_less_asks_for_new_counts() -> None:
    (said,) = findings({"s": BEFORE}, {"s": replace(BEFORE, calls=80)})
    assert "80 calls a request, 100 are expected (-20.0%)" in said and "python -m benchmarks.hot_path --update" in said


def test_a_new_scenario_asks_for_counts() -> None:
    assert "scenario 'new' has no counts" in findings({"s": BEFORE}, {"new": BEFORE})[0]


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    tiny = {"d.py:tiny": [3.0, 1.0, 0.0]}  # not worth a line
    write(tmp_path / "counts.json", {"s": replace(BEFORE, functions=BEFORE.functions | tiny)})
    assert read(tmp_path / "counts.json") == {"s": BEFORE}
    assert len((tmp_path / "counts.json").read_text().splitlines()) == 12
