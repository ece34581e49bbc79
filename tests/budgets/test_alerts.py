"""Alerts: when, once, in which words, and what becomes of them when the webhook does not take them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.budgets import webhook as webhooks
from gateway.budgets.alarm import Alarm, Alert, alert_of
from gateway.budgets.base import Account, Family
from gateway.budgets.rules import Rules
from gateway.budgets.told import FileTold, Told
from gateway.budgets.told_redis import SharedTold
from gateway.budgets.webhook import Webhook
from gateway.metrics import Metrics
from gateway.policy.budgets import Alerts, BudgetRule, Period
from gateway.providers.http import HttpClient
from gateway.redis_link import RedisLink
from tests.budgets.policies import budgeted
from tests.budgets.webhook_receiver import Receiver
from tests.limits.policies import write
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer

DAY = Period(86_400, "day")
RULE = BudgetRule(1, "team", None, 50 * 10**9, DAY, 0.8, "alert")
AT = datetime(2026, 11, 22, 16, 30, tzinfo=UTC).timestamp()


def team(name: str = "acme") -> Account:
    return Account(Family("team", None, DAY), name)


def alert(id_: str = "x", until: float = 2e9) -> Alert:
    return Alert(id_, until, "team 'acme' has spent $40.10", "more")


class Sent:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alert: Alert) -> None:
        self.alerts.append(alert)


def test_an_alert_comes_once_for_each_holder_and_day() -> None:
    sent = Sent()
    alarm = Alarm(lambda: Rules([RULE]), sent)
    for nusd, at, name in (
        (39_999_999_999, AT, "acme"),
        (40_000_000_000, AT, "acme"),
        (41_000_000_000, AT + 5, "acme"),
        (45_000_000_000, AT, "other"),
        (40_000_000_000, AT + 86_400, "acme"),
    ):
        alarm.changed(team(name), nusd, at)
    assert [(a.text, a.until) for a in sent.alerts] == [
        ("team 'acme' has spent $40.00 of $50.00 a day (80%)", 1_795_392_000),
        ("team 'other' has spent $45.00 of $50.00 a day (90%)", 1_795_392_000),
        ("team 'acme' has spent $40.00 of $50.00 a day (80%)", 1_795_478_400),
    ]
    assert sent.alerts[0].details == "budgets[1] of the policy: alert at 80%. A new day begins 2026-11-23 00:00 UTC."


def test_slack_gets_what_it_takes() -> None:
    body = alert_of(RULE, team("<a>&b"), 41 * 10**9, AT).body()
    assert body["text"] == "team '&lt;a&gt;&amp;b' has spent $41.00 of $50.00 a day (82%)"
    assert [block["type"] for block in body["blocks"]] == ["section", "context"]
    assert body["blocks"][0]["text"] == {"type": "mrkdwn", "text": f":rotating_light: *{body['text']}*"}


@contextlib.asynccontextmanager
async def sending(told: Told, where: Alerts | None, metrics: Metrics) -> AsyncIterator[Webhook]:
    http = HttpClient("test", {})
    webhook = Webhook(http, told, metrics, lambda: where, first_wait_s=0.01)
    running = asyncio.create_task(webhook.run())
    yield webhook
    await webhook.aclose(running)
    await http.aclose()


def outcomes(metrics: Metrics) -> dict[str, int]:
    return {labels[0]: count for labels, count in dict(metrics.counted().counts)["turnout_alerts"]}


def test_it_is_tried_again_until_it_is_taken(tmp_path: Path) -> None:
    async def scenario(receiver: Receiver, metrics: Metrics) -> None:
        async with sending(FileTold(tmp_path / "told"), Alerts(receiver.url, {"x-secret": "s"}), metrics) as webhook:
            webhook.send(alert())
            await asyncio.to_thread(receiver.wait_for, 4)

    metrics = Metrics()
    with Receiver(500, 503, 429) as receiver:
        asyncio.run(scenario(receiver, metrics))
        assert [got["text"] for got in receiver.got] == ["team 'acme' has spent $40.10"] * 4
        assert {headers["x-secret"] for headers in receiver.headers} == {"s"}
    assert outcomes(metrics) == {"sent": 1}


def test_what_will_never_be_taken_is_given_up_at_once_and_the_address_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(receiver: Receiver, metrics: Metrics) -> None:
        async with sending(FileTold(tmp_path / "told"), Alerts(receiver.url), metrics) as webhook:
            webhook.send(alert("a"))
            webhook.send(alert("b"))

    metrics = Metrics()
    with Receiver(404) as receiver:
        asyncio.run(scenario(receiver, metrics))
    assert outcomes(metrics) == {"failed": 1, "sent": 1}
    assert "does not take this alert: status 404" in caplog.text
    assert "secret" not in caplog.text


def test_nobody_waits_for_a_webhook_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "WAITING_MAX", 2)
    monkeypatch.setattr(webhooks, "CLOSE_S", 0.05)

    async def scenario(metrics: Metrics) -> None:
        async with sending(FileTold(tmp_path / "told"), Alerts("http://127.0.0.1:1/x"), metrics) as webhook:
            for n in range(5):
                webhook.send(alert(str(n)))
                await asyncio.sleep(0)

    metrics = Metrics()
    began = time.monotonic()
    asyncio.run(scenario(metrics))
    assert time.monotonic() - began < 5
    assert outcomes(metrics)["dropped"] >= 2
    assert "the gateway stops, and this alert was not sent" in caplog.text


def test_without_a_webhook_they_are_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(metrics: Metrics) -> None:
        for where in (None, Alerts("", unavailable="SLACK is not set")):
            async with sending(FileTold(tmp_path / f"told{where is None}"), where, metrics) as webhook:
                webhook.send(alert("1"))
                webhook.send(alert("2"))

    metrics = Metrics()
    asyncio.run(scenario(metrics))
    assert outcomes(metrics) == {"logged": 4}
    said = [record.getMessage() for record in caplog.records]
    assert said.count("team 'acme' has spent $40.10") == 4


def test_an_address_that_is_not_set_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = budgeted("{per: key, usd: 1/day, then: alert}", alerts='alerts: {webhook: "${NO_SUCH_HOOK}"}')
    with LiveGateway(tmp_path, text) as gateway:
        before = gateway.chat()
        write(gateway, text.replace("usd: 1/day", "usd: 0.001/day"), before)
        assert gateway.chat().status_code == 200
        until = time.monotonic() + 10
        while "key 'anonymous' has spent" not in caplog.text:
            assert time.monotonic() < until
            time.sleep(0.02)
    said = [record.getMessage() for record in caplog.records]
    assert said.count("alerts of budgets go to this log alone: NO_SUCH_HOOK is not set") == 1


def test_what_was_sent_is_known_after_a_restart_until_its_time_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        now = [1000.0]
        for expected in (True, False):
            told = FileTold(tmp_path / "folder" / "told.json", lambda: now[0])
            assert await told.is_first("a", 2000.0) is expected
            assert not await told.is_first("a", 2000.0)
            await told.sent("a", 2000.0)
        assert await told.is_first("b", 2000.0)
        await told.sent("b", 2000.0)
        now[0] = 2000.0
        assert await FileTold(tmp_path / "folder" / "told.json", lambda: now[0]).is_first("a", 3000.0)

    asyncio.run(scenario())


def test_an_alert_that_is_not_out_when_the_gateway_stops_or_is_killed_is_sent_by_the_next(
    tmp_path: Path, redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "CLOSE_S", 0.2)

    async def scenario() -> None:
        told, link = FileTold(tmp_path / "killed"), RedisLink(redis.url)
        assert await told.is_first("x", 2e9)
        assert await FileTold(tmp_path / "killed").is_first("x", 2e9), "nobody had said that it is out"
        for tolds in (
            [FileTold(tmp_path / "told") for _ in range(3)],
            [SharedTold(link, FileTold(tmp_path / "shared")) for _ in range(3)],
        ):
            async with sending(tolds[0], Alerts("http://127.0.0.1:1/x"), Metrics()) as webhook:
                webhook.send(alert())
            with Receiver() as receiver:
                for one in tolds[1:]:
                    async with sending(one, Alerts(receiver.url), Metrics()) as webhook:
                        webhook.send(alert())
            assert len(receiver.got) == 1
        assert 600 < int(redis.command("TTL", "turnout:alert:x")[1:]), "what is out is known for all of its time"
        await link.aclose()

    asyncio.run(scenario())
    assert caplog.text.count("this alert was not sent; the next start sends it") == 2


def test_what_does_not_speak_http_is_told_without_the_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TRIES", 1)

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"no http\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(garbage, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/services/secret"
        async with sending(FileTold(tmp_path / "told"), Alerts(url), Metrics()) as webhook:
            webhook.send(alert())
        server.close()

    asyncio.run(scenario())
    assert "did not answer in HTTP" in caplog.text and "secret" not in caplog.text


def test_a_file_that_cannot_be_read_or_written_keeps_no_alert_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "told").write_text("[no json")
    (tmp_path / "file").write_text("")

    async def scenario() -> None:
        for path in (tmp_path / "told", tmp_path / "file" / "told"):
            told = FileTold(path)
            assert [await told.is_first("a", 2e9) for _ in range(2)] == [True, False]

    asyncio.run(scenario())
    assert "alerts may come twice" in caplog.text


def test_of_two_replicas_one_sends_it(tmp_path: Path, redis: RedisServer) -> None:
    async def scenario() -> None:
        links = [RedisLink(redis.url) for _ in range(2)]
        replicas = [SharedTold(link, FileTold(tmp_path / str(n))) for n, link in enumerate(links)]
        assert sorted([await told.is_first("a", time.time() + 60) for told in replicas]) == [False, True]
        redis.command("FLUSHALL")
        assert [await told.is_first("a", time.time() + 60) for told in replicas] == [False, False]
        for link in links:
            await link.aclose()
        away = RedisLink("redis://127.0.0.1:1/0")
        assert await SharedTold(away, FileTold(tmp_path / "2")).is_first("a", time.time() + 60)
        await away.aclose()

    asyncio.run(scenario())


def test_the_whole_way_from_a_request_to_the_webhook_and_not_again_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    with Receiver(500) as receiver:
        monkeypatch.setenv("SLACK_WEBHOOK", receiver.url)
        rules = "{per: key, usd: 0.02/day, at: 0.8, then: alert}", "{per: key, usd: 0.02/day}"
        text = budgeted(*rules, alerts='alerts: {webhook: "${SLACK_WEBHOOK}"}')
        for first in (True, False):
            with LiveGateway(tmp_path, text) as gateway:
                statuses = [gateway.chat(max_tokens=8).status_code for _ in range(3)]
                assert statuses == ([200, 200, 429] if first else [429] * 3)
                got = receiver.wait_for(2)
        assert [body["text"] for body in got] == ["key 'anonymous' has spent $0.016 of $0.020 a day (80%)"] * 2
    assert "secret" not in caplog.text
