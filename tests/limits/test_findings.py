"""What `turnout doctor` says of limits."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.finding import Finding
from gateway.cli.findings import find_all
from gateway.settings import Settings
from tests.limits.policies import limited
from tests.redis_server import RedisServer


def of_limits(folder: Path, *rules: str, redis_url: str | None = None) -> list[Finding]:
    path = folder / "policy.yaml"
    path.write_text(limited(*rules))
    settings = Settings(path, data_dir=folder, ledger=folder / "ledger.db", redis_url=redis_url)
    return [finding for finding in find_all(settings) if finding.thing == "limits"]


def test_the_doctor_says_who_counts_and_whether_it_can(tmp_path: Path) -> None:
    rule = "{per: key, requests: 5/min}"
    assert of_limits(tmp_path) == []
    (alone,) = of_limits(tmp_path, rule)
    assert (alone.level, alone.what) == ("ok", "counted in this process's memory; replicas would each count by themselves")
    with RedisServer() as server:
        (together,) = of_limits(tmp_path, rule, redis_url=server.url)
        assert (together.level, together.what) == ("ok", "counted in Redis, which answers")
        server.command("REPLICAOF", "127.0.0.1", "1")
        (unwritable,) = of_limits(tmp_path, rule, redis_url=server.url)
        assert unwritable.level == "missing" and "readonly" in unwritable.what
    (gone,) = of_limits(tmp_path, rule, redis_url=server.url.replace("//", "//:secret@"))
    assert gone.level == "missing" and "connection" in gone.what and "secret" not in gone.what
    (wrong,) = of_limits(tmp_path, rule, redis_url="http://h")
    assert wrong.level == "broken" and "TURNOUT_REDIS_URL" in wrong.what
