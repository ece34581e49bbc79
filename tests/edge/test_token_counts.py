"""`POST /v1/responses/input_tokens`, through whole gateways: who counts, and what cannot be counted here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.edge import token_counts
from tests.keys.making import bearer, make
from tests.live_gateway import LiveGateway
from tests.scenario.policies import one_model
from tests.scenario.upstream import Upstream
from tests.scripted_server import HANG, Reply, Request, json_reply

COUNTED = {"object": "response.input_tokens", "input_tokens": 4711}
ANSWER = {
    "id": "resp_of_the_provider",
    "object": "response",
    "status": "completed",
    "model": "far-1",
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


def policy(url: str) -> str:
    return f"""
version: 1
providers:
  far: {{kind: openai, base_url: "{url}/v1", api_key: sk-far, dialects: [chat, responses]}}
  near: {{kind: fake, words: 3}}
models:
  near: {{provider: near, id: near-1, price: {{input: 1, output: 2}}}}
  far: {{provider: far, id: far-1, price: {{input: 1, output: 2}}}}
baseline: far
routes:
  - {{name: both, when: {{tag.of: both}}, model: near, fallback: [far]}}
  - {{name: near, when: {{model: near}}, model: near}}
  - {{name: all, model: far}}
"""


class World:
    """counts: what the provider says to who asks for a count. answer: to who asks for one."""

    def __init__(self, folder: Path) -> None:
        self.counts: Reply = json_reply(COUNTED)
        self.answer: Reply = json_reply(ANSWER)
        self.upstream = Upstream.of(self._reply)
        self.folder = folder

    def _reply(self, request: Request) -> Reply:
        return self.counts if request.path.endswith("/input_tokens") else self.answer

    @property
    def asked(self) -> list[Request]:
        return self.upstream.server.requests


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    with one.upstream:
        yield one


def count(gateway: LiveGateway, body: dict[str, Any], **headers: str) -> httpx.Response:
    return gateway.http.post("/v1/responses/input_tokens", json=body, headers=headers)


def eventually(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def test_who_speaks_responses_counts_the_question_as_it_was_asked(world: World) -> None:
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        body = {"model": "far", "input": "How many?", "instructions": "Count.", "tools": [{"type": "web_search"}]}
        response = count(gateway, body)
        assert (response.status_code, response.json()) == (200, COUNTED)
        assert count(gateway, {}).json() == COUNTED
        assert gateway.http.get(f"/v1/requests/{response.headers['x-request-id']}").status_code == 404, "nothing is booked"
    assert [request.path for request in world.asked] == ["/v1/responses/input_tokens"] * 2
    assert [request.json() for request in world.asked] == [{**body, "model": "far-1"}, {"model": "far-1"}]


def test_what_only_responses_can_say_is_counted_by_the_target_that_speaks_them(world: World) -> None:
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        tags = {"x-turnout-tags": "of=both"}
        assert count(gateway, {"input": "x", "tools": [{"type": "web_search"}]}, **tags).json() == COUNTED
        assert count(gateway, {"input": "x"}, **tags).json()["input_tokens"] < 20


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": {"message": "no such address"}}, status=404),
        json_reply({"error": {"message": "wrong key"}}, status=401),
        json_reply({"tokens": 4711}),
        json_reply(b"never"),
    ],
)
def test_where_the_provider_does_not_count_the_gateway_does(world: World, reply: Reply) -> None:
    world.counts = reply
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        few = count(gateway, {"input": "How many?"})
        many = count(gateway, {"input": "How many? " * 100})
        assert few.json()["object"] == "response.input_tokens"
        assert 0 < few.json()["input_tokens"] < 20 < many.json()["input_tokens"] < 1000


def test_a_provider_that_takes_its_time_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "COUNT_S", 0.2)
    world.counts = Reply([HANG])
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        assert 0 < count(gateway, {"input": "How many?"}).json()["input_tokens"] < 20


def test_a_provider_counts_so_many_at_a_time_and_the_gateway_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "COUNT_S", 20.0)
    may_answer = asyncio.Event()
    world.counts = Reply([may_answer, json.dumps(COUNTED).encode()], headers={"content-type": "application/json"})
    body, at_once = {"input": "How many?"}, token_counts.COUNTS_MAX
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway, ThreadPoolExecutor(at_once) as pool:
        under_way = [pool.submit(count, gateway, body) for _ in range(at_once)]
        eventually(lambda: len(world.asked) == at_once, "the provider is not asked")
        assert 0 < count(gateway, body).json()["input_tokens"] < 20
        world.upstream.does(may_answer.set)
        assert [one.result().json() for one in under_way] == [COUNTED] * at_once
        assert len(world.asked) == at_once
        assert count(gateway, body).json() == COUNTED, "there is room again"


def test_a_provider_that_cools_down_is_not_asked(world: World) -> None:
    world.answer = json_reply({"error": {"message": "overloaded"}}, status=503)
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        for _ in range(10):
            assert gateway.http.post("/v1/responses", json={"model": "far", "input": "x"}).status_code >= 500
        asked = len(world.asked)
        assert 0 < count(gateway, {"input": "How many?"}).json()["input_tokens"] < 20
        assert len(world.asked) == asked


def test_a_question_that_is_not_whole_here_is_not_counted_here(world: World) -> None:
    world.counts = json_reply({"error": {"message": "no such address"}}, status=404)
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        for name, value in (("previous_response_id", "resp_1"), ("conversation", "conv_1"), ("prompt", {"id": "pmpt_1"})):
            refused = count(gateway, {"input": "x", name: value})
            assert refused.status_code == 400
            assert (refused.json()["error"]["code"], refused.json()["error"]["param"]) == ("unsupported_parameter", name)


def test_the_providers_own_refusal_is_the_callers(world: World) -> None:
    world.counts = json_reply({"error": {"message": "input: too odd", "code": "odd", "param": "input"}}, status=400)
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        refused = count(gateway, {"input": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "odd")
        assert "too odd" in refused.json()["error"]["message"]


def test_without_anybody_who_speaks_responses_an_input_is_needed(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        for path in ("/v1/responses", "/v1/responses/input_tokens"):
            refused = gateway.http.post(path, json={})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")
            assert refused.json()["error"]["message"] == "`input` is missing"
        assert 0 < count(gateway, {"input": "How many?"}).json()["input_tokens"] < 20


def test_a_request_with_nothing_in_it_goes_to_who_may_judge_it(world: World) -> None:
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        response = gateway.http.post("/v1/responses", content=b"{ }")
        assert (response.status_code, response.json()["id"]) == (200, "resp_of_the_provider")
        assert gateway.entry(response)["requested_model"] == "auto"
        refused = gateway.http.post("/v1/responses", json={"model": "near"})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, "input")
        assert "`input`" in error["message"]
    assert [request.json() for request in world.asked] == [{"model": "far-1"}]


def test_a_count_goes_on_from_the_callers_own_answers_alone(world: World) -> None:
    secrets = [make(world.folder)[1] for _ in range(2)]
    with LiveGateway(world.folder, policy(world.upstream.url)) as gateway:
        asked = gateway.http.post("/v1/responses", json={"model": "near", "input": "one"}, headers=bearer(secrets[0]))
        id_ = asked.json()["id"]
        body = {"model": "far", "input": "two", "previous_response_id": id_}
        assert count(gateway, body, **bearer(secrets[0])).json() == COUNTED
        sent = world.asked[-1].json()
        assert "previous_response_id" not in sent and len(sent["input"]) == 3
        refused = count(gateway, body, **bearer(secrets[1]))
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "previous_response_not_found")
        assert count(gateway, body).status_code == 401
