"""What is told of each scenario: a line a figure, with its goal and whether Turnout reached it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.chaos import figures
from benchmarks.chaos.client import Verdict
from benchmarks.chaos.run import Run
from benchmarks.chaos.scenarios import COOLDOWN_S, PLAIN, TURNOUT

WHOLE_MIN = 0.9995
SPIKE_MAX = 1.5
CUT_MAX = 0.5
HEDGES_MAX = 0.05
RETURNED_MIN = 0.9
MOVED_MAX = 0.01
SETTLE_S = 3.0 * COOLDOWN_S
BUSY_MS = 25.0


@dataclass(frozen=True)
class Line:
    """values: by contender, as shown. is_reached: by Turnout; None where there is no goal."""

    scenario: str
    figure: str
    values: Mapping[str, str]
    goal: str = ""
    is_reached: bool | None = None
    numbers: Mapping[str, float | None] = field(default_factory=dict)


Show = Callable[[float], str]
Measure = Callable[[Run], float | None]


def lines(scenario: str, runs: Sequence[Run]) -> list[Line]:
    """Of one scenario, all of whose runs these are."""
    by_name = {run.contender: run for run in runs}
    told = [_line(by_name, "questions", lambda run: len(run.records), _integer), *_integrity(by_name)]
    return told + {"outage": _outage, "spike": _spike, "tail": _tail, "drip": _drip}[scenario](by_name)


def _line(
    runs: Mapping[str, Run],
    figure: str,
    measure: Measure,
    show: Show,
    goal: str = "",
    is_reached: Callable[[float], bool] | None = None,
) -> Line:
    numbers = {name: measure(run) for name, run in runs.items()}
    ours = numbers[TURNOUT]
    reached = None if is_reached is None else ours is not None and is_reached(ours)
    values = {name: "–" if number is None else show(number) for name, number in numbers.items()}
    return Line(runs[TURNOUT].scenario, figure, values, goal, reached, numbers)


def _integrity(runs: Mapping[str, Run]) -> list[Line]:
    def none(figure: str, verdict: Verdict) -> Line:
        return _line(runs, figure, lambda run: figures.count(run.records, verdict), _integer, "0", lambda n: n == 0)

    return [
        _line(
            runs, "answered whole", lambda run: figures.share_whole(run.records), _share2, "≥ 99.95 %", lambda s: s >= WHOLE_MIN
        ),
        none("falsely complete", "falsely complete"),
        none("hung", "hung"),
    ]


def _outage(runs: Mapping[str, Run]) -> list[Line]:
    return [
        _line(runs, "failed with an error", lambda run: figures.count(run.records, "failed"), _integer),
        _line(runs, "TTFT p50, ms", lambda run: figures.ttft_ms(run.records, 0.5), _integer),
        _line(runs, "TTFT p99, ms", lambda run: figures.ttft_ms(run.records, 0.99), _integer),
        _line(runs, "extra calls", figures.extra_calls, _share1),
        _line(runs, "extra cost", figures.extra_cost, _share1),
        _line(runs, "false failovers", lambda run: figures.false_failovers(run, SETTLE_S), _integer, "0", lambda n: n == 0),
        _line(runs, "first target back in use after, s", lambda run: figures.returned_after_s(run, "a"), _seconds),
        _line(runs, "CPU s per 1000 questions", lambda run: 1000 * run.cpu_s / len(run.records), _seconds),
    ]


def _spike(runs: Mapping[str, Run]) -> list[Line]:
    def during(run: Run) -> float | None:
        return figures.ttft_ms(figures.between(run.records, figures.span_of(run, "a", "slow")), 0.99)

    limit = SPIKE_MAX * figures.scripted_p99_ms(runs[TURNOUT], "b")

    def moved_before(run: Run) -> float | None:
        before = (0.0, figures.span_of(run, "a", "slow")[0])
        return 1 - figures.share_on(run, figures.between(run.records, before), "a")

    def returned(run: Run) -> float | None:
        end = figures.span_of(run, "a", "slow")[1]
        last_third = (end + (run.load.seconds - end) * 2 / 3, run.load.seconds)
        return figures.share_on(run, figures.between(run.records, last_third), "a")

    return [
        _line(runs, "TTFT p99 during the spike, ms", during, _integer, f"≤ {limit:.0f}", lambda ms: ms <= limit),
        _line(runs, "moved away before the spike", moved_before, _share1, "≤ 1 %", lambda s: s <= MOVED_MAX),
        _line(runs, "back on the first target", returned, _share1, "≥ 90 %", lambda s: s >= RETURNED_MIN),
    ]


def _tail(runs: Mapping[str, Run]) -> list[Line]:
    def p99(run: Run) -> float | None:
        return figures.ttft_ms(run.records, 0.99)

    limit = CUT_MAX * (p99(runs[PLAIN]) or 0.0)
    return [
        _line(runs, "TTFT p50, ms", lambda run: figures.ttft_ms(run.records, 0.5), _integer),
        _line(runs, "TTFT p99, ms", p99, _integer, "half", lambda ms: ms <= limit),
        _line(runs, "extra calls", figures.extra_calls, _share1, "≤ 5 %", lambda s: s <= HEDGES_MAX),
        _line(runs, "extra cost", figures.extra_cost, _share1),
    ]


def _drip(runs: Mapping[str, Run]) -> list[Line]:
    def p99(run: Run) -> float | None:
        return figures.quantile([record.took_s for record in run.records if record.verdict == "whole"], 0.99)

    limit = CUT_MAX * (p99(runs[PLAIN]) or 0.0)
    return [
        _line(runs, "TTFT p99, ms", lambda run: figures.ttft_ms(run.records, 0.99), _integer),
        _line(runs, "whole answer p99, s", p99, _seconds, "half", lambda s: s <= limit),
        _line(runs, "extra cost", figures.extra_cost, _share1),
    ]


def table(told: Sequence[Line], contenders: Sequence[str]) -> str:
    """All lines as one Markdown table."""
    headings = ["scenario", "figure", "goal", TURNOUT, "", *(name for name in contenders if name != TURNOUT)]
    rows, last = [headings, ["---"] * len(headings)], ""
    for line in told:
        mark = "" if line.is_reached is None else "✓" if line.is_reached else "✗"
        others = [line.values.get(name, "") for name in contenders if name != TURNOUT]
        scenario = line.scenario if line.scenario != last else ""
        rows.append([scenario, line.figure, line.goal, line.values.get(TURNOUT, ""), mark, *others])
        last = line.scenario
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def warnings(runs: Sequence[Run]) -> list[str]:
    """Where this machine was too busy for the latencies to mean much."""
    told = []
    for run in runs:
        lag, late, waited = figures.lag_ms(run, 0.99), figures.late_ms(run, 0.99), figures.waited_ms(run)
        if max(lag, late, waited) > BUSY_MS:
            told.append(
                f"{run.scenario}, {run.contender}: latencies mean little, for this machine was busy. Of a hundred questions one "
                f"left {lag:.0f} ms late, of a hundred answers one began {late:.0f} ms later than scripted, and for each "
                f"question the contender waited {waited:.0f} ms for a core"
            )
    return told


def _integer(value: float) -> str:
    return f"{value:.0f}"


def _share1(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _share2(value: float) -> str:
    return f"{value:.2%}".replace("%", " %")


def _seconds(value: float) -> str:
    return f"{value:.1f}"
