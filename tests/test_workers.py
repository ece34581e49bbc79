"""What several workers cannot do apart is refused before they serve, with the remedy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.loading import load_router
from gateway.settings import Settings
from gateway.workers import check_workers, metrics_folder, say_what_is_apart
from tests.live_gateway import LiveGateway

PLAIN = """
version: 1
providers: {p: {kind: fake}}
models: {m: {provider: p, id: x, price: {input: 1, output: 2}}}
routes: [{name: all, model: m}]
"""
LIMITED = PLAIN + "limits: [{per: key, requests: 10/min}]\n"
LOCAL = PLAIN.replace("kind: fake", "kind: local").replace("id: x", "id: smollm2-135m-instruct, context: 2048")


def check(folder: Path, policy: str, workers: int, redis_url: str | None = None) -> None:
    file = folder / "policy.yaml"
    file.write_text(policy)
    check_workers(load_router(file).policy, Settings(policy=file, workers=workers, redis_url=redis_url))


@pytest.mark.parametrize("policy", [PLAIN, LIMITED, LOCAL])
def test_one_worker_may_do_anything(tmp_path: Path, policy: str) -> None:
    check(tmp_path, policy, 1)


def test_several_may_serve_what_each_can_do_for_itself(tmp_path: Path) -> None:
    check(tmp_path, PLAIN, 4)


def test_limits_need_a_place_where_workers_count_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"callers get up to 4 times as much; set TURNOUT_REDIS_URL, .* or run one worker"):
        check(tmp_path, LIMITED, 4)
    check(tmp_path, LIMITED, 4, redis_url="redis://shared")


def test_a_local_model_is_one_process_of_one_worker(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"model 'm' runs on this machine .* 4 workers would start it; run one worker, or .* kind: openai"
    ):
        check(tmp_path, LOCAL, 4, redis_url="redis://shared")


def test_a_changed_policy_that_several_workers_cannot_serve_is_not_taken(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, PLAIN, workers=2) as gateway:
        before = gateway.http.get("/health/ready").json()
        gateway.policy_path.write_text(LIMITED)
        until = time.monotonic() + 15
        while not (after := gateway.http.get("/health/ready").json())["problems"] and time.monotonic() < until:
            time.sleep(0.05)
    assert "the changed policy was not taken: the policy has limits" in after["problems"][0]
    assert after["policy"] == before["policy"]


@pytest.mark.parametrize(
    ("worker", "redis_url", "said"),
    [
        (1, None, ["each of 4 workers has its own view of which models fail; TURNOUT_REDIS_URL has them share"]),
        (2, None, []),
        (1, "redis://shared", []),
    ],
)
def test_the_first_worker_says_what_each_has_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, worker: int, redis_url: str | None, said: list[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(PLAIN)
    caplog.set_level("INFO", "turnout.workers")
    say_what_is_apart(load_router(file).policy, Settings(policy=file, workers=4, worker=worker, redis_url=redis_url))
    assert [r.message for r in caplog.records] == said


def test_supervisors_that_share_a_data_folder_leave_each_other_alone(tmp_path: Path) -> None:
    """Whatever their process ids: here they have the same one, as in containers."""
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path)
    with metrics_folder(settings) as first:
        (first / "1.json").write_text("{}")
        with metrics_folder(settings) as second:
            assert first != second
            assert (first / "1.json").exists()
        assert sorted((tmp_path / "workers").iterdir()) == [first]
    assert list((tmp_path / "workers").iterdir()) == []


def test_what_a_killed_supervisor_left_is_removed(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from gateway.settings import Settings
from gateway.workers import metrics_folder
with metrics_folder(Settings(policy=Path(), data_dir=Path(sys.argv[1]))) as folder:
    (folder / "1.json").write_text("{}")
    print(folder, flush=True)
    time.sleep(60)
"""
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path)
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with metrics_folder(settings):
            assert (theirs / "1.json").exists()
        os.kill(other.pid, signal.SIGKILL)
        other.wait(10)
    with metrics_folder(settings) as ours:
        assert list((tmp_path / "workers").iterdir()) == [ours]


def test_a_data_folder_that_cannot_be_had_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path / "file")
    with pytest.raises(ConfigError, match=r"file/workers': Not a directory; .*set TURNOUT_DATA_DIR"), metrics_folder(settings):
        pass
