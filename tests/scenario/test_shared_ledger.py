"""Two gateways, one PostgreSQL: what one was asked the other can tell, and one key is good for both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from tests.ledger.entries import entry
from tests.live_gateway import LiveGateway
from tests.postgres_server import PostgresServer, postgres
from tests.scenario.policies import one_model

__all__ = ["postgres"]

WITHIN_S = 15.0


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)


def gateway(folder: Path, url: str, **settings: float) -> LiveGateway:
    folder.mkdir()
    return LiveGateway(folder, one_model(), ledger_url=url, **settings)


def test_what_one_was_asked_the_other_can_tell(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    with gateway(tmp_path / "here", url) as here, gateway(tmp_path / "there", url) as there:
        asked = here.chat("hello")
        path = f"/v1/requests/{asked.headers['x-request-id']}"
        until(lambda: there.http.get(path).status_code == 200)
        found = there.entry(asked)
        assert (found["outcome"], len(found["attempts"])) == ("ok", 1)
        said = there.http.post("/v1/feedback", json={"request_id": asked.headers["x-request-id"], "value": 1})
        assert said.status_code == 200
        until(lambda: here.entry(asked)["feedback"] != [])


def test_one_key_is_good_for_both_and_shuts_others_out(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    monkeypatch.setenv("TURNOUT_LEDGER_URL", url)
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path / "operator"))
    with gateway(tmp_path / "here", url) as here, gateway(tmp_path / "there", url) as there:
        assert here.chat().status_code == there.chat().status_code == 200
        assert main(["keys", "create", "--name", "ide", "--json"]) == 0
        (secret,) = [line.split('"')[3] for line in capsys.readouterr().out.splitlines() if '"secret"' in line]
        for one in (here, there):
            until(lambda one=one: one.chat().status_code == 401)
            assert one.chat(headers={"authorization": f"Bearer {secret}"}).status_code == 200
        postgres.kill()
        try:
            assert here.chat(headers={"authorization": f"Bearer {secret}"}).status_code == 200, "the keys that are known hold"
            assert here.chat().status_code == 401
            until(lambda: here.http.get("/health/ready").json()["status"] == "degraded")
            assert "hush" not in here.http.get("/health/ready").text
        finally:
            postgres.start()
        until(lambda: here.http.get("/health/ready").json()["status"] == "ok")
    assert main(["spend", "--by", "key", "--json"]) == 0
    capsys.readouterr()


def test_a_gateway_drops_the_months_that_are_past_keeping(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    ledger = PostgresLedger(url)
    ledger.append([entry("old"), entry("now", at=time.time())])
    ledger.close()
    reader = PostgresReader(url)
    with gateway(tmp_path / "here", url, retention_s=40 * 86_400.0):
        until(lambda: len(reader.parts()) == 1)
    reader.close()
