"""From rounds to figures: percentiles, what is added, medians, ratios, tables."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gateways.results import FIGURES, dump_results, load_results, medians, percentiles, ratios, row
from benchmarks.gateways.table import tables
from tests.benchmarks.made_results import found, loaded, made, without


def test_percentiles_are_values_that_occurred_by_nearest_rank() -> None:
    hundred = [number / 1000 for number in range(100, 0, -1)]
    assert percentiles(hundred) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 100.0, "max": 100.0}
    assert percentiles([0.002]) == {"p50": 2.0, "p90": 2.0, "p99": 2.0, "p99.9": 2.0, "max": 2.0}
    assert percentiles([]) == {}


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1))
def test_as_many_values_as_it_says_are_at_or_under_a_percentile(values: list[float]) -> None:
    found = percentiles(values)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        at_or_under = sum(round(value * 1000, 4) <= found[name] for value in values)
        assert at_or_under >= share * len(values)
    assert list(found.values()) == sorted(found.values())


def test_latencies_are_less_those_of_direct_and_cpu_is_for_a_thousand() -> None:
    figures = row(found(3.0, 0.5), found(1.0, None))
    assert figures["r200_added_p50"] == 2.0 and figures["r200_added_p99"] == 6.0
    assert figures["c64_added_p99"] == 6.0 and figures["s20_added_p50"] == 1.0
    assert figures["c32_rps"] == 500.0 and figures["c32_cpu"] == pytest.approx(0.4)
    assert figures["s50_chunks"] == 8000.0 and figures["s50_cpu"] == pytest.approx(0.025)


def test_direct_adds_nothing_and_has_no_cpu_of_its_own() -> None:
    figures = row(found(1.0, None), found(1.0, None))
    assert figures["r200_added_p50"] == 0.0 and figures["c32_cpu"] is None and figures["rss_idle"] is None


def test_what_was_not_answered_has_no_figure() -> None:
    silent = msgspec.structs.replace(loaded(1.0, 1.0), counted=0, answers=0, latency_ms={})
    one = msgspec.structs.replace(found(1.0, 1.0), loads={"c32": silent, "r200": silent})
    figures = row(one, found(1.0, None))
    assert figures["c32_rps"] == 0.0 and figures["c32_cpu"] is None
    assert figures["r200_added_p50"] is None and figures["c128_rps"] is None


def test_figures_are_medians_over_the_rounds_and_errors_add_up() -> None:
    table = medians(made())
    assert table["default"]["r200_added_p50"] == 2.0  # of 1, 5 and 2
    assert table["portkey"]["r200_added_p50"] == 4.0  # a slow round is as slow for direct
    assert table["portkey"]["errors"] == 3 * 9 and table["default"]["errors"] == 0
    assert table["litellm"]["r200_added_p50"] == 29.0  # of the only round that it was in
    assert all(set(figures) == set(FIGURES) for figures in table.values())


def test_a_ratio_above_one_is_better_whatever_the_figure() -> None:
    table = medians(made())
    better = ratios(table, "default")
    assert set(better) == {"portkey", "litellm"}
    assert better["portkey"]["c32_cpu"] == pytest.approx(5.0) and ratios(table, "portkey")["default"]["c32_cpu"] == 0.2
    assert better["portkey"]["c32_rps"] == 1.0
    table["portkey"]["c32_rps"] = 250.0
    assert ratios(table, "default")["portkey"]["c32_rps"] == 2.0
    table["portkey"]["c32_rps"] = None
    assert ratios(table, "default")["portkey"]["c32_rps"] is None


def test_tables_name_every_contender_that_was_measured() -> None:
    text = tables(made())
    assert text.count("| default |") == 4 and text.count("| litellm |") == 5
    assert "| direct | – | 500 | – | 500 | – | – |" in text
    assert "| default | 0.400 | 500 | 0.400 | 500 | 2.00 | 6.00 |" in text
    assert "| portkey | 5.0× |" in text
    assert "litellm" not in tables(without(made(), "litellm"))


def test_results_survive_their_file_and_are_a_line_a_contender() -> None:
    data = dump_results(made())
    assert load_results(data) == made()
    assert data.count(b'\n"portkey": ') == 3
    with pytest.raises(msgspec.ValidationError):
        load_results(b'{"rounds": []}')
