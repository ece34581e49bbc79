"""What a scraper reads of the metrics. Apart from them, as only a scrape needs prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway.metrics import COUNTERS, GAUGES, Metrics


def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The text that a scraper reads, and its content type. accept: the scraper's header of that name."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Families(metrics))
    return encode(registry), content_type


class _Families(Collector):
    """For the registry: everything as it stands."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        all_counts, all_values = self._metrics.all()
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
