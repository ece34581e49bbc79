"""`POST /v1/embeddings` through the whole gateway: passed through, cached item by item, booked, and failing well."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embeddings_upstream import digest_vector, embeddings, embeds
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer
from tests.scenario.upstream import Upstream
from tests.scripted_server import HANG, Reply, Request, json_reply


class EmbeddingsUpstream(Upstream):
    """A server of the embeddings API. play: from what it is asked to what it answers."""

    def __init__(self, play: Callable[[Request], Reply] = embeds) -> None:
        super().__init__(lambda call: (_ for _ in ()).throw(AssertionError("no chat here")))
        self._answer = play

    @property
    def inputs(self) -> list[Any]:
        """What each request asked for."""
        return [request.json()["input"] for request in self.server.requests]

    def _reply(self, request: Request) -> Reply:
        return self._answer(request)


def policy(url: str, cache: str = "{mode: exact, ttl: 1h}", more: str = "") -> str:
    return f"""
version: 1
providers:
  far: {{kind: openai, base_url: "{url}/v1", api_key: sk-far}}
  keyless: {{kind: openai, base_url: "{url}/v1", api_key: "${{NO_SUCH_KEY}}"}}
  played: {{kind: fake}}
models:
  vectors: {{provider: far, id: embed-1, price: {{input: 0.10, output: 0}}}}
  others: {{provider: far, id: embed-2, price: unknown}}
  locked: {{provider: keyless, id: embed-1, price: {{input: 0.10, output: 0}}}}
  answers: {{provider: played, id: chat-1, price: {{input: 5, output: 15}}}}
baseline: answers
defaults:
  timeouts: {{connect: 1s, total: 600ms}}
  retry: {{attempts: 2, backoff: 10ms}}
  cache: {cache}
routes:
  - {{name: all, model: answers{more}}}
