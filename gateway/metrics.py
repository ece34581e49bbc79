"""Counts for Prometheus, with a registry of their own: what `GET /metrics` tells. Knows no HTTP.

Counting is an addition to a number in a dict; what Prometheus wants to see is made when it asks. Called from the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

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


class Counted(msgspec.Struct):
    """What one process has counted, as other processes read it: by name, then by label values or the one label."""

    counts: dict[str, list[tuple[tuple[str, ...], int]]]
    values: dict[str, dict[str, float]]


class Metrics(Collector):
    """Routes come from the policy, so that there is a bounded number of series.

    peers: what other processes of this gateway have counted, asked for at each scrape and told together with our own.
    states: gauges that are read off when somebody asks, by name and label.
    """

    def __init__(self) -> None:
        self.peers: Callable[[], Sequence[Counted]] = tuple
        self.states: Callable[[], Mapping[str, Mapping[str, float]]] = dict
        self._counts: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in COUNTERS}
        self._values: dict[str, dict[str, float]] = {name: {} for name in GAUGES}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, route: str | None, outcome: str, attempts: Iterable[tuple[str, str]]) -> None:
        """A request has ended. outcome: as in its ledger entry. attempts: model and outcome of each."""
        self._count("turnout_requests", (route or NO_ROUTE, outcome))
        for attempt in attempts:
            self._count("turnout_attempts", attempt)

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

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The text that a scraper reads, and its content type. accept: the scraper's header of that name."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def counted(self) -> Counted:
        """Everything of this process as it stands."""
        counts = {name: list(counts.items()) for name, counts in self._counts.items()}
        return Counted(counts, self._all_values())

    def resume(self, earlier: Counted) -> None:
        """Go on from what the process counted whose place this one takes. Its gauges ended with it."""
        _add(self._counts, {}, earlier)

    def collect(self) -> Iterator[Metric]:
        """For the registry: everything as it stands, of all processes."""
        all_counts = {name: dict(counts) for name, counts in self._counts.items()}
        all_values = self._all_values()
        for peer in self.peers():
            _add(all_counts, all_values, peer)
        for name, (help_, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, help_, labels=labels)
            for values, count in all_counts[name].items():
                counter.add_metric(values, count)
            yield counter
        for name, (help_, label, _) in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_, labels=(label,))
            for of, value in all_values[name].items():
                gauge.add_metric((of,), value)
            yield gauge

    def _all_values(self) -> dict[str, dict[str, float]]:
        values = {name: dict(values) for name, values in self._values.items()}
        return values | {name: dict(values) for name, values in self.states().items()}

    def _count(self, name: str, labels: tuple[str, ...]) -> None:
        counts = self._counts[name]
        counts[labels] = counts.get(labels, 0) + 1


def _add(counts: dict[str, dict[tuple[str, ...], int]], values: dict[str, dict[str, float]], more: Counted) -> None:
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
