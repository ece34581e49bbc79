"""What was wrong once, as it looks from outside."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.policies import one_model, two_models
from tests.scripted_server import HANG, Reply, ScriptedServer, json_reply, sse_reply

EXACT = "cache: {mode: exact, ttl: 1h}"
UPSTREAM = """
version: 1
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
models: {{m: {{provider: up, id: x, price: {{input: 1, output: 2}}}}}}
defaults: {{retry: {{attempts: 1}}, timeouts: {{first_token: 500ms, total: 1s}}}}
routes: [{{name: all, model: m}}]
"""


def chunk(**choice: Any) -> bytes:
    fields = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "x", **choice}
    return f"data: {json.dumps(fields)}\n\n".encode()


async def ask(tmp_path: Path, reply: Reply, **fields: Any) -> tuple[httpx.Response, dict[str, Any]]:
    """One request to a gateway before a scripted upstream; the response and its entry."""
    async with ScriptedServer([reply]) as upstream:
        with LiveGateway(tmp_path, UPSTREAM.format(url=upstream.url)) as gateway:
            response = await asyncio.to_thread(lambda: gateway.chat("hello", **fields))
            return response, await asyncio.to_thread(lambda: gateway.entry(response))


def test_usage_behind_the_finish_does_not_open_the_answer_anew(tmp_path: Path) -> None:
    said = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    after = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    reply = sse_reply(
        chunk(choices=[said]), chunk(choices=[stop]), chunk(choices=[after], usage=usage), b"data: [DONE]\n\n"
    )  # as OpenRouter sends it
    response, entry = asyncio.run(ask(tmp_path, reply, stream=True))
    assert events(response)[-1] == "[DONE]"
    assert (entry["outcome"], entry["usage"]["input"], entry["usage"]["estimated"]) == ("ok", 7, False)


@pytest.mark.parametrize("stream", [True, False])
def test_a_provider_that_had_the_request_may_bill_it(tmp_path: Path, stream: bool) -> None:
    response, entry = asyncio.run(ask(tmp_path, Reply([HANG]), stream=stream))
    assert response.status_code == 504
    used = entry["attempts"][0]["usage"]
    # "hello", who says it, and 6 tokens around that, at 1 USD per million; one more while the vocabulary is being loaded.
    assert (used["estimated"], used["input"] in (8, 9), used["output"]) == (True, True, 0)
    assert entry["cost_nusd"] == used["input"] * 1_000


def test_nothing_is_owed_to_a_provider_that_was_never_reached(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(["refuse"])) as gateway:
        entry = gateway.entry(gateway.chat("hello"))
        assert (entry["attempts"][0]["usage"], entry["cost_nusd"]) == (None, 0)


@pytest.mark.parametrize("fields", [{"x": "1e999"}, {"stream": "true", "stream_options": '{"z": 1e999}'}])
@pytest.mark.parametrize("route", [EXACT, ""])
def test_numbers_that_are_none_are_refused_and_never_a_500(tmp_path: Path, fields: dict[str, str], route: str) -> None:
    rest = "".join(f', "{name}": {value}' for name, value in fields.items())
    body = f'{{"model": "auto", "messages": [{{"role": "user", "content": "hi"}}]{rest}}}'
    with LiveGateway(tmp_path, one_model(route=route)) as gateway:
        response = gateway.http.post("/v1/chat/completions", content=body)
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert response.json()["error"]["code"] == "invalid_json"


def test_a_fallbacks_answer_does_not_stand_in_for_the_wanted_models(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, two_models(["500", "ok"], route=EXACT)) as gateway:
        assert gateway.chat("hello").headers["x-turnout-model"] == "second"
        again = gateway.chat("hello")
        assert (again.headers["x-turnout-cache"], again.headers["x-turnout-model"]) == ("miss", "first")
        assert gateway.chat("hello").headers["x-turnout-cache"] == "hit-exact"


def test_an_empty_answer_is_a_failure_whose_usage_is_booked(tmp_path: Path) -> None:
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    reply = sse_reply(chunk(choices=[stop]), chunk(choices=[], usage=usage), b"data: [DONE]\n\n")
    response, entry = asyncio.run(ask(tmp_path, reply, stream=True))
    assert (response.status_code, entry["outcome"], entry["attempts"][0]["fault"]) == (502, "error", "empty")
    assert (entry["attempts"][0]["usage"]["input"], entry["cost_nusd"]) == (10, 20_000)


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_has_nothing_to_add_to_a_tools_result_may_say_nothing(tmp_path: Path, stream: bool) -> None:
    stop = {"index": 0, "finish_reason": "stop", ("delta" if stream else "message"): {"role": "assistant", "content": ""}}
    reply = sse_reply(chunk(choices=[stop]), b"data: [DONE]\n\n") if stream else json_reply({"choices": [stop]})
    call = {"id": "call_1", "type": "function", "function": {"name": "note", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "noted"}
    messages = [{"role": "user", "content": "Note it."}, said, result]
    response, entry = asyncio.run(ask(tmp_path, reply, stream=stream, messages=messages))
    assert (response.status_code, entry["outcome"], text_of(response)) == (200, "ok", "")


def test_events_under_another_content_type_are_read_all_the_same(tmp_path: Path) -> None:
    said = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    reply = Reply([chunk(choices=[said]), b"data: [DONE]\n\n"], headers={"content-type": "text/plain"})
    response, _ = asyncio.run(ask(tmp_path, reply, stream=True))
    assert events(response)[-1] == "[DONE]"


def test_usage_that_cannot_be_read_costs_an_estimate_and_not_the_answer(tmp_path: Path) -> None:
    message = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    response, entry = asyncio.run(ask(tmp_path, json_reply({"choices": [message], "usage": "none"})))
    assert response.status_code == 200
    assert entry["usage"]["estimated"] is True


@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/requests/x"])
def test_a_web_page_is_not_let_in_while_there_are_no_keys(tmp_path: Path, header: dict[str, str], path: str) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        response = gateway.http.request("POST" if "chat" in path else "GET", path, headers=header)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "not_local")
        assert response.headers["x-request-id"]


def test_pages_of_this_machine_and_a_gateway_behind_something_are_let_in(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with LiveGateway(tmp_path / "a", one_model()) as gateway:
        assert gateway.chat("hi", headers={"origin": "http://localhost:3000", "host": "localhost:8080"}).status_code == 200
    with LiveGateway(tmp_path / "b", one_model(), is_insecure=True) as gateway:
        assert gateway.chat("hi", headers={"host": "llm.example"}).status_code == 200


def test_every_response_carries_a_request_id(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model()) as gateway:
        for method, path in [("GET", "/v1/models"), ("GET", "/v1/models/none"), ("POST", "/v1/route"), ("GET", "/nope")]:
            response = gateway.http.request(method, path, headers={"x-request-id": "mine"})
            assert response.headers.get_list("x-request-id") == ["mine"], path


def test_a_client_that_stops_reading_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.edge.exchange.SEND_S", 0.3)
    # More than all socket buffers on the way can hold.
    large = chunk(choices=[{"index": 0, "delta": {"content": "x" * 100_000}, "finish_reason": None}])

    def sleep_through(url: str) -> socket.socket:
        body = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
        head = f"host: localhost\r\nx-request-id: sleeper\r\ncontent-length: {len(body)}"
        client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{body}".encode())
        return client

    async def scenario() -> dict[str, Any]:
        async with ScriptedServer([sse_reply(*[large] * 400)]) as upstream:
            with LiveGateway(tmp_path, UPSTREAM.format(url=upstream.url).replace("total: 1s", "total: 60s")) as gateway:
                client = sleep_through(gateway.url)
                async with httpx.AsyncClient(base_url=gateway.url) as http, asyncio.timeout(15):
                    while (found := await http.get("/v1/requests/sleeper")).status_code == 404:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                entry: dict[str, Any] = found.json()
                return entry

    entry = asyncio.run(scenario())
    assert (entry["outcome"], entry["status"]) == ("cancelled", 499)
    assert entry["cost_nusd"] > 0


def test_many_messages_with_digits_do_not_hold_others_up(tmp_path: Path) -> None:
    policy = one_model(route="").replace("routes:\n", "routes:\n  - {name: private, when: {pii: true}, model: first}\n")
    hostile = [{"role": "user", "content": ("a" * 64 + "@") * 3000} for _ in range(40)]
    with LiveGateway(tmp_path, policy) as gateway:

        async def scenario() -> float:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
                attack = asyncio.create_task(client.post("/v1/chat/completions", json={"model": "auto", "messages": hostile}))
                await asyncio.sleep(0)
                longest = 0.0
                while not attack.done():
                    began = time.monotonic()
                    await client.get("/health/live")
                    longest = max(longest, time.monotonic() - began)
                assert (await attack).status_code == 200
                return longest

        # It took over twenty seconds once; what is left is the reading of 8 MB of JSON, on a machine that may be busy.
        assert asyncio.run(scenario()) < 5