"""


def ask(gateway: LiveGateway, given: Any, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return gateway.http.post("/v1/embeddings", json={"model": "vectors", "input": given, **fields}, headers=headers)


def vectors_of(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return [item["embedding"] for item in data]


def cache_of(response: httpx.Response) -> str:
    return str(response.headers["x-turnout-cache"])


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGateway, EmbeddingsUpstream]]:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path_factory.mktemp("embeddings"), policy(upstream.url)) as live:
        yield live, upstream


@pytest.mark.parametrize("cache", ['{mode: "off"}', "{mode: exact}"])
def test_bytes_pass_through_unchanged_but_for_the_model(tmp_path: Path, cache: str) -> None:
    answer = b'{"data":[{"object":"embedding","index":0,"embedding":[0.5,1e-3]}],  "x":1,"usage":{"prompt_tokens":9}}'
    with (
        EmbeddingsUpstream(lambda request: json_reply(answer)) as upstream,
        LiveGateway(tmp_path, policy(upstream.url, cache)) as live,
    ):
        sent = b'{"dimensions": 2, "model":"vectors","input": "caf\\u00e9", "odd": [1.0, 2.50]}'
        got = live.http.post("/v1/embeddings", content=sent)
        assert got.content == answer
        (asked,) = upstream.server.requests
        assert asked.path == "/v1/embeddings" and asked.headers["authorization"] == "Bearer sk-far"
        assert asked.body == b'{"dimensions":2,"model":"embed-1","input":"caf\\u00e9","odd":[1.0, 2.50]}'
        assert got.headers["x-turnout-model"] == "vectors" and got.headers["x-turnout-provider"] == "far"
        assert got.headers["x-turnout-route"] == "direct" and got.headers["x-turnout-decided-by"] == "requested:vectors"
        assert got.headers["x-turnout-attempts"] == "1" and got.headers["x-turnout-cost-usd"] == "0.000000900"
        assert float(got.headers["x-turnout-overhead-ms"]) >= 0


def test_a_request_is_booked_with_what_it_cost(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        entry = live.entry(ask(live, ["one", "two"], headers={"x-turnout-tags": "app=index", "x-turnout-session": "s1"}))
        assert (entry["dialect"], entry["requested_model"], entry["model"]) == ("openai_embeddings", "vectors", "vectors")
        assert (entry["cost_nusd"], entry["baseline_nusd"], entry["saved_nusd"]) == (1000, 1000, 0), "10 tokens at 100 nano-USD"
        assert (entry["usage"]["input"], entry["usage"]["output"]) == (10, 0)
        assert (entry["tags"], entry["session"], entry["cache"], entry["outcome"]) == ({"app": "index"}, "s1", "miss", "ok")
        (attempt,) = entry["attempts"]
        assert (attempt["outcome"], attempt["status"], attempt["cost"]) == ("ok", 200, 1000)
        unpriced = live.entry(live.http.post("/v1/embeddings", json={"model": "others", "input": "x"}))
        assert unpriced["cost_nusd"] is None and unpriced["saved_nusd"] is None


@pytest.mark.parametrize("mode", ["exact", "semantic"])
def test_the_same_text_is_embedded_once(tmp_path: Path, mode: str) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url, f"{{mode: {mode}}}")) as live:
        first, again = ask(live, "once"), ask(live, "once")
        assert (cache_of(first), cache_of(again)) == ("miss", "hit-exact")
        assert vectors_of(again) == vectors_of(first) == [digest_vector("once")]
        assert upstream.inputs == ["once"]
        assert cache_of(ask(live, "Once")) == "miss", "never a similar one"
        entry = live.entry(again)
        assert (entry["cost_nusd"], entry["saved_nusd"], entry["attempts"], entry["model"]) == (0, 500, [], None)
        assert entry["cache_entry"] == first.headers["x-request-id"] and entry["usage"]["input"] == 5
        assert again.json()["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
        assert again.headers["x-turnout-model"] == "vectors" and int(again.headers["age"]) >= 0
        assert again.headers["x-turnout-attempts"] == "0" and again.headers["x-turnout-cost-usd"] == "0.000000000"


def test_only_what_is_not_kept_is_asked_for_and_all_comes_in_order(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        ask(live, ["a", "b"])
        mixed = ask(live, ["c", "b", "d", "a", "c"])
        assert upstream.inputs[1] == ["c", "d", "c"]
        assert vectors_of(mixed) == [digest_vector(text) for text in ("c", "b", "d", "a", "c")]
        assert cache_of(mixed) == "miss"
        assert mixed.json()["usage"]["prompt_tokens"] == 25
        entry = live.entry(mixed)
        assert (entry["usage"]["input"], entry["cost_nusd"], entry["baseline_nusd"]) == (25, 1500, 2500)
        assert entry["cache_entry"] is None
        whole = ask(live, ["d", "c", "b", "a"])
        assert cache_of(whole) == "hit-exact" and len(upstream.inputs) == 2
        assert vectors_of(whole) == [digest_vector(text) for text in "dcba"]


def test_token_arrays_are_items_too(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        ask(live, [11, 22])
        mixed = ask(live, [[33], [11, 22]])
        assert upstream.inputs == [[11, 22], [[33]]]
        assert vectors_of(mixed) == [digest_vector([33]), digest_vector([11, 22])]


@pytest.mark.parametrize(
    "other",
    [
        {"encoding_format": "base64"},
        {"dimensions": 2},
        {"model": "others"},
        {"headers": {"authorization": "Bearer somebody-else"}},
    ],
)
def test_another_caller_model_or_form_never_gets_the_vector(tmp_path: Path, other: dict[str, Any]) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        ask(live, "same")
        assert cache_of(ask(live, "same", **other)) == "miss"
        assert cache_of(ask(live, "same", user="u-1")) == "hit-exact"


def test_base64_vectors_come_back_as_they_were(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        first, again = (ask(live, ["x", "y"], encoding_format="base64") for _ in range(2))
        assert isinstance(vectors_of(first)[0], str) and vectors_of(again) == vectors_of(first)
        assert cache_of(again) == "hit-exact"


def test_callers_share_where_the_policy_says_so(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, scope: all}")) as live:
        ask(live, "same", headers={"authorization": "Bearer one"})
        assert cache_of(ask(live, "same", headers={"authorization": "Bearer two"})) == "hit-exact"


def test_the_caller_may_pass_the_cache_by_refresh_it_or_ask_only_it(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:

        def directive(word: str, given: Any = "as I say") -> httpx.Response:
            return ask(live, given, headers={"x-turnout-cache": word})

        assert error_of(directive("only")) == (504, "cache_miss", None)
        assert cache_of(directive("bypass")) == "bypass"
        assert error_of(directive("only")) == (504, "cache_miss", None), "nothing was kept"
        assert cache_of(ask(live, "as I say")) == "miss"
        assert cache_of(directive("only")) == "hit-exact"
        assert error_of(directive("only", ["as I say", "not this"])) == (504, "cache_miss", None), "all of it or nothing"
        before = len(upstream.inputs)
        assert cache_of(directive("refresh")) == "miss" and len(upstream.inputs) == before + 1
        assert cache_of(directive("only")) == "hit-exact"


def test_a_vector_is_given_no_longer_than_the_policy_and_the_caller_say(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, ttl: 1s}")) as live:
        ask(live, "short")
        assert cache_of(ask(live, "short")) == "hit-exact"
        time.sleep(0.3)
        assert cache_of(ask(live, "short", headers={"x-turnout-cache-ttl": "200ms"})) == "miss", "too old for this caller"
        time.sleep(0.25)
        assert cache_of(ask(live, "short")) == "miss", "kept no longer than that caller wanted"
        time.sleep(1.1)
        assert cache_of(ask(live, "short")) == "miss"


def test_without_a_cache_in_the_policy_nothing_is_kept(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url, '{mode: "off"}')) as live:
        assert [cache_of(ask(live, "no cache")) for _ in range(2)] == ["bypass", "bypass"]
        assert error_of(ask(live, "no cache", headers={"x-turnout-cache": "only"})) == (504, "cache_miss", None)
        assert len(upstream.inputs) == 2


def test_a_large_request_is_taken_apart_beside_the_loop_and_a_huge_list_not_at_all(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        texts = [f"{i} " + "word " * 60 for i in range(300)]
        ask(live, texts[:200])
        assert vectors_of(ask(live, texts)) == [digest_vector(text) for text in texts]
        assert upstream.inputs[1] == texts[200:]
        many = [f"t{i}" for i in range(2049)]
        assert [cache_of(ask(live, many)) for _ in range(2)] == ["bypass", "bypass"]


def test_replicas_share_vectors_through_redis_and_a_frozen_one_costs_misses_only(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(30)]
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with RedisServer() as redis, EmbeddingsUpstream() as upstream:
        with (
            LiveGateway(one, policy(upstream.url), redis_url=redis.url) as first,
            LiveGateway(two, policy(upstream.url), redis_url=redis.url) as second,
        ):
            until = time.monotonic() + 10
            while True:
                asked = ask(first, texts)  # once more, for vectors that a busy machine has not kept in time
                again = ask(second, texts, headers={"x-turnout-cache": "only"})
                if again.status_code != 504 or time.monotonic() > until:
                    break
                time.sleep(0.05)
            assert cache_of(again) == "hit-exact" and vectors_of(again) == vectors_of(asked)
            redis.freeze()
            began = time.monotonic()
            frozen = ask(second, texts)
            assert cache_of(frozen) == "miss" and vectors_of(frozen) == vectors_of(asked)
            assert time.monotonic() - began < 2
            redis.thaw()


# What a request may get wrong.


@pytest.mark.parametrize(
    ("body", "status", "code", "param", "says"),
    [
        (b"", 400, "invalid_json", None, "empty"),
        (b"{", 400, "invalid_json", None, "not valid JSON"),
        (b'{"model":"vectors","input":"\xff"}', 400, "invalid_json", None, "not UTF-8"),
        (b'{"model":"vectors"}', 400, "invalid_type", "input", "`input` is missing"),
        (b'{"input":"a"}', 400, "invalid_type", "model", "`model` is missing"),
        (b'{"model":"","input":"a"}', 400, "invalid_model", "model", "empty"),
        (b'{"model":"vectors","input":[]}', 400, "empty_input", "input", "at least one"),
        (b'{"model":"vectors","input":["a",1]}', 400, "invalid_type", "input", "`input[1]`"),
        (b'{"model":"vectors","input":"a","dimensions":"many"}', 400, "invalid_type", "dimensions", "`dimensions`"),
        (b'{"model":"vectors","input":' + b"[" * 5000 + b"}", 400, "invalid_json", None, ""),
        (b'{"model":"vectors","input":"\\ud800"}', 400, "invalid_json", None, ""),
        (b'{"model":"auto","input":"a"}', 400, "invalid_model", "model", "embeddings name a model"),
        (b'{"model":"answers","input":"a"}', 400, "invalid_model", "model", "kind `fake`; embeddings are served by"),
        (b'{"model":"nobody","input":"a"}', 404, "model_not_found", "model", "vectors, others, locked"),
    ],
)
def test_what_cannot_be_read_or_served_is_named(
    gateway: tuple[LiveGateway, EmbeddingsUpstream], body: bytes, status: int, code: str, param: str | None, says: str
) -> None:
    live, upstream = gateway
    got = live.http.post("/v1/embeddings", content=body)
    assert error_of(got) == (status, code, param)
    assert says in got.json()["error"]["message"] and got.headers["x-request-id"]
    assert upstream.inputs == []


def test_a_forced_route_a_wrong_method_and_a_body_too_large_are_refused(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url), body_bytes_max=1000) as live:
        assert error_of(ask(live, "a", headers={"x-turnout-route": "all"})) == (400, "invalid_header", None)
        assert error_of(ask(live, "a" * 2000)) == (413, "request_too_large", None)
        assert live.http.get("/v1/embeddings").status_code == 405


def test_a_refused_request_is_booked_as_one(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        entry = live.entry(live.http.post("/v1/embeddings", json={"model": "answers", "input": "a"}))
        assert (entry["outcome"], entry["status"], entry["cost_nusd"], entry["saved_nusd"]) == ("refused", 400, 0, 0)


# What a provider may do.


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """These answers, one a request; then as asked."""
    left = list(replies)
    return lambda request: left.pop(0) if left else embeds(request)


def test_a_busy_provider_is_asked_again(tmp_path: Path) -> None:
    busy = json_reply({"error": {"message": "busy"}}, status=503)
    with EmbeddingsUpstream(in_turn(busy)) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        got = ask(live, "again")
        assert vectors_of(got) == [digest_vector("again")]
        assert live.attempts(got) == [("vectors", "error"), ("vectors", "ok")]


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": {"message": "down"}}, status=500),
        json_reply({"error": {"message": "down"}}),
        json_reply(b"<html>"),
        json_reply({"data": []}),
        json_reply(embeddings({"model": "m", "input": ["one", "too", "many"]})),
        json_reply({"data": [{"index": 0, "embedding": None}, {"index": 1, "embedding": [1.0]}]}),
        Reply(status=None),
    ],
    ids=lambda reply: repr(reply.steps)[:40],
)
def test_a_provider_that_fails_is_a_502_with_its_last_cause(tmp_path: Path, reply: Reply) -> None:
    with EmbeddingsUpstream(lambda request: reply) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        got = ask(live, ["one", "two"])
        assert error_of(got) == (502, "all_targets_failed", None)
        (cause,) = got.json()["error"]["details"]
        assert (cause["model"], cause["provider"]) == ("vectors", "far")
        assert live.entry(got)["outcome"] == "error"
        upstream._answer = embeds
        assert vectors_of(ask(live, ["one"])) == [digest_vector("one")], "nothing of it was kept"


def test_vectors_that_were_kept_save_nothing_when_the_rest_fails(tmp_path: Path) -> None:
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        ask(live, "kept")
        upstream._answer = lambda request: json_reply({"error": {"message": "down"}}, status=500)
        entry = live.entry(ask(live, ["kept", "new"]))
        assert (entry["status"], entry["cost_nusd"], entry["saved_nusd"], entry["usage"]) == (502, 0, 0, None)


def test_a_provider_that_refuses_the_request_says_so_itself(tmp_path: Path) -> None:
    wrong = json_reply({"error": {"message": "dimensions must be 512", "code": "bad_value", "param": "dimensions"}}, status=400)
    with EmbeddingsUpstream(lambda request: wrong) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        got = ask(live, "a", dimensions=7)
        assert error_of(got) == (400, "bad_value", "dimensions")
        assert "dimensions must be 512" in got.json()["error"]["message"] and len(upstream.inputs) == 1


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "This model's maximum context length is 512 tokens."),
        (500, "input (5001 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
    ],
    ids=["OpenAI", "llama.cpp"],
)
def test_a_text_that_is_too_long_is_the_inputs_fault_and_not_the_models(tmp_path: Path, status: int, says: str) -> None:
    long = json_reply({"error": {"message": says, "type": "server_error"}}, status=status)
    with EmbeddingsUpstream(lambda request: long) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        for _ in range(4):
            assert error_of(ask(live, "a")) == (400, "context_length_exceeded", "input")
        assert len(upstream.inputs) == 4, "asked once each, and no breaker opens"


def test_a_silent_provider_is_a_504_and_a_dead_one_is_left_alone(tmp_path: Path) -> None:
    with EmbeddingsUpstream(lambda request: Reply([HANG])) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        got = ask(live, "a")
        assert error_of(got)[:2] == (504, "deadline_exceeded")
        assert live.entry(got)["outcome"] == "timeout"
        upstream._answer = lambda request: json_reply({}, status=500)
        ask(live, "b")
        before = len(upstream.inputs)
        rejected = ask(live, "c")
        assert rejected.status_code == 502 and int(rejected.headers["retry-after"]) > 0
        assert live.attempts(rejected)[0] == ("vectors", "rejected") and len(upstream.inputs) <= before + 2


def test_a_missing_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        got = live.http.post("/v1/embeddings", json={"model": "locked", "input": "a"})
        assert error_of(got)[:2] == (502, "all_targets_failed")
        assert "NO_SUCH_KEY is not set" in got.json()["error"]["message"]


def test_a_client_that_leaves_cancels_the_call(tmp_path: Path) -> None:
    with EmbeddingsUpstream(lambda request: Reply([HANG])) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as live:
        body = json.dumps({"model": "vectors", "input": "never mind"}).encode()
        address = live.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as client:
            head = (
                f"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\nx-request-id: gone-1\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.encode() + body)
            until = time.monotonic() + 5
            while not upstream.server.requests and time.monotonic() < until:
                time.sleep(0.01)
        upstream.client_left(0)
        entry: dict[str, Any] = {}
        while "outcome" not in entry and time.monotonic() < until:
            entry = live.http.get("/v1/requests/gone-1").json()
            time.sleep(0.02)
        assert (entry["outcome"], entry["status"]) == ("cancelled", 499)
        assert entry["attempts"][0]["outcome"] == "cancelled"
