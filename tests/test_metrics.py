"""What `GET /metrics` tells, and that counting costs next to nothing."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.attempt import Attempt
from gateway.edge.metrics import metrics_routes
from gateway.exposition import exposition
from gateway.metrics import COUNTERS, GAUGES, Metrics
from tests.api_routes import client_of

OPENMETRICS = "application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5"


def used() -> Metrics:
    metrics = Metrics()
    metrics.answered("easy", "ok", [Attempt("p", "small", "timeout"), Attempt("p", "large", "ok")])
    metrics.answered("easy", "ok", [Attempt("p", "large", "ok")])
    metrics.answered(None, "refused", [])
    for outcome in ("hit-exact", "hit-semantic", "miss", "miss", "bypass"):
        metrics.looked_up("easy", outcome)
    metrics.looked_up("hard", "miss")
    metrics.store_failed("timeout")
    metrics.audited("easy", "right")
    metrics.audited("easy", "wrong")
    metrics.precision("easy", 0.5)
    metrics.precision("easy", 0.75)
    metrics.alarm("easy", True)
    metrics.alarm("hard", True)
    metrics.alarm("hard", False)
    return metrics


EXPECTED = {
    ("turnout_requests_total", ("ok", "easy")): 2.0,
    ("turnout_requests_total", ("refused", "(none)")): 1.0,
    ("turnout_attempts_total", ("small", "timeout")): 1.0,
    ("turnout_attempts_total", ("large", "ok")): 2.0,
    ("turnout_cache_lookups_total", ("hit-exact", "easy")): 1.0,
    ("turnout_cache_lookups_total", ("hit-semantic", "easy")): 1.0,
    ("turnout_cache_lookups_total", ("miss", "easy")): 2.0,
    ("turnout_cache_lookups_total", ("bypass", "easy")): 1.0,
    ("turnout_cache_lookups_total", ("miss", "hard")): 1.0,
    ("turnout_cache_failures_total", ("timeout",)): 1.0,
    ("turnout_cache_audits_total", ("easy", "right")): 1.0,
    ("turnout_cache_audits_total", ("easy", "wrong")): 1.0,
    ("turnout_cache_precision", ("easy",)): 0.75,
    ("turnout_cache_alarm", ("easy",)): 1.0,
    ("turnout_cache_alarm", ("hard",)): 0.0,
}


@pytest.mark.parametrize(
    ("accept", "content_type"), [("", "text/plain; version=0.0.4"), (OPENMETRICS, "application/openmetrics-text; version=1.0.0")]
)
def test_a_scraper_reads_what_was_counted(accept: str, content_type: str) -> None:
    async def scrape() -> tuple[str, str]:
        async with client_of(metrics_routes(used())) as client:
            response = await client.get("/metrics", headers={"accept": accept})
            assert response.status_code == 200
            return response.text, response.headers["content-type"]

    text, said = asyncio.run(scrape())
    assert said.startswith(content_type) and said.count("charset=utf-8") == 1
    families = parse_openmetrics(text) if accept else text_string_to_metric_families(text)
    samples = {(s.name, tuple(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}
    assert samples == EXPECTED


def test_every_metric_is_there_before_anything_happened() -> None:
    body, _ = exposition(Metrics(), "")
    families = list(text_string_to_metric_families(body.decode()))
    assert {f.name for f in families} == {*COUNTERS, *GAUGES}
    assert all(f.name.startswith("turnout_") and f.documentation for f in families)


def test_two_gateways_in_one_process_count_apart() -> None:
    one, other = used(), Metrics()
    assert one.cache_by_route() == {"easy": {"hit-exact": 1, "hit-semantic": 1, "miss": 2, "bypass": 1}, "hard": {"miss": 1}}
    assert other.cache_by_route() == {}


def test_a_name_that_the_format_must_escape_comes_back_as_it_was() -> None:
    metrics = Metrics()
    metrics.looked_up('a"b\\c\nd', "miss")
    body, _ = exposition(metrics, "")
    (sample,) = [s for f in text_string_to_metric_families(body.decode()) for s in f.samples]
    assert sample.labels["route"] == 'a"b\\c\nd'


def test_counting_costs_about_a_microsecond() -> None:
    metrics = Metrics()

    def batch_s() -> float:
        started = time.perf_counter()
        for _ in range(10_000):
            metrics.looked_up("easy", "hit-exact")
        return (time.perf_counter() - started) / 10_000

    assert min(batch_s() for _ in range(5)) < 5e-6  # 0.4 µs on an idle machine
