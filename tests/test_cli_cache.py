"""`turnout cache inspect|evict`, against the admin API as it is served, and `turnout spend` on what the cache is worth."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from gateway.cache.base import CachedAnswer, CacheKey, Store
from gateway.cache.memory import MemoryStore
from gateway.cache.opening import open_store
from gateway.chat import completion
from gateway.cli import cache, spend
from gateway.edge.admin import admin_routes
from gateway.edge.api import render_errors
from gateway.edge.auth import Operator
from gateway.errors import ConfigError, UsageError
from gateway.ledger.base import Feedback
from gateway.ledger.sqlite import SqliteLedger
from gateway.metrics import Metrics
from gateway.usage import Usage
from tests.ledger.entries import answered, entry
from tests.redis_server import RedisServer

KEY = "of-the-operator"


def command(*words: str) -> int:
    """One command as it is typed; its exit status."""
    top = argparse.ArgumentParser(prog="turnout")
    commands = top.add_subparsers(required=True)
    cache.define(commands.add_parser("cache"))
    spend.define(commands.add_parser("spend"))
    args = top.parse_args(words)
    status: int = args.run(args)
    return status


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of its own."""
    for name in ("TURNOUT_REDIS_URL", "REDIS_URL", "TURNOUT_HOST", "TURNOUT_PORT", "TURNOUT_LEDGER_URL", "TURNOUT_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TURNOUT_ADMIN_KEY", KEY)
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path))


@contextlib.contextmanager
def serving(store: MemoryStore, key: str | None = KEY) -> Iterator[str]:
    """The admin API on a port; its gateway's URL."""
    api = FastAPI()
    render_errors(api)
    api.include_router(admin_routes(store, Operator(key), Metrics(), "memory", lambda: None))
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def filled() -> MemoryStore:
    store = MemoryStore(1_000_000)
    asyncio.run(fill(store))
    return store


async def fill(store: Store) -> None:
    """Three answers, the oldest first."""
    now = time.time()
    kept_at = [("req_a", "easy", 900_000.0), ("req_b", "easy", 7_300.0), ("req_c", "hard", 90.0)]
    for n, (id_, route, age_s) in enumerate(kept_at):
        kept = CachedAnswer(
            id_,
            "whole",
            completion(f"said to {id_}", "m-1", Usage(3, 4)),
            Usage(3, 4),
            "m-1",
            "p",
            f"what is\n{id_}? \x1b[31m" + "and so on " * 9,
            tenant="key:open-0123456789abcdef",
            route=route,
            stored_at=now - age_s,
            fresh_until=now,
        )
        await store.put(CacheKey(b"p" * 32, bytes([n]) * 32, kept.question), kept, None, 3_600.0)


