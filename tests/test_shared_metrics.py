"""What several workers have counted, told as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.exposition import exposition
from gateway.metrics import Counted, Metrics
from gateway.shared_metrics import SharedMetrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    text = exposition(metrics, "")[0].decode()
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }


async def serve(metrics: Metrics, folder: Path, worker: int) -> Metrics:
    """A worker that answers one request, and ends in good order."""
    task = asyncio.create_task(SharedMetrics(metrics, folder, worker).run())
    await asyncio.sleep(0)
    metrics.answered("easy", "ok", [])
    task.cancel()
    await asyncio.wait([task])
    return metrics


def test_counters_of_several_processes_add_up_and_gauges_do_what_they_say() -> None:
    here, there = Metrics(), Metrics()
    for metrics, precision, in_flight in ((here, 0.75, 2.0), (there, 0.25, 3.0)):
        metrics.answered("easy", "ok", [])
        metrics.precision("easy", precision)
        metrics.states = lambda n=in_flight: {"turnout_in_flight": {"m": n}}  # type: ignore[misc]
    here.alarm("easy", False)
    there.alarm("easy", True)
    there.answered("other", "error", [])
    of_another_version = Counted({"turnout_gone": [(("x",), 1)]}, {"turnout_gone_too": {"easy": 1}})
    here.peers = lambda: [there.counted(), of_another_version]
    before = samples(here)
    assert before == samples(here)  # asking does not count
    assert before["turnout_requests_total", "ok", "easy"] == 2
    assert before["turnout_requests_total", "error", "other"] == 1
    assert before["turnout_cache_precision", "easy"] == 0.25
    assert before["turnout_cache_alarm", "easy"] == 1
    assert before["turnout_in_flight", "m"] == 5
    assert not [name for name, *_ in before if "gone" in name]


def test_workers_read_each_others_counts_and_a_successor_goes_on_from_its_predecessors(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = await serve(Metrics(), tmp_path, 1), await serve(Metrics(), tmp_path, 2)
        assert samples(first)["turnout_requests_total", "ok", "easy"] == 2
        successor = await serve(Metrics(), tmp_path, 1)
        for worker in (successor, second):
            assert samples(worker)["turnout_requests_total", "ok", "easy"] == 3

    asyncio.run(scenario())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "2.json"]


def test_gauges_end_with_the_process_that_set_them(tmp_path: Path) -> None:
    busy = Metrics()
    busy.states = lambda: {"turnout_in_flight": {"m": 7.0}}
    asyncio.run(serve(busy, tmp_path, 1))
    assert ("turnout_in_flight", "m") not in samples(asyncio.run(serve(Metrics(), tmp_path, 1)))


def test_counts_that_cannot_be_written_are_said_and_ours_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = asyncio.run(serve(Metrics(), tmp_path / "gone", 1))
    assert samples(metrics)["turnout_requests_total", "ok", "easy"] == 1
    (record,) = caplog.records  # though it was tried twice
    assert "the metrics of this worker are missing from those of the others" in record.message


def test_counts_that_cannot_be_read_are_said_and_ours_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "2.json").write_text("{")
    metrics = asyncio.run(serve(Metrics(), tmp_path, 1))
    for _ in range(2):
        assert samples(metrics)["turnout_requests_total", "ok", "easy"] == 1
    (record,) = caplog.records
    assert "the metrics of a worker are missing: cannot read" in record.message
