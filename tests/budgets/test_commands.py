"""`turnout budgets`, and what the doctor and several workers make of budgets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.finding import Finding
from gateway.cli.findings import find_all
from gateway.cli.main import main
from gateway.errors import ConfigError
from gateway.ledger.base import IDLE, Entry
from gateway.ledger.sqlite import SqliteLedger
from gateway.loading import load_policy
from gateway.settings import Settings
from gateway.workers import check_workers
from tests.budgets.policies import budgeted
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer

RULES = (
    "{per: team, usd: 0.02/day, at: 0.5, then: alert}",
    "{per: team, usd: 0.02/day}",
    "{per: tag:app, usd: 1/30d}",
    ("{per: gateway, usd: 5/month}"),
)
COST = 8_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a gateway has run, named by the environment."""
    with LiveGateway(tmp_path, budgeted(*RULES)) as gateway:
        for name in ("a", "b"):
            assert gateway.chat(max_tokens=8, headers={"authorization": f"Bearer {name}"}).status_code == 200
        assert gateway.chat(max_tokens=8, headers={"authorization": "Bearer a", "x-turnout-tags": "app=web"}).status_code == 200
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TURNOUT_POLICY", str(tmp_path / "policy.yaml"))
    return tmp_path


def test_it_shows_who_has_spent_what(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budgets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["budget", "holder", "spent", "of", "share", "ends"]
    first = next(line for line in lines if line.startswith("team: 0.02/day at 0.5 alert"))
    assert "open-" in first and "$0.016  $0.020  80 % !" in first and first.endswith("00:00 UTC")
    assert any(line.startswith("tag:app: 1/30d at 1 refuse") and "web" in line and "rolls, 30d" in line for line in lines)
    assert any(line.startswith("gateway: 5/month") and "$0.024  $5.00  0 %" in " ".join(line.split("   ")) for line in lines) or (
        "$0.024" in lines[-1]
    )


def test_json_has_what_the_api_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budgets", "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["budgets"]
    assert [(row["budget"], row["spent_nusd"]) for row in rows] == [
        *((0, 2 * COST), (0, COST), (1, 2 * COST), (1, COST), (2, COST), (3, 3 * COST)),
    ]
    assert rows[0]["is_reached"] and not rows[2]["is_reached"]
    with LiveGateway(folder, budgeted(*RULES), admin_key="k") as gateway:
        shown = gateway.http.get("/admin/budgets", headers={"authorization": "Bearer k"}).json()["budgets"]
    assert [{k: v for k, v in row.items() if not k.startswith("reserved")} for row in shown] == rows


def test_an_hour_of_a_machine_is_shown_as_soon_as_it_is_settled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SqliteLedger(folder / "ledger.db")
    fields = {"request_id": "gpu", "dialect": "", "requested_model": "ours", "stream": False, "key": IDLE, "policy_hash": ""}
    store.append([Entry(**fields, at=time.time(), draw=0.0, purpose="gpu", model="ours", cost_nusd=10**9)])
    store.close()
    assert main(["budgets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budgets"][-1]["spent_nusd"] == 3 * COST + 10**9


def test_without_a_ledger_or_budgets_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))
    (tmp_path / "policy.yaml").write_text(budgeted(*RULES))
    assert main(["budgets", "--policy", str(tmp_path / "policy.yaml")]) == 1
    assert "there is no ledger" in capsys.readouterr().err
    plain = budgeted(*RULES).partition("budgets:")[0]
    with LiveGateway(tmp_path, plain) as gateway:
        assert gateway.chat().status_code == 200
    assert main(["budgets", "--policy", str(tmp_path / "policy.yaml")]) == 0
    assert capsys.readouterr().out == "the policy has no budgets\n"


def found(folder: Path, *rules: str, alerts: str = "", redis_url: str | None = None) -> list[Finding]:
    path = folder / "policy.yaml"
    path.write_text(budgeted(*rules, alerts=alerts))
    settings = Settings(path, data_dir=folder, ledger=folder / "ledger.db", redis_url=redis_url)
    return [finding for finding in find_all(settings) if finding.thing in ("budgets", "alerts")]


def test_the_doctor_says_who_counts_and_where_alerts_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, alert = "{per: key, usd: 1/day}", "{per: key, usd: 1/day, then: alert}"
    (alone,) = found(tmp_path, rule)
    assert (alone.level, alone.what.split(";")[0]) == ("ok", "counted in this process's memory, from the ledger on")
    _, nowhere = found(tmp_path, alert)
    assert (nowhere.thing, nowhere.level) == ("alerts", "missing") and "in the log alone" in nowhere.what
    hook = 'alerts: {webhook: "${HOOK}"}'
    _, unset = found(tmp_path, alert, alerts=hook)
    assert (unset.what, unset.remedy) == ("in the log alone: HOOK is not set", "export HOOK=… and start again")
    monkeypatch.setenv("HOOK", "https://h/secret")
    _, set_ = found(tmp_path, alert, alerts=hook)
    assert set_.level == "ok" and "secret" not in set_.what
    with RedisServer() as server:
        (together,) = found(tmp_path, rule, redis_url=server.url)
        assert (together.level, together.what) == ("ok", "counted in Redis, which answers")
    (gone,) = found(tmp_path, rule, redis_url=server.url.replace("//", "//:secret@"))
    assert gone.level == "missing" and "connection" in gone.what and "secret" not in gone.what
    (wrong,) = found(tmp_path, rule, redis_url="http://h")
    assert wrong.level == "broken"


def test_budgets_need_a_place_where_workers_count_together(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(budgeted("{per: key, usd: 1/day}"))
    policy = load_policy(path)
    check_workers(policy, Settings(policy=path))
    check_workers(policy, Settings(policy=path, workers=4, redis_url="redis://shared"))
    with pytest.raises(ConfigError, match=r"more is spent than they allow; set TURNOUT_REDIS_URL, .* or run one worker"):
        check_workers(policy, Settings(policy=path, workers=4))
