"""What was saved against the baseline, and how sure that is. Pure: sums of a period's traffic in blocks in, an interval out.

Only like is compared with like. What answered in the baseline's place saved its price only as far as the answer was as good:

- an answer from the cache or of a FAQ counts, less the share of its kind that audits and feedback found wrong, from
  SAID_OF_HITS_MIN opinions on;
- a model's answers that were cheaper than the baseline's count by the share of good ones among those that somebody judged, from
  SAID_MIN on. With fewer their saving is unproven, and stands apart;
- what cost as much as the baseline or more counts as it is, and so does all that was paid besides: failed tries, overhead,
  audits, refreshes, idle machines;
- a failed answer saved nothing, and what was paid for it is lost, unless the baseline's price was no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from gateway.report.said import Answered, Opinions

DRAWS: Final = 2_000
SAID_MIN: Final = 30  # opinions on the answers of one route and model
SAID_OF_HITS_MIN: Final = 5  # opinions on the hits of a route: they were right unless somebody says otherwise
REQUESTS_MIN: Final = 30
BLOCKS_MIN: Final = 24
COLUMNS_MAX: Final = 512  # how many are drawn at a time

UNJUDGED: Final = "not enough data: whether anything was saved hangs on cheaper models' answers, which too few people judged"

Kind = Literal["answer", "failed", "upkeep", "fixed"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Cells:
    """Sums of nano-USD of entries of one line, kind and block each. Made by gateway.report.cells.

    kind: `upkeep` is what the gateway asked on its own account, `fixed` what no traffic moved, as idle machines.
    requests: the callers'. baseline, cost: of the entries of which both are known; overhead: of all. unit: what a block is.
    """

    unit: str
    names: list[str] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    baseline: list[int] = field(default_factory=list)
    cost: list[int] = field(default_factory=list)
    overhead: list[int] = field(default_factory=list)

    def add(
        self,
        name: str,
        answered: Answered,
        kind: Kind,
        block: int,
        *,
        requests: int = 0,
        baseline: int = 0,
        cost: int = 0,
        overhead: int = 0,
    ) -> None:
        said = (name, answered, kind, block, requests, baseline, cost, overhead)
        lists = (self.names, self.answered, self.kinds, self.blocks, self.requests, self.baseline, self.cost, self.overhead)
        for list_, value in zip(lists, said, strict=True):
            list_.append(value)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Savings:
    """Nano-USD. saved: net of everything; low, high: its 95 % interval. None where there is not enough data, which reason says.

    unproven: what besides was saved if answers that nobody judged were as good as the baseline's.
    """

    saved_nusd: int | None
    low_nusd: int | None
    high_nusd: int | None
    unproven_nusd: int
    requests: int
    method: str | None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """In dollars."""
        money = {"saved": self.saved_nusd, "low": self.low_nusd, "high": self.high_nusd, "unproven": self.unproven_nusd}
        dollars = {f"{name}_usd": None if nusd is None else nusd / 1e9 for name, nusd in money.items()}
        said = {} if self.reason is None else {"reason": self.reason}
        return {**dollars, "method": self.method, "requests": self.requests, **said}


def savings(
    cells: Cells, opinions: Mapping[Answered, Opinions], *, are_times: bool = False, seed: int = 0
) -> tuple[dict[str, Savings], Savings]:
    """The savings of each line by its name, and of all together.

    are_times: the lines are times, so that each has its own blocks. The interval is that of the percentiles of DRAWS bootstrap
    samples of the blocks (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13), each with a quality of
    the answers drawn from what was said of them: Beta(good + ½, bad + ½), Jeffreys' posterior.
    """
    if not cells.names:
        return {}, _too_little(0, 0)
    table = _Table(cells, opinions)
    rng = np.random.default_rng(seed)
    weights = cache(lambda count: _weights(rng, count))
    quality = {group: rng.beta(said.good + 0.5, said.bad + 0.5, DRAWS) for group, said in table.judged.items()}
    whole = _of(table, np.arange(len(cells.names)), {0: "total"}, np.zeros(len(cells.names), dtype=np.int64), quality, weights)
    index = {name: i for i, name in enumerate(dict.fromkeys(cells.names))}
    line = np.array([index[name] for name in cells.names], dtype=np.int64)
    named = {i: name for name, i in index.items()}
    if not are_times:
        return _of(table, np.arange(len(cells.names)), named, line, quality, weights), whole["total"]
    found: dict[str, Savings] = {}
    for i, name in named.items():
        own = np.flatnonzero(line == i)
        found |= _of(table, own, {0: name}, np.zeros(len(own), dtype=np.int64), quality, weights)
    return found, whole["total"]


class _Table:
    """The cells as arrays, and how each kind of answer counts. judged: the answers whose quality is uncertain, by group."""

    def __init__(self, cells: Cells, opinions: Mapping[Answered, Opinions]) -> None:
        keys = list(zip(cells.answered, cells.kinds, strict=True))
        index = {key: i for i, key in enumerate(sorted(set(keys)))}  # drawn in one order by whatever the lines are
        self.group = np.array([index[key] for key in keys], dtype=np.int64)
        self.requests, self.baseline, self.cost, self.overhead = (
            np.array(values, dtype=np.int64) for values in (cells.requests, cells.baseline, cells.cost, cells.overhead)
        )
        self.block = np.array(cells.blocks, dtype=np.int64)
        self.is_fixed = np.array([kind == "fixed" for kind in cells.kinds])
        self.unit = cells.unit
        gross = np.zeros(len(index), dtype=np.int64)
        np.add.at(gross, self.group, self.baseline - self.cost)
        self.judged: dict[int, Opinions] = {}
        unproven, void = np.zeros(len(index), dtype=bool), np.zeros(len(index), dtype=bool)
        for (answered, kind), i in index.items():
            said = opinions.get(answered, Opinions())
            if gross[i] <= 0 or kind in ("upkeep", "fixed"):
                continue
            if kind == "failed":
                void[i] = True
            elif said.good + said.bad >= (SAID_MIN if answered.model else SAID_OF_HITS_MIN):
                self.judged[i] = said
            elif answered.model:
                unproven[i] = True
        self.is_unproven, is_void = unproven[self.group], void[self.group]
        self.is_judged = np.isin(self.group, list(self.judged))
        counted = np.where(self.is_judged | is_void, -self.cost, self.baseline - self.cost)
        self.known = np.where(self.is_unproven, 0, counted) - self.overhead


def _of(
    table: _Table,
    cells: Ints,
    named: Mapping[int, str],
    line: Ints,
    quality: Mapping[int, Floats],
    weights: Callable[[int], Floats],
) -> dict[str, Savings]:
    """The savings of lines that share their blocks. cells: which ones; line: of each of them."""
    lines = len(named)
    requests, unproven, exact = (np.zeros(lines, dtype=np.int64) for _ in range(3))
    np.add.at(requests, line, table.requests[cells])
    np.add.at(unproven, line, np.where(table.is_unproven[cells], table.baseline[cells] - table.cost[cells], 0))
    np.add.at(exact, line, table.known[cells])
    is_fixed = table.is_fixed[cells]
    moving, line_of = cells[~is_fixed], line[~is_fixed]
    constant = np.zeros(lines)
    np.add.at(constant, line[is_fixed], table.known[cells[is_fixed]])
    drawn = np.tile(constant, (DRAWS, 1))
    blocks, block = np.unique(table.block[moving], return_inverse=True)
    count = len(blocks)
    saved = exact.astype(np.float64)
    if count:
        for first in range(0, lines, COLUMNS_MAX):
            some = (line_of >= first) & (line_of < first + COLUMNS_MAX)
            width = min(COLUMNS_MAX, lines - first)
            drawn[:, first : first + width] += weights(count) @ _spread(
                table.known[moving][some], block[some], line_of[some] - first, count, width
            )
        for group in quality:
            some = table.group[moving] == group
            there, column = np.unique(line_of[some], return_inverse=True)
            if len(there):
                value = _spread(table.baseline[moving][some], block[some], column, count, len(there))
                drawn[:, there] += (weights(count) @ value) * quality[group][:, None]
                said = table.judged[group]
                saved[there] += value.sum(axis=0) * (said.good / (said.good + said.bad))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    method = f"bootstrap over {count} {table.unit}, {DRAWS} draws, 95 % percentile interval"
    found: dict[str, Savings] = {}
    for i, name in named.items():
        if requests[i] < REQUESTS_MIN or count < BLOCKS_MIN:
            found[name] = _too_little(int(requests[i]), int(unproven[i]))
            continue
        point = round(float(saved[i]))
        if point <= 0 < point + unproven[i]:
            found[name] = Savings(None, None, None, int(unproven[i]), int(requests[i]), None, UNJUDGED)
            continue
        # With all opinions alike, the share itself lies outside the middle 95 % of what it may be.
        ends = (min(round(float(low[i])), point), max(round(float(high[i])), point))
        found[name] = Savings(point, *ends, int(unproven[i]), int(requests[i]), method)
    return found


def _weights(rng: np.random.Generator, count: int) -> Floats:
    """How often each of so many blocks is drawn, with replacement, DRAWS times over."""
    drawn = rng.integers(count, size=(DRAWS, count)) + np.arange(DRAWS)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=DRAWS * count).reshape(DRAWS, count).astype(np.float64)


def _spread(values: Ints, block: Ints, column: Ints, blocks: int, columns: int) -> Floats:
    """The values summed up by block and column."""
    summed = np.bincount(block * columns + column, weights=values, minlength=blocks * columns)
    return summed.astype(np.float64, copy=False).reshape(blocks, columns)


def _too_little(requests: int, unproven: int) -> Savings:
    if requests < REQUESTS_MIN:
        reason = f"not enough data: {requests} requests, {REQUESTS_MIN} are needed"
    else:
        reason = f"not enough data: its {requests} requests came in too few hours"
    return Savings(None, None, None, unproven, requests, None, reason)


def judged_by(
    opinions: Mapping[tuple[str, Answered], Opinions], audits: Sequence[tuple[str, int, int]]
) -> dict[Answered, Opinions]:
    """All that was said of what answered: feedback of every line, and the verdicts of audits as (route, right, wrong)."""
    found: dict[Answered, Opinions] = {}
    for (_, answered), said in opinions.items():
        _add(found, answered, said.good, said.bad)
    for route, right, wrong in audits:
        _add(found, Answered(route, hit="hit-semantic"), right, wrong)
    return found


def _add(found: dict[Answered, Opinions], answered: Answered, good: int, bad: int) -> None:
    said = found.setdefault(answered, Opinions())
    said.good += good
    said.bad += bad
