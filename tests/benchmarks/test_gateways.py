"""`make bench`, cut short. What it measures depends on the machine; that it measures everything does not."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.gateways import peers
from benchmarks.gateways.__main__ import _names, choose
from benchmarks.gateways.contenders import CONTENDERS, POLICIES
from benchmarks.gateways.results import DIRECT, load_results, medians
from benchmarks.gateways.starting import Launch
from benchmarks.gateways.workloads import CURVE, WORKLOADS
from gateway.loading import load_policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(120)  # starts three servers and loads each nine times
def test_a_run_measures_every_contender_under_every_load(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gateways", "--contenders", "bare,pass-through", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--seconds", "0.1", "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    results = load_results((tmp_path / "results.json").read_bytes())
    (found,) = results.rounds
    assert list(found) == list(results.contenders) == [DIRECT, "bare", "pass-through"]
    for name, measured in found.items():
        assert list(measured.loads) == list(WORKLOADS)
        for workload, load in measured.loads.items():
            assert load.problems == {} and load.answers > 0, (name, workload)
            assert load.upstream_requests == load.answers, (name, workload)  # nothing came from a cache
            assert bool(load.ttft_ms) == bool(WORKLOADS[workload].is_stream and load.counted)
            assert (load.cpu_s is None) == (name == DIRECT)
    assert results.command == "python -m benchmarks.gateways --contenders bare,pass-through --rounds 1 --seconds 0.1"
    table = medians(results)
    for name in ("bare", "pass-through"):
        empty = [key for key, value in table[name].items() if value is None]
        assert empty == [], name
    assert table["pass-through"]["start"] and table["pass-through"]["rss_idle"]
    assert "pass-through" in done.stdout and (tmp_path / "table.md").read_text().strip() in done.stdout
    with (tmp_path / "curve.csv").open() as file:
        rows = Counter((row["contender"], f"c{row['concurrency']}") for row in csv.DictReader(file))
    closed = [f"c{concurrency}" for concurrency in (*CURVE, 32, 128)]
    assert rows == {(name, load): found[name].loads[load].counted for name in found for load in closed}


@pytest.mark.timeout(60)
def test_a_contender_that_does_not_start_fails_the_run_and_spares_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "venv-litellm/bin"
    folder.mkdir(parents=True)
    (folder / "litellm").write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    (folder / "litellm").chmod(0o755)
    command = [sys.executable, "-m", "benchmarks.gateways", "--contenders", "litellm", "--rounds", "1", "--seconds", "0.05"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "BENCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 1, done.stderr
    assert "litellm exited with status 3" in done.stderr and "no such luck" in done.stderr
    assert done.stderr.endswith("failed: litellm\n")
    results = load_results((tmp_path / "out/results.json").read_bytes())
    assert list(results.rounds[0]) == list(results.contenders) == [DIRECT]
    assert results.left_out == {"litellm": "litellm exited with status 3"}


def test_without_peers_the_rest_is_measured_and_each_says_why_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    chosen, left_out = choose(None)
    names = [contender.name for contender in chosen]
    assert names[0] == DIRECT and {"bare", "pass-through", "rules", "default", "semantic"} <= set(names)
    assert not {"bare-aiohttp", "bare-pyreqwest", "bare-own"} & set(names)
    assert left_out["litellm"] == "not installed: python -m benchmarks.gateways.peers install litellm"
    assert "portkey" in left_out


def test_direct_is_always_measured_and_what_is_asked_for_is() -> None:
    chosen, _ = choose(["bare-own", "default"])
    assert [contender.name for contender in chosen] == [DIRECT, "bare-own", "default"]
    with pytest.raises(argparse.ArgumentTypeError, match="no contender is called defualt; known: direct, nginx"):
        _names("default,defualt")


def test_each_of_our_policies_compiles_and_says_what_the_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM", "http://127.0.0.1:1/v1")
    policies = {name: load_policy(POLICIES / f"{name}.yaml") for name in ("pass-through", "rules", "default", "semantic")}
    modes = {name: {route.cache.mode for route in policy.routes} - {"off"} for name, policy in policies.items()}
    assert modes == {"pass-through": set(), "rules": set(), "default": {"exact"}, "semantic": {"semantic"}}
    assert {name: policy.classifier is not None for name, policy in policies.items()} == {
        "pass-through": False,
        "rules": False,
        "default": True,
        "semantic": True,
    }


def test_the_peers_get_the_configuration_that_they_are_started_with(tmp_path: Path) -> None:
    launch = Launch(tmp_path, 4711, "http://127.0.0.1:9100")
    assert peers.nginx(launch).command[-1] == str(tmp_path / "nginx.conf")
    assert "server 127.0.0.1:9100;" in (tmp_path / "nginx.conf").read_text()
    litellm = peers.litellm(launch)
    configured = json.loads((tmp_path / "litellm.yaml").read_text())
    assert configured["model_list"][0]["litellm_params"]["api_base"] == "http://127.0.0.1:9100/v1"
    assert litellm.headers == {"authorization": f"Bearer {litellm.env['LITELLM_MASTER_KEY']}"}
    assert peers.portkey(launch).headers["x-portkey-custom-host"] == "http://127.0.0.1:9100/v1"
    assert all(contender.what for contender in CONTENDERS.values())
