"""What every answer has, whoever gives it: one id, under the names that the client's SDK looks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.edge.asgi import Message
from tests.live_gateway import LiveGateway
from tests.scenario.policies import two_models


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("front"), two_models(["ok"])) as live:
        yield live


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/messages"), ("POST", "/v1/messages"), ("GET", "/v1/messages/none")])
def test_anthropics_clients_are_told_one_id(gateway: LiveGateway, method: str, path: str) -> None:
    answer = gateway.http.request(method, path, json={"model": "auto"})
    (id_,) = answer.headers.get_list("request-id")
    assert answer.headers.get_list("x-request-id") == [id_]
    assert answer.json()["request_id"] == id_


def test_openais_are_told_theirs(gateway: LiveGateway) -> None:
    answer = gateway.http.get("/v1/chat/none")
    assert len(answer.headers.get_list("x-request-id")) == 1 and "request-id" not in answer.headers


def test_a_websocket_of_another_servers_is_turned_away(gateway: LiveGateway) -> None:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(message)

    gateway.http.get("/v1/models")  # whereupon the routes are made
    scope = {"type": "websocket", "path": "/v1/chat/completions", "headers": [], "subprotocols": []}
    asyncio.run(gateway.app(scope, receive, send))
    assert [message["type"] for message in said] == ["websocket.close"]
