"""Counts for Prometheus: what `GET /metrics` tells, for which gateway/exposition.py writes it down. Knows no HTTP.

Counting is an addition to a number in a dict. Called from the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import add
from typing import Final, Protocol

import msgspec

NO_ROUTE: Final = "(none)"  # of requests refused before a route was found, as in `turnout spend`

# By name without the `_total` that all of them end in: help and labels.
COUNTERS: Final = {
    "turnout_requests": ("Requests answered or refused.", ("route", "outcome")),
    "turnout_attempts": ("Calls of models for requests, as the ledger has them.", ("model", "outcome")),
    "turnout_cache_lookups": ("What the cache had to say.", ("route", "outcome")),
    "turnout_cache_failures": ("Calls of the cache's store that failed.", ("cause",)),
    "turnout_cache_audits": ("Semantic hits asked upstream too, by what their answer turned out to be.", ("route", "verdict")),
    "turnout_limits_refused": ("Requests, and attempts at a model, that a rate limit did not let through.", ("per",)),
    "turnout_budget_reached": ("Requests that met a budget which refused them or sent them elsewhere.", ("budget",)),
    "turnout_budgets_failures": ("Calls of the budgets' store that failed.", ("cause",)),
    "turnout_alerts": ("Alerts of budgets, by what became of them.", ("outcome",)),
    "turnout_breaker_openings": ("Times calls to a model, or to a whole provider, were stopped.", ("breaker",)),
    "turnout_limits_failures": ("Calls of the limits' store that failed.", ("cause",)),
    "turnout_responses_failures": ("Calls of the responses' store that failed.", ("cause",)),
}
# By name: help, label, and what is told of several processes' values: the worst of them, or their sum.
GAUGES: Final[dict[str, tuple[str, str, Callable[[float, float], float]]]] = {
    "turnout_cache_precision": ("Share of the route's lately audited semantic hits that were right.", "route", min),
    "turnout_cache_alarm": ("1 while more of the route's audited hits are wrong than its false_hit_budget allows.", "route", max),
    "turnout_budget_spent": ("Share of the budget that is spent, by the one who has spent most of it.", "budget", max),
    "turnout_breaker_open": ("1 while calls to the model are stopped because it, or its provider, fails.", "model", max),
    "turnout_latency_guard": ("1 while the model is slower than a route's latency_guard allows.", "model", max),
    "turnout_in_flight": ("Calls of the model under way.", "model", add),
    "turnout_output_tokens_per_second": ("What is normal for the model's streams, once it is known.", "model", max),
    "turnout_queue_waiting": ("Calls that wait for a place at the provider or at a model of it.", "provider", add),
}


Counts = dict[str, dict[tuple[str, ...], int]]
Values = dict[str, dict[str, float]]


class Counted(msgspec.Struct):
    """What one process has counted, as other processes read it: by name, then by label values or the one label."""

    counts: dict[str, list[tuple[tuple[str, ...], int]]]
    values: dict[str, dict[str, float]]


class Call(Protocol):
    """A call of a model for a request."""

    @property
    def model(self) -> str: ...
    @property
    def outcome(self) -> str: ...


class Metrics:
    """Routes come from the policy, so that there is a bounded number of series.

    peers: what other processes of this gateway have counted, asked for at each scrape and told together with our own.
    states: gauges that are read off when somebody asks, by name and label.
    """

    def __init__(self) -> None:
        self.peers: Callable[[], Sequence[Counted]] = tuple
        self.states: Callable[[], Mapping[str, Mapping[str, float]]] = dict
        self._counts: Counts = {name: {} for name in COUNTERS}
        self._values: Values = {name: {} for name in GAUGES}
        self._requests, self._attempts = self._counts["turnout_requests"], self._counts["turnout_attempts"]

    def answered(self, route: str | None, outcome: str, attempts: Sequence[Call]) -> None:
        """A request has ended. route, outcome: as in its ledger entry."""
        requests, key = self._requests, (route or NO_ROUTE, outcome)
        requests[key] = requests.get(key, 0) + 1
        for attempt in attempts:
            key = (attempt.model, attempt.outcome)
            self._attempts[key] = self._attempts.get(key, 0) + 1

    def looked_up(self, route: str, outcome: str) -> None:
        """outcome: hit-exact, hit-semantic, miss or bypass."""
        self._count("turnout_cache_lookups", (route, outcome))

    def store_failed(self, cause: str) -> None:
        """cause: of a StoreUnavailable."""
        self._count("turnout_cache_failures", (cause,))

    def audited(self, route: str, verdict: str) -> None:
        """verdict: right, wrong or unsure."""
        self._count("turnout_cache_audits", (route, verdict))

    def limited(self, per: str) -> None:
        """per: key, team or model, whose limit was spent."""
        self._count("turnout_limits_refused", (per,))

    def limits_failed(self, cause: str) -> None:
        """cause: of a StoreUnavailable."""
        self._count("turnout_limits_failures", (cause,))

    def responses_failed(self, cause: str) -> None:
        """cause: of a StoreUnavailable."""
        self._count("turnout_responses_failures", (cause,))

    def budget_reached(self, budget: str) -> None:
        """budget: a rule of the policy, in its words."""
        self._count("turnout_budget_reached", (budget,))

    def budgets_failed(self, cause: str) -> None:
        """cause: of a StoreUnavailable."""
        self._count("turnout_budgets_failures", (cause,))

    def alerted(self, outcome: str) -> None:
        """outcome: sent, failed, dropped or logged."""
        self._count("turnout_alerts", (outcome,))

    def breaker_opened(self, breaker: str) -> None:
        """breaker: a model's, as provider/id, or a whole provider's."""
        self._count("turnout_breaker_openings", (breaker,))

    def precision(self, route: str, value: float) -> None:
        """The share of the route's audited hits that were right."""
        self._values["turnout_cache_precision"][route] = value

    def alarm(self, route: str, is_on: bool) -> None:
        """Whether the route's measured precision has left its budget."""
        self._values["turnout_cache_alarm"][route] = float(is_on)

    def cache_by_route(self) -> dict[str, dict[str, int]]:
        """The look-ups of each route, by outcome, since the start."""
        routes: dict[str, dict[str, int]] = {}
        for (route, outcome), count in self._counts["turnout_cache_lookups"].items():
            routes.setdefault(route, {})[outcome] = count
        return routes

    def counted(self) -> Counted:
        """Everything of this process as it stands."""
        counts = {name: list(counts.items()) for name, counts in self._counts.items()}
        return Counted(counts, self._all_values())

    def resume(self, earlier: Counted) -> None:
        """Go on from what the process counted whose place this one takes. Its gauges ended with it."""
        _add(self._counts, {}, earlier)

    def all(self) -> tuple[Counts, Values]:
        """Everything as it stands, of all processes."""
        counts = {name: dict(counts) for name, counts in self._counts.items()}
        values = self._all_values()
        for peer in self.peers():
            _add(counts, values, peer)
        return counts, values

    def _all_values(self) -> Values:
        values = {name: dict(values) for name, values in self._values.items()}
        return values | {name: dict(values) for name, values in self.states().items()}

    def _count(self, name: str, labels: tuple[str, ...]) -> None:
        counts = self._counts[name]
        counts[labels] = counts.get(labels, 0) + 1


def _add(counts: Counts, values: Values, more: Counted) -> None:
    """Counters add up, gauges as each of them says. Names that another version counted are left out."""
    for name, series in more.counts.items():
        if name in counts:
            for labels, count in series:
                counts[name][labels] = counts[name].get(labels, 0) + count
    for name, by_label in more.values.items():
        if name in values:
            together = GAUGES[name][2]
            for of, value in by_label.items():
                known = values[name].get(of)
                values[name][of] = value if known is None else together(known, value)
