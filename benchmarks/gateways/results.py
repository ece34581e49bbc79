"""What a run has found, as it stands in results.json, and the figures that are made of it. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks.gateways.workloads import CHUNKS, CURVE, LATENCY, THROUGHPUT, TTFT

DIRECT = "direct"
Row = dict[str, float | None]  # a figure's value by its key; None where there is nothing to tell


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one contender. Percentiles in ms, by name ("p50"); empty without answers.

    seconds: how long answers were counted, `counted` of them, and `events` of streams; answers: all whole ones, the warm-up's
    included.
    cpu_s: the contender's CPU seconds for `answers`, what it did after the last one included; None for the provider itself.
    upstream_requests, upstream_chunks: what the provider sent meanwhile.
    """

    seconds: float
    counted: int
    answers: int
    events: int
    problems: dict[str, int]
    latency_ms: dict[str, float]
    ttft_ms: dict[str, float]
    cpu_s: float | None
    upstream_requests: int
    upstream_chunks: int


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One contender, started afresh. start_s: from its start to its first answer. Memory: resident, of all its processes."""

    start_s: float | None
    rss_idle_mib: float | None
    rss_after_mib: float | None
    loads: dict[str, Loaded]


class About(msgspec.Struct, frozen=True):
    what: str
    version: str
    is_ours: bool = False


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """stolen: the share of the cores' time that the virtual machine's host gave to others during the run, 0 to 1."""

    cpu: str
    cores: int
    kernel: str
    python: str
    is_optimised: bool
    load_before: float
    stolen: float = 0.0


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """commit: with "+" where files differed from it. left_out: why, by name. rounds: each by contender's name."""

    date: str
    commit: str
    command: str
    seconds: float
    machine: Machine
    contenders: dict[str, About]
    left_out: dict[str, str]
    rounds: list[dict[str, Round]]


class Figure(msgspec.Struct, frozen=True):
    """digits: after the point. is_more_better: for ratios."""

    heading: str
    digits: int
    is_more_better: bool = False


REQUESTS = {
    "c32_cpu": Figure("CPU s/1k, c32", 3),
    "c32_rps": Figure("req/s, c32", 0, True),
    "c128_cpu": Figure("CPU s/1k, c128", 3),
    "c128_rps": Figure("req/s, c128", 0, True),
    "r200_added_p50": Figure("+p50 ms, 200/s", 2),
    "r200_added_p99": Figure("+p99 ms, 200/s", 2),
}
STREAMS = {
    "s20_added_p50": Figure("+TTFT p50 ms", 2),
    "s20_added_p99": Figure("+TTFT p99 ms", 2),
    "s50_cpu": Figure("CPU s/1k chunks", 4),
    "s50_chunks": Figure("chunks/s", 0, True),
}
SIZE = {
    "rss_idle": Figure("RSS idle MiB", 0),
    "rss_after": Figure("RSS after MiB", 0),
    "start": Figure("start s", 2),
    "errors": Figure("errors", 0),
}
CURVE_FIGURES = {
    f"c{concurrency}_added_{share}": Figure(f"+{share} ms, c{concurrency}", 2)
    for share in ("p50", "p99")
    for concurrency in CURVE
}
FIGURES = {**REQUESTS, **STREAMS, **SIZE, **CURVE_FIGURES}
# Small differences of two latencies are noise, and a ratio of two of them more so.
COMPARED = ("c32_cpu", "c32_rps", "c128_cpu", "c128_rps", "s50_cpu", "rss_idle", "start")


def percentiles(values_s: Sequence[float]) -> dict[str, float]:
    """Of values in seconds, in ms: the smallest value that the share of all is not above (nearest rank)."""
    ordered = sorted(values_s)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {name: ordered[math.ceil(len(ordered) * share) - 1] for name, share in shares.items()}
    return {name: round(value * 1000, 4) for name, value in {**found, "max": ordered[-1]}.items()}


def row(found: Round, direct: Round) -> Row:
    """A contender's figures of one round; latencies are less those of `direct` in the same round."""
    loads = found.loads
    figures: Row = dict.fromkeys(FIGURES)
    for name, load in loads.items():
        if name in THROUGHPUT:
            figures[f"{name}_rps"] = load.counted / load.seconds
            figures[f"{name}_cpu"] = _per_1k(load.cpu_s, load.answers)
    for name in (LATENCY, *(f"c{concurrency}" for concurrency in CURVE)):
        for share in ("p50", "p99"):
            figures[f"{name}_added_{share}"] = _less(loads, direct.loads, name, share, lambda load: load.latency_ms)
    for share in ("p50", "p99"):
        figures[f"{TTFT}_added_{share}"] = _less(loads, direct.loads, TTFT, share, lambda load: load.ttft_ms)
    if CHUNKS in loads:
        streams = loads[CHUNKS]
        figures["s50_chunks"] = streams.events / streams.seconds
        figures["s50_cpu"] = _per_1k(streams.cpu_s, streams.upstream_chunks)
    figures["rss_idle"], figures["rss_after"], figures["start"] = found.rss_idle_mib, found.rss_after_mib, found.start_s
    figures["errors"] = sum(sum(load.problems.values()) for load in loads.values())
    return figures


def _per_1k(cpu_s: float | None, count: int) -> float | None:
    return 1000 * cpu_s / count if cpu_s is not None and count else None


def _less(
    loads: Mapping[str, Loaded], direct: Mapping[str, Loaded], name: str, share: str, of: Callable[[Loaded], Mapping[str, float]]
) -> float | None:
    mine, base = (of(each[name]).get(share) if name in each else None for each in (loads, direct))
    return mine - base if mine is not None and base is not None else None


def medians(results: Results) -> dict[str, Row]:
    """Of each contender over the rounds that it was measured in; errors are added up."""
    table: dict[str, Row] = {}
    for name in results.contenders:
        rows = [row(found[name], found[DIRECT]) for found in results.rounds if name in found]
        if rows:
            columns = {key: [value for each in rows if (value := each[key]) is not None] for key in FIGURES}
            table[name] = {key: statistics.median(values) if values else None for key, values in columns.items()}
            table[name]["errors"] = sum(columns["errors"])
    return table


def ratios(table: Mapping[str, Row], name: str) -> dict[str, Row]:
    """How many times better this contender is than each other, by what COMPARED names; under 1 where it is worse."""
    found: dict[str, Row] = {}
    for other, theirs in table.items():
        if other not in (name, DIRECT):
            found[other] = {key: _better(key, table[name][key], theirs[key]) for key in COMPARED}
    return found


def _better(key: str, mine: float | None, theirs: float | None) -> float | None:
    if not mine or not theirs:
        return None
    return mine / theirs if FIGURES[key].is_more_better else theirs / mine


def load_results(data: bytes) -> Results:
    """Raises msgspec.ValidationError for anything else than what `dump_results` gives."""
    return msgspec.json.decode(data, type=Results)


def dump_results(results: Results) -> bytes:
    """JSON with a line for each contender of a round, short enough to keep beside the page and to compare two of."""
    fields = msgspec.to_builtins(results)
    rounds = fields.pop("rounds")
    head = [f"{_json(name)}: {_json(value)}" for name, value in fields.items()]
    bodies = ["{\n" + ",\n".join(f"{_json(name)}: {_json(found)}" for name, found in each.items()) + "\n}" for each in rounds]
    return ("{\n" + ",\n".join([*head, '"rounds": [' + ", ".join(bodies) + "]"]) + "\n}\n").encode()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
