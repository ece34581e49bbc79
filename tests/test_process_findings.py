"""What the doctor says of processes: what killed ones left, and what several cannot do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.cli.process_findings import find_spool, find_workers
from gateway.ledger.spool import Spool
from gateway.loading import load_router
from gateway.settings import Settings
from tests.ledger.entries import entry
from tests.scenario.policies import one_model


def test_what_a_killed_process_left_is_said_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path)
    assert list(find_spool(settings)) == []  # nothing has run
    spool = Spool(settings.spool)
    segment = spool.append(entry("r-1"))
    assert list(find_spool(settings)) == []
    spool.close()
    (finding,) = find_spool(settings)
    assert finding.level == "missing" and finding.remedy.startswith("start the gateway")
    assert finding.what.startswith(f"{segment.size} bytes of records in '{tmp_path / 'spool'}'")
    assert segment.path.exists()


def test_a_damaged_segment_is_said_until_somebody_removes_it(tmp_path: Path) -> None:
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path)
    settings.spool.mkdir()
    kept = settings.spool / "0-000001.damaged"
    kept.write_bytes(b"what is no record")
    (finding,) = find_spool(settings)
    assert (finding.level, finding.thing) == ("broken", "spool")
    assert finding.what.startswith(f"'{kept}' holds records that cannot be read") and finding.remedy.endswith("remove the file")
    kept.unlink()
    assert list(find_spool(settings)) == []


def test_a_spool_that_cannot_be_written_is_said_before_a_request_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(policy=tmp_path / "policy.yaml", data_dir=tmp_path)
    settings.spool.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != settings.spool)  # whoever is root may write anywhere
    (finding,) = find_spool(settings)
    assert finding.level == "broken" and "is not writable" in finding.what
    assert "is not writable" in (Spool(settings.spool).problem or "")
    assert "records wait in memory" in caplog.text


@pytest.mark.parametrize(
    ("workers", "limits", "levels"), [(1, "", []), (2, "", ["ok"]), (2, "limits: [{per: key, requests: 10/min}]\n", ["broken"])]
)
def test_workers_that_cannot_serve_the_policy_are_found(tmp_path: Path, workers: int, limits: str, levels: list[str]) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(one_model() + limits)
    found = list(find_workers(Settings(policy=file, workers=workers), load_router(file).policy))
    assert [finding.level for finding in found] == levels
