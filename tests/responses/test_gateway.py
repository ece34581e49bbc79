"""Responses that are kept, in whole gateways: replicas that share them, a Redis that goes, a policy that changes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import build_app
from gateway.errors import ConfigError
from gateway.settings import Settings
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer
from tests.scenario.policies import one_model
from tests.scenario.upstream import Call, Says, Upstream

SHARED = one_model() + "responses: {store: shared}\n"


def respond(gateway: LiveGateway, **fields: Any) -> httpx.Response:
    return gateway.http.post("/v1/responses", json={"model": "auto", "input": "hello", **fields})


def kept(gateway: LiveGateway, **fields: Any) -> str:
    answer = respond(gateway, **fields)
    assert answer.status_code == 200, answer.text
    id_: str = answer.json()["id"]
    return id_


def test_replicas_go_on_from_each_others_answers_and_say_when_they_cannot(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with RedisServer() as redis:
        with (
            LiveGateway(folders[0], SHARED, redis_url=redis.url) as one,
            LiveGateway(folders[1], SHARED, redis_url=redis.url) as two,
        ):
            first = kept(one)
            assert respond(two, previous_response_id=first).status_code == 200
            assert two.http.get(f"/v1/responses/{first}").json()["id"] == first
            redis.stop()
            assert respond(one).status_code == 200, "an answer is given, kept or not"
            refused = respond(one, previous_response_id=first)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "response_store_unavailable")
            assert refused.headers["retry-after"]
            assert one.http.get(f"/v1/responses/{first}").status_code == 503
            report = one.http.get("/health/ready").json()
            assert report["status"] == "degraded"
            assert any("responses' store" in problem for problem in report["problems"])
            assert "turnout_responses_failures_total" in one.http.get("/metrics").text
            redis.start()
            until = time.monotonic() + 15
            while one.http.get("/health/ready").json()["status"] != "ok" and time.monotonic() < until:
                time.sleep(0.1)
            gone = respond(one, previous_response_id=first)  # this Redis has no disk
            assert (gone.status_code, gone.json()["error"]["code"]) == (404, "previous_response_not_found")


def test_a_changed_policy_holds_for_the_next_answer(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        first = kept(gateway)
        before = gateway.http.get("/health/ready").json()["policy"]
        gateway.policy_path.write_text(one_model() + "responses: {store: off}\n")
        until = time.monotonic() + 15
        while gateway.http.get("/health/ready").json()["policy"] == before and time.monotonic() < until:
            time.sleep(0.05)
        second = kept(gateway)
        for id_ in (first, second):
            missing = gateway.http.get(f"/v1/responses/{id_}")
            assert (missing.status_code, missing.json()["error"]["code"]) == (404, "response_not_found")
            assert "keeps none" in missing.json()["error"]["message"]
        gateway.policy_path.write_text(SHARED)  # there is no Redis: it is not taken
        until = time.monotonic() + 15
        while not gateway.http.get("/health/ready").json()["problems"] and time.monotonic() < until:
            time.sleep(0.05)
        [problem] = gateway.http.get("/health/ready").json()["problems"]
        assert "TURNOUT_REDIS_URL" in problem


def test_what_cannot_be_kept_as_the_policy_says_does_not_start(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(SHARED)
    with pytest.raises(ConfigError, match="TURNOUT_REDIS_URL"):
        build_app(Settings(policy=policy, data_dir=tmp_path, ledger=tmp_path / "ledger.db"))


def test_an_answer_out_of_the_cache_is_one_of_its_own(tmp_path: Path) -> None:
    asked: list[str] = []

    def says(call: Call) -> Says:
        asked.append(call.prompt)
        return Says(f"answer {len(asked)}")

    with Upstream(says) as upstream:
        policy = f"""
version: 1
providers: {{p: {{kind: openai, base_url: "{upstream.url}/v1", api_key: k}}}}
models: {{m: {{provider: p, id: m-1, price: {{input: 1, output: 2}}}}}}
routes: [{{name: all, model: m, cache: {{mode: exact, ttl: 1h}}}}]
"""
        with LiveGateway(tmp_path, policy) as gateway:
            answers = [respond(gateway), respond(gateway), respond(gateway, stream=True)]
            assert [answer.headers["x-turnout-cache"] for answer in answers] == ["miss", "hit-exact", "hit-exact"]
            assert len(asked) == 1
            ids = {answer.json()["id"] for answer in answers[:2]}
            assert len(ids) == 2
            for id_ in ids:
                follow_up = respond(gateway, previous_response_id=id_, input="and?")
                assert follow_up.status_code == 200
            assert [message["content"] for message in upstream.calls[-1].body["messages"]] == ["hello", "answer 1", "and?"]


def test_the_ledger_says_that_it_was_responses(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        entry = gateway.entry(respond(gateway, stream=True))
        assert (entry["dialect"], entry["outcome"], entry["stream"]) == ("openai_responses", "ok", True)
