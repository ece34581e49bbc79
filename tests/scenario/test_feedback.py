"""A bad hit and a thumb down, through the whole gateway: gone, here and on another replica, and remembered."""

from __future__ import annotations

from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer
from tests.scenario.policies import one_model

KEPT, ASKED = "How do I reset my password?", "how can I reset my password"
SEMANTIC = "cache: {mode: semantic, ttl: 1h, min_similarity: 0.8, false_hit_budget: 0.3, audit: 0}"
ADMIN = {"authorization": "Bearer of-the-operator"}


def cache_of(response: httpx.Response) -> str:
    return str(response.headers["x-turnout-cache"])


def thumb(gateway: LiveGateway, answer: httpx.Response, value: float, headers: dict[str, str] | None = None) -> httpx.Response:
    body = {"request_id": answer.headers["x-request-id"], "value": value, "comment": "as I see it"}
    return gateway.http.post("/v1/feedback", json=body, headers=headers)


def folder(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir()
    return path


def test_a_bad_hit_is_taken_back_and_not_given_again(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(route=SEMANTIC)) as gateway:
        gateway.chat(KEPT)
        bad = gateway.chat(ASKED)
        assert cache_of(bad) == "hit-semantic"
        assert thumb(gateway, bad, -1).json() == {"request_id": bad.headers["x-request-id"], "value": -1.0, "evicted": 1}
        assert cache_of(gateway.chat(KEPT)) == "miss"  # the answer is gone, and another one is kept now
        assert cache_of(gateway.chat(ASKED)) == "miss"  # which is not given to the question that it was wrong for
        (said,) = gateway.entry(bad)["feedback"]
        assert (said["value"], said["comment"]) == (-1.0, "as I see it")


def test_a_bad_hit_on_one_replica_is_a_miss_on_the_other(tmp_path: Path) -> None:
    with RedisServer() as redis:
        policy = one_model(route=SEMANTIC)
        with (
            LiveGateway(folder(tmp_path, "one"), policy, redis_url=redis.url) as one,
            LiveGateway(folder(tmp_path, "other"), policy, redis_url=redis.url) as other,
        ):
            one.chat(KEPT)
            assert cache_of(other.chat(KEPT)) == "hit-exact"
            bad = one.chat(ASKED)
            assert cache_of(bad) == cache_of(other.chat(ASKED)) == "hit-semantic"
            assert thumb(one, bad, -1).json()["evicted"] == 1
            assert cache_of(other.chat(ASKED)) == "miss"
            assert cache_of(other.chat(KEPT)) == "miss"


def test_praise_evicts_nothing_and_nobody_judges_for_another(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(route=SEMANTIC), admin_key="of-the-operator") as gateway:
        gateway.chat(KEPT)
        hit = gateway.chat(ASKED)
        assert thumb(gateway, hit, 1).json()["evicted"] == 0
        assert thumb(gateway, hit, -1, {"authorization": "Bearer of-another"}).status_code == 404
        assert cache_of(gateway.chat(ASKED)) == "hit-semantic"
        assert thumb(gateway, hit, -1, ADMIN).json()["evicted"] == 1


def test_the_operator_sees_and_evicts_and_the_metrics_count(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(route=SEMANTIC), admin_key="of-the-operator") as gateway:
        gateway.chat(KEPT)
        gateway.chat(ASKED)
        assert gateway.http.get("/admin/cache/entries").status_code == 401
        (kept,) = gateway.http.get("/admin/cache/entries?route=all", headers=ADMIN).json()["entries"]
        assert (kept["question"], kept["route"], kept["answer"]) == (KEPT, "all", "This is a rehearsed answer from")
        state = gateway.http.get("/admin/cache", headers=ADMIN).json()
        assert state == {"store": "memory", "problem": None, "routes": {"all": {"miss": 1, "hit-semantic": 1}}}
        families = text_string_to_metric_families(gateway.http.get("/metrics").text)
        counts = {(s.name, s.labels.get("outcome")): s.value for f in families for s in f.samples}
        assert counts["turnout_cache_lookups_total", "hit-semantic"] == 1
        assert counts["turnout_requests_total", "ok"] == 2
        gone = gateway.http.delete(f"/admin/cache/entries?id={kept['id']}", headers=ADMIN)
        assert gone.json() == {"evicted": 1}
        assert cache_of(gateway.chat(ASKED)) == "miss"
