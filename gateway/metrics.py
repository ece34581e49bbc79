"""Counts for Prometheus, with a registry of their own: what `GET /metrics` tells. Knows no HTTP.

Counting is an addition to a number in a dict; what Prometheus wants to see is made when it asks. Called from the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

NO_ROUTE: Final = "(none)"  # of requests refused before a route was found, as in `turnout spend`

# By name without the `_total` that all of them end in: help and labels.
COUNTERS: Final = {
    "turnout_requests": ("Requests answered or refused.", ("route", "outcome")),
    "turnout_cache_lookups": ("What the cache had to say.", ("route", "outcome")),
    "turnout_cache_failures": ("Calls of the cache's store that failed.", ("cause",)),
    "turnout_cache_audits": ("Semantic hits asked upstream too, by what their answer turned out to be.", ("route", "verdict")),
}
GAUGES: Final = {
    "turnout_cache_precision": "Share of the route's lately audited semantic hits that were right.",
    "turnout_cache_alarm": "1 while more of the route's audited hits are wrong than its false_hit_budget allows.",
}


class Metrics(Collector):
    """Routes come from the policy, so that there is a bounded number of series."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in COUNTERS}
        self._values: dict[str, dict[str, float]] = {name: {} for name in GAUGES}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, route: str | None, outcome: str) -> None:
        """A request has ended. outcome: as in its ledger entry."""
        self._count("turnout_requests", (route or NO_ROUTE, outcome))

    def looked_up(self, route: str, outcome: str) -> None:
        """outcome: hit-exact, hit-semantic, miss or bypass."""
        self._count("turnout_cache_lookups", (route, outcome))

    def store_failed(self, cause: str) -> None:
        """cause: of a StoreUnavailable."""
        self._count("turnout_cache_failures", (cause,))

    def audited(self, route: str, verdict: str) -> None:
        """verdict: right, wrong or unsure."""
        self._count("turnout_cache_audits", (route, verdict))

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

    def collect(self) -> Iterator[Metric]:
        """For the registry: everything as it stands."""
        for name, (help_, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, help_, labels=labels)
            for values, count in self._counts[name].items():
                counter.add_metric(values, count)
            yield counter
        for name, help_ in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_, labels=("route",))
            for route, value in self._values[name].items():
                gauge.add_metric((route,), value)
            yield gauge

    def _count(self, name: str, labels: tuple[str, ...]) -> None:
        counts = self._counts[name]
        counts[labels] = counts.get(labels, 0) + 1
