"""`POST /v1/responses/compact`, through whole gateways: a call that is routed, limited and booked like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.keys.making import bearer, make
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply

COMPACTED = (
    b'{ "id": "resp_c", "object": "response.compaction", "created_at": 1, '
    b'"output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}], '
    b'"usage": {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010}}'
)
ANSWER = {
    "id": "resp_of_the_provider",
    "object": "response",
    "status": "completed",
    "model": "far-1",
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


class World:
    """compacts: what the provider says to who wants something compacted."""

    def __init__(self, folder: Path) -> None:
        self.compacts: Reply = json_reply(COMPACTED)
        self.upstream = Upstream.of(self._reply)
        self.folder = folder

    def _reply(self, request: Request) -> Reply:
        return self.compacts if request.path.endswith("/compact") else json_reply(ANSWER)

    @property
    def asked(self) -> list[tuple[str, Any]]:
        return [(request.path, request.json()) for request in self.upstream.server.requests]

    def policy(self) -> str:
        return f"""
version: 1
providers:
  far: {{kind: openai, base_url: "{self.upstream.url}/v1", api_key: sk-far, dialects: [chat, responses]}}
  near: {{kind: fake, words: 3}}
models:
  near: {{provider: near, id: near-1, price: {{input: 1, output: 2}}}}
  far: {{provider: far, id: far-1, price: {{input: 1, output: 2}}}}
baseline: far
limits:
  - {{per: team, of: [limited], requests: 1/h}}
routes:
  - {{name: near, when: {{model: near}}, model: near}}
  - {{name: all, model: near, fallback: [far], cache: {{mode: exact, ttl: 1h}}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    with one.upstream:
        yield one


def compact(gateway: LiveGateway, body: dict[str, Any], **headers: str) -> httpx.Response:
    return gateway.http.post("/v1/responses/compact", json={"model": "auto", **body}, headers=headers)


def test_it_goes_to_who_speaks_responses_and_is_booked(world: World) -> None:
    with LiveGateway(world.folder, world.policy()) as gateway:
        for _ in range(2):  # and is not kept in the cache
            response = compact(gateway, {"input": [{"role": "user", "content": "long"}], "instructions": "be brief"})
            assert (response.status_code, response.content) == (200, COMPACTED)
            assert response.headers["x-turnout-model"] == "far"
            entry = gateway.entry(response)
            assert (entry["dialect"], entry["outcome"], entry["usage"]["input"], entry["usage"]["output"]) == (
                "openai_responses",
                "ok",
                1000,
                10,
            )
            assert entry["cost_nusd"] == 1_000_000 + 20_000
            assert float(response.headers["x-turnout-cost-usd"]) == pytest.approx(0.00102)
        assert gateway.http.get("/v1/responses/compact").status_code == 405
    sent = {"model": "far-1", "input": [{"role": "user", "content": "long"}], "instructions": "be brief"}
    assert world.asked == [("/v1/responses/compact", sent)] * 2


def test_what_it_made_goes_on_as_input(world: World) -> None:
    with LiveGateway(world.folder, world.policy()) as gateway:
        output = compact(gateway, {"input": "long"}).json()["output"]
        body = {"model": "auto", "input": [*output, {"role": "user", "content": "and?"}]}
        assert gateway.http.post("/v1/responses", json=body).status_code == 200
    path, sent = world.asked[-1]
    assert (path, sent["input"]) == ("/v1/responses", body["input"])


def test_nobody_else_can_do_it(world: World) -> None:
    with LiveGateway(world.folder, world.policy()) as gateway:
        refused = compact(gateway, {"model": "near", "input": "long"})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "compact")
        refused = compact(gateway, {"input": "long", "stream": True})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream")
    assert world.asked == []


def test_a_limit_holds_and_what_others_said_is_out_of_reach(world: World) -> None:
    limited, other = make(world.folder, team="limited")[1], make(world.folder)[1]
    with LiveGateway(world.folder, world.policy()) as gateway:
        said = gateway.http.post("/v1/responses", json={"model": "near", "input": "one"}, headers=bearer(other))
        again = {"previous_response_id": said.json()["id"]}
        assert compact(gateway, again, **bearer(other)).content == COMPACTED
        assert len(world.asked[-1][1]["input"]) == 2
        assert compact(gateway, again, **bearer(limited)).status_code == 404
        assert compact(gateway, {"input": "long"}, **bearer(limited)).status_code == 200
        refused = compact(gateway, {"input": "long"}, **bearer(limited))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert compact(gateway, {"input": "long"}).status_code == 401


def test_a_provider_without_it_is_asked_for_responses_still(world: World) -> None:
    world.compacts = json_reply({"error": {"message": "no such address"}}, status=404)
    with LiveGateway(world.folder, world.policy()) as gateway:
        failed = compact(gateway, {"input": "long"})
        assert (failed.status_code, failed.json()["error"]["code"]) == (502, "all_targets_failed")
        assert gateway.entry(failed)["outcome"] == "error"
        body = {"model": "auto", "input": "x", "tools": [{"type": "web_search"}]}
        assert gateway.http.post("/v1/responses", json=body).status_code == 200
    assert [path for path, _ in world.asked] == ["/v1/responses/compact", "/v1/responses"]
