"""There is one way in: what holds for a virtual key holds in every dialect, streamed or not, translated or passed on."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.policy.limits import Rate
from gateway.policy.permit import Permit
from tests.clients.upstream.cue import Answer
from tests.keys.making import bearer, make
from tests.live_gateway import LiveGateway
from tests.scenario.dialects.providers import Providers
from tests.scenario.upstream import Upstream

Asked = dict[str, Any]

POLICY = """
version: 1
providers:
  all: {{kind: openai, base_url: "{url}/all/v1", api_key: sk-1, dialects: [chat, responses, completions]}}
  claude: {{kind: anthropic, base_url: "{url}/claude", api_key: sk-2}}
models:
  open: {{provider: all, id: open-1, price: {{input: 2, output: 8}}}}
  claude: {{provider: claude, id: claude-1, price: {{input: 2, output: 8}}}}
  dear: {{provider: all, id: dear-1, price: {{input: 200, output: 800}}}}
baseline: dear
defaults:
  timeouts: {{connect: 5s, first_token: 20s, idle: 20s, total: 40s}}
  retry: {{attempts: 1}}
budgets:
  - {{per: key, of: [poor], usd: 0.00000001/day}}
routes:
  - {{name: forced, when: {{tag.never: "true"}}, model: claude}}
  - {{name: by-tag, when: {{tag.app: ide}}, model: open}}
  - {{name: kept, when: {{tag.cache: "yes"}}, model: open, cache: {{mode: exact, ttl: 1h, scope: key}}}}
  - {{name: rest, model: claude}}