@pytest.mark.usefixtures("alone")
class TestCache:
    def test_inspect_shows_a_line_for_each_and_no_control_characters(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(filled()) as url:
            assert command("cache", "inspect", "--url", url) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["id", "tenant", "route", "question", "age", "expires", "in", "bytes"]
        assert [line.split()[0] for line in lines[2:]] == ["req_c", "req_b", "req_a"]
        assert [line.split()[-3:-1] for line in lines[2:]] == [["1m", "59m"], ["2h", "59m"], ["10d", "59m"]]
        assert "what is req_b?  [31mand so on…" in lines[3]  # 30 characters
        assert "key:open-012345…" in lines[3]
        assert max(map(len, lines)) <= 130

    def test_inspect_selects_and_says_when_there_may_be_more(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(filled()) as url:
            command("cache", "inspect", "--url", url, "--route", "easy", "--older-than", "7d", "--json")
            (shown,) = json.loads(capsys.readouterr().out)["entries"]
            assert (shown["id"], shown["answer"]) == ("req_a", "said to req_a")
            command("cache", "inspect", "--url", url, "--limit", "2")
            assert "there may be more than these 2" in capsys.readouterr().out

    def test_evict_says_how_many_and_they_are_gone(self, capsys: pytest.CaptureFixture[str]) -> None:
        store = filled()
        with serving(store) as url:
            assert command("cache", "evict", "--url", url, "--id", "req_b") == 0
            assert capsys.readouterr().out == "evicted 1 answer\n"
            assert len(store) == 2
            command("cache", "evict", "--url", url, "--tenant", "key:nobody", "--json")
            assert json.loads(capsys.readouterr().out) == {"evicted": 0}
            command("cache", "evict", "--url", f"{url}/", "--all")
            assert capsys.readouterr().out == "evicted 2 answers\n"
            assert len(store) == 0

    @pytest.mark.parametrize("words", [[], ["--all", "--id", "req_a"]])
    def test_evict_wants_to_know_what_exactly(self, words: list[str]) -> None:
        with pytest.raises(UsageError, match="say which answers to evict: --id, --tenant, --route, --older-than; or --all"):
            command("cache", "evict", *words)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--older-than", "7"], "--older-than: a duration with its unit is expected"),
            (["--id", ""], "--id is empty"),
            (["--id", "a", "--url", "localhost:8080"], "'localhost:8080' is not a gateway's address"),
            (["--id", "a", "--url", "ftp://localhost"], "'ftp://localhost' is not a gateway's address"),
        ],
    )
    def test_what_cannot_be_meant_is_named_with_its_flag(self, words: list[str], said: str) -> None:
        for name in ("inspect", "evict"):
            with pytest.raises(UsageError, match=said):
                command("cache", name, *words)

    def test_a_limit_beyond_the_bound_is_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            command("cache", "inspect", "--limit", "5000")
        assert ended.value.code == 2
        assert "limit '5000' is not a number from 1 to 1000" in capsys.readouterr().err

    def test_without_a_gateway_there_it_says_so(self) -> None:
        with pytest.raises(ConfigError, match=r"no gateway answers at http://127\.0\.0\.1:1: .*refused.*turnout serve"):
            command("cache", "inspect", "--url", "http://127.0.0.1:1")

    def test_the_gateway_of_the_environment_is_asked_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TURNOUT_PORT", "1")
        with pytest.raises(ConfigError, match=r"no gateway answers at http://127\.0\.0\.1:1: "):
            command("cache", "inspect")

    def test_a_wrong_key_a_missing_one_and_a_closed_api_are_told_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(MemoryStore(1_000), "another") as url, pytest.raises(ConfigError, match="this is not the admin key; send"):
            command("cache", "inspect", "--url", url)
        with serving(MemoryStore(1_000), None) as url, pytest.raises(ConfigError, match="the admin API is closed: set TURNOUT"):
            command("cache", "inspect", "--url", url)
        monkeypatch.delenv("TURNOUT_ADMIN_KEY")
        with pytest.raises(
            ConfigError, match="TURNOUT_ADMIN_KEY is not set; set it to the one that the gateway was started with"
        ):
            command("cache", "inspect", "--url", "http://127.0.0.1:1")

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (404, b"<html>nothing here</html>", "it answers with status 404"),
            (302, b"", "it answers with status 302"),
            (500, b'{"detail": "no"}', "it answers with status 500"),
            (200, b"hello", "its answer is not JSON"),
            (200, b"[]", "its answer has neither entries nor a count"),
            (200, b"{}", "its answer has neither entries nor a count"),
        ],
    )
    def test_another_server_is_not_taken_for_a_gateway(self, status: int, body: bytes, said: str) -> None:
        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path.startswith("/admin/"), "a redirection was followed"
                self.send_response(status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing to say."""

        with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            try:
                with pytest.raises(ConfigError, match=f"what listens at {url} is not a gateway: {said}"):
                    command("cache", "inspect", "--url", url)
            finally:
                server.shutdown()


@pytest.mark.usefixtures("alone")
class TestRedis:
    def test_redis_is_asked_itself_where_it_is_set(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("TURNOUT_ADMIN_KEY")  # whoever may ask Redis needs none
        with RedisServer() as redis:
            monkeypatch.setenv("TURNOUT_REDIS_URL", redis.url)

            async def prepare() -> None:
                store = await open_store(redis.url, 0, lambda cause: None)
                await fill(store)
                await store.aclose()

            asyncio.run(prepare())
            command("cache", "inspect", "--route", "easy", "--json")
            shown = json.loads(capsys.readouterr().out)["entries"]
            assert [(e["id"], e["answer"]) for e in shown] == [("req_b", "said to req_b"), ("req_a", "said to req_a")]
            command("cache", "evict", "--older-than", "7d")
            assert capsys.readouterr().out == "evicted 1 answer\n"
            command("cache", "inspect", "--json")
            assert [e["id"] for e in json.loads(capsys.readouterr().out)["entries"]] == ["req_c", "req_b"]
            command("cache", "evict", "--all")
            assert capsys.readouterr().out == "evicted 2 answers\n"

    @pytest.mark.parametrize("words", [["inspect"], ["evict", "--all"]])
    def test_a_redis_that_is_not_there_is_an_error_not_an_empty_cache(
        self, monkeypatch: pytest.MonkeyPatch, words: list[str]
    ) -> None:
        monkeypatch.setenv("TURNOUT_REDIS_URL", "redis://:secret@127.0.0.1:1/0")
        with pytest.raises(ConfigError, match=r"the cache in Redis cannot be asked: .*check TURNOUT_REDIS_URL") as said:
            command("cache", *words)
        assert "secret" not in str(said.value)

    def test_a_gateway_that_is_named_is_asked_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("TURNOUT_REDIS_URL", "redis://127.0.0.1:1/0")
        with serving(filled()) as url:
            command("cache", "evict", "--all", "--url", url)
        assert capsys.readouterr().out == "evicted 3 answers\n"


@pytest.fixture
def ledger(alone: None, tmp_path: Path) -> None:
    """Two misses, an exact and two semantic hits, both audited, on route `easy`; one request without a cache on `hard`."""
    store = SqliteLedger(tmp_path / "ledger.db")
    now = time.time()
    hit = {"at": now, "route": "easy", "usage": Usage(1_000, 500), "baseline_nusd": 1_500_000, "overhead_nusd": 1_000}
    paid = {"at": now, "key": "k"}
    store.append(
        [
            *(answered(f"miss-{i}", "easy", "m", 100_000, 1_500_000, cache="miss", **paid) for i in range(2)),
            entry("exact", cache="hit-exact", cache_entry="miss-0", **hit),
            entry("near-0", cache="hit-semantic", cache_entry="miss-0", **hit),
            entry("near-1", cache="hit-semantic", cache_entry="miss-0", **hit),
            answered("a-0", "easy", "m", 0, purpose="audit", of="near-0", verdict="right", overhead_nusd=100_000, **paid),
            answered("a-1", "easy", "m", 0, purpose="audit", of="near-1", verdict="wrong", overhead_nusd=100_000, **paid),
            answered("fresh", "easy", "m", 90_000, purpose="refresh", of="exact", **paid),
            answered("plain", "hard", "m", 100_000, 1_500_000, **paid),
            Feedback("near-1", now, -1.0),
        ]
    )
    store.close()


@pytest.mark.usefixtures("ledger")
class TestSpend:
    def test_what_the_cache_is_worth_is_a_second_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command("spend", "--by", "route") == 0
        first, second = capsys.readouterr().out.split("\ncache\n")
        assert [line.split()[:2] for line in first.splitlines()[2:4]] == [["easy", "5"], ["hard", "1"]]
        lines = second.splitlines()
        assert lines[0].split("  ")[0] == "route"
        assert lines[2].split() == ["easy", "1", "2", "4,500", "0.004500", "0.000293", "2", "50.0%", "9.5%-90.5%", "+0", "-1"]
        assert lines[4].split() == ["total", *lines[2].split()[1:]]
        assert "hard" not in second  # it has no cache to speak of
        assert max(map(len, (first + second).splitlines())) <= 130

    def test_json_has_it_with_each_row(self, capsys: pytest.CaptureFixture[str]) -> None:
        command("spend", "--by", "route", "--json")
        report = json.loads(capsys.readouterr().out)
        rows = {row["route"]: row for row in report["rows"]}
        assert (rows["easy"]["requests"], rows["easy"]["cost_nusd"], rows["easy"]["overhead_nusd"]) == (5, 290_000, 203_000)
        kept = rows["easy"]["cache"]
        assert (kept["saved_nusd"], kept["tokens_saved"], kept["refresh_nusd"]) == (4_500_000, 4_500, 90_000)
        assert (kept["precision"], kept["audited"], kept["bad"]) == (0.5, 2, 1)
        assert rows["hard"]["cache"]["precision"] is None
        assert report["total"]["cache"] == kept | {"overhead_nusd": 203_000}

    @pytest.mark.parametrize("by", ["model", "provider", "key", "day"])
    def test_every_dimension_has_it(self, capsys: pytest.CaptureFixture[str], by: str) -> None:
        command("spend", "--by", by)
        total = capsys.readouterr().out.splitlines()[-1]
        assert total.split() == ["total", "1", "2", "4,500", "0.004500", "0.000293", "2", "50.0%", "9.5%-90.5%", "+0", "-1"]


@pytest.mark.usefixtures("alone")
def test_without_a_cache_there_is_no_second_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SqliteLedger(tmp_path / "ledger.db")
    store.append([answered("1", "r", "m", 5, at=time.time(), cache="miss")])
    store.close()
    command("spend")
    assert "cache\n" not in capsys.readouterr().out