"""


def chat(prompt: str) -> Asked:
    return {"messages": [{"role": "user", "content": prompt}]}


ENDPOINTS = {
    "/v1/chat/completions": ("openai_chat", chat),
    "/v1/messages": ("anthropic_messages", lambda prompt: {**chat(prompt), "max_tokens": 99}),
    "/v1/responses": ("openai_responses", lambda prompt: {"input": prompt}),
    "/v1/completions": ("openai_completions", lambda prompt: {"prompt": prompt}),
}
MODELS = ("open", "claude")  # one of them speaks the dialect, for each
CASES = [*itertools.product(ENDPOINTS, MODELS, (False, True))]
EACH = pytest.mark.parametrize(("path", "model", "is_stream"), CASES)
ENDPOINT = pytest.mark.parametrize("path", ENDPOINTS)

PROVIDERS = Providers(lambda call: Answer(text=f"said {call.number}"))


KEYS: dict[str, Asked] = {
    "mine": {"team": "us", "tags": {"of": "the key"}},
    "other": {"team": "us"},
    "poor": {},
    "keeps": {},
    "pries": {},
    "only-open": {"permit": Permit(models=("open",))},
    "only-claude": {"permit": Permit(models=("claude",))},
    "only-rest": {"permit": Permit(routes=("rest",))},
    "only-open-by-name": {"permit": Permit(models=("open",), routes=("direct",))},
    **{f"once {case}": {"limits": (("requests", Rate(1, 3600)),)} for case in CASES},
}
SECRETS: dict[str, str] = {}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """All keys are there from the start, since it takes a gateway half a second to see a new one."""
    folder = tmp_path_factory.mktemp("keys")
    SECRETS.update({name: make(folder, id=re.sub(r"[^\w-]", "_", name), **fields)[1] for name, fields in KEYS.items()})
    with Upstream.of(PROVIDERS.reply) as upstream, LiveGateway(folder, POLICY.format(url=upstream.url)) as live:
        assert ask(live, "/v1/chat/completions", SECRETS["other"]).status_code == 200  # whose template is known from here on
        yield live


def ask(
    gateway: LiveGateway,
    path: str,
    secret: str,
    prompt: str = "hello",
    *,
    model: str = "auto",
    stream: bool = False,
    **headers: str,
) -> httpx.Response:
    named = {f"x-turnout-{name}": value for name, value in headers.items()}
    body = {"model": model, "stream": stream, **ENDPOINTS[path][1](prompt)}
    return gateway.http.post(path, json=body, headers=bearer(secret, **named))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def entry(gateway: LiveGateway, secret: str, answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = gateway.http.get(f"/v1/requests/{answer.headers['x-request-id']}", headers=bearer(secret)).json()
    return found


@EACH
def test_it_is_booked_with_all_that_is_known_of_it(gateway: LiveGateway, path: str, model: str, *, is_stream: bool) -> None:
    secret = SECRETS["mine"]
    answer = ask(gateway, path, secret, model=model, stream=is_stream, tags="job=test", session="s-1", debug="1")
    assert answer.status_code == 200, answer.text
    assert "the request names the model" in answer.headers["x-turnout-why"]
    booked = entry(gateway, secret, answer)
    assert (booked["dialect"], booked["stream"], booked["outcome"]) == (ENDPOINTS[path][0], is_stream, "ok")
    assert (booked["key"], booked["team"], booked["tags"]) == ("mine", "us", {"of": "the key", "job": "test"})
    assert (booked["session"], booked["model"], bool(booked["prompt_id"])) == ("s-1", model, True)
    usage = booked["usage"]
    assert usage["input"] > 0 < usage["output"]
    assert not usage["estimated"]
    assert booked["cost_nusd"] == usage["input"] * 2_000 + usage["output"] * 8_000
    assert [attempt["usage"] for attempt in booked["attempts"]] == [usage]
    told = {"request_id": answer.headers["x-request-id"], "value": 1}
    assert gateway.http.post("/v1/feedback", json=told, headers=bearer(secret)).status_code == 200
    of_another = gateway.http.get(f"/v1/requests/{told['request_id']}", headers=bearer(SECRETS["other"]))
    assert code(of_another) == (404, "request_not_found")


@EACH
def test_what_a_key_may_not_use_is_not_asked(gateway: LiveGateway, path: str, model: str, *, is_stream: bool) -> None:
    id_ = f"only-{model}"
    secret = SECRETS[id_]
    asked = len(PROVIDERS.calls)
    refused = ask(gateway, path, secret, model="dear", stream=is_stream)
    assert code(refused) == (403, "model_not_allowed")
    assert len(PROVIDERS.calls) == asked
    booked = entry(gateway, secret, refused)
    assert (booked["key"], booked["dialect"], booked["outcome"], booked["status"]) == (
        f"only-{model}",
        ENDPOINTS[path][0],
        "refused",
        403,
    )


@ENDPOINT
def test_a_route_may_be_forced_by_who_may_use_it(gateway: LiveGateway, path: str) -> None:
    secret = SECRETS["only-rest"]
    assert code(ask(gateway, path, secret, route="forced")) == (403, "route_not_allowed")
    assert code(ask(gateway, path, secret, tags="app=ide")) == (403, "route_not_allowed")
    assert code(ask(gateway, path, secret, model="open")) == (403, "route_not_allowed")
    assert ask(gateway, path, secret).headers["x-turnout-route"] == "rest"
    assert ask(gateway, path, SECRETS["other"], route="forced").headers["x-turnout-route"] == "forced"


@EACH
def test_limits_of_a_key_count_every_endpoint(gateway: LiveGateway, path: str, model: str, *, is_stream: bool) -> None:
    secret = SECRETS[f"once {(path, model, is_stream)}"]
    assert ask(gateway, "/v1/chat/completions", secret, model=model).status_code == 200
    refused = ask(gateway, path, secret, model=model, stream=is_stream)
    assert code(refused) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0


@EACH
def test_a_budget_that_is_spent_is_spent_for_every_endpoint(
    gateway: LiveGateway, path: str, model: str, *, is_stream: bool
) -> None:
    poor, asked = SECRETS["poor"], len(PROVIDERS.calls)
    refused = ask(gateway, path, poor, model=model, stream=is_stream)
    assert code(refused) == (429, "budget_exceeded")
    assert len(PROVIDERS.calls) == asked
    assert entry(gateway, poor, refused)["cost_nusd"] == 0


@EACH
def test_what_is_kept_is_its_keys_alone(gateway: LiveGateway, path: str, model: str, *, is_stream: bool) -> None:
    keys, prompt = [SECRETS["mine"], SECRETS["other"]], uuid.uuid4().hex

    def found(secret: str, directive: str = "") -> str:
        more = {"cache": directive} if directive else {}
        answer = ask(gateway, path, secret, prompt, stream=is_stream, tags="cache=yes", **more)
        return answer.headers["x-turnout-cache"] if answer.status_code == 200 else code(answer)[1]

    assert [found(keys[0], "only"), found(keys[0]), found(keys[0]), found(keys[0], "only")] == [
        "cache_miss",
        "miss",
        "hit-exact",
        "hit-exact",
    ]
    assert [found(keys[1], "only"), found(keys[1]), found(keys[0], "bypass")] == ["cache_miss", "miss", "bypass"]


def test_tokens_are_not_counted_for_a_model_that_a_key_may_not_use(gateway: LiveGateway) -> None:
    secret = SECRETS["only-open-by-name"]
    for path in ("/v1/messages/count_tokens",):
        for model, status in (("open", 200), ("claude", 403), ("auto", 403), ("none", 404)):
            asked = {"model": model, **chat("hello")}
            assert gateway.http.post(path, json=asked, headers=bearer(secret)).status_code == status, model
        assert gateway.http.post(path, json=asked).status_code == 401


def test_a_kept_response_is_its_keys_alone_wherever_it_is_named(gateway: LiveGateway) -> None:
    mine, other = SECRETS["keeps"], SECRETS["pries"]
    for model in MODELS:
        first = ask(gateway, "/v1/responses", mine, model=model).json()
        item, asked = first["output"][-1]["id"], len(PROVIDERS.calls)
        for below in ("", "/input_items"):
            url = f"/v1/responses/{first['id']}{below}"
            found = [gateway.http.get(url, headers=bearer(secret)) for secret in (other, mine)]
            assert [answer.status_code for answer in found] == [404, 200]
        assert gateway.http.delete(f"/v1/responses/{first['id']}", headers=bearer(other)).status_code == 404
        goes_on = {"previous_response_id": first["id"], "input": "and?"}
        refers = {"input": [{"type": "item_reference", "id": item}, {"role": "user", "content": "and?"}]}
        elsewhere = {"conversation": "conv_1", "input": "and?"}
        for body, status in ((goes_on, 404), (refers, 404), (elsewhere, 404)):
            refused = gateway.http.post("/v1/responses", json={"model": model, **body}, headers=bearer(other))
            assert refused.status_code == status, refused.text
        assert len(PROVIDERS.calls) == asked, "the provider's account would have answered"
        for body in (goes_on, refers):
            answer = gateway.http.post("/v1/responses", json={"model": model, **body}, headers=bearer(mine))
            assert answer.status_code == 200, answer.text
            assert "said " in json.dumps(PROVIDERS.calls[-1].body)
        assert gateway.http.delete(f"/v1/responses/{first['id']}", headers=bearer(mine)).status_code == 200
        refused = gateway.http.post("/v1/responses", json={"model": model, **goes_on}, headers=bearer(mine))
        assert code(refused) == (404, "previous_response_not_found")


def test_a_reference_that_stands_for_very_much_is_no_way_to_stop_the_gateway(gateway: LiveGateway) -> None:
    secret = SECRETS["mine"]
    first = ask(gateway, "/v1/responses", secret, model="open").json()
    again = [{"type": "item_reference", "id": first["output"][-1]["id"]}] * 200_000
    started = time.process_time()
    refused = gateway.http.post("/v1/responses", json={"model": "open", "input": again}, headers=bearer(secret))
    assert code(refused) == (413, "request_too_large")
    assert time.process_time() - started < 10
    many = [{"type": "item_reference", "id": f"msg_{n}"} for n in range(1_001)]
    refused = gateway.http.post("/v1/responses", json={"model": "open", "input": many}, headers=bearer(secret))
    assert code(refused) == (400, "invalid_value")
