"""Virtual keys through the whole gateway: who is let in, what it may, what it shares, and what it sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from gateway.app import build_app
from gateway.errors import ConfigError
from gateway.keys.model import VirtualKey
from gateway.keys.secret import digest_of, new_secret
from gateway.keys.sqlite import SqliteKeys
from gateway.policy.limits import Rate
from gateway.policy.permit import Permit
from gateway.settings import Settings
from tests.keys.making import bearer, make
from tests.live_gateway import LiveGateway, text_of
from tests.scenario.policies import one_model
from tests.scenario.upstream import Call, Says, Upstream

SOON_S = 10.0  # it takes half a second; the machine may be busy

POLICY = """
version: 1
providers:
  one: {{kind: openai, base_url: "{url}/v1", api_key: sk-1}}
models:
  cheap: {{provider: one, id: cheap-1, price: {{input: 1.00, output: 2.00}}}}
  dear: {{provider: one, id: dear-1, price: {{input: 10.00, output: 20.00}}}}
baseline: dear
defaults:
  timeouts: {{connect: 1s, first_token: 5s, idle: 5s, total: 10s}}
  retry: {{attempts: 1}}
limits:
  - {{per: team, of: [pair], requests: 2/h}}
routes:
  - {{name: hard, when: {{tag.level: hard}}, model: dear}}
  - {{name: kept, when: {{tag.cache: team}}, model: cheap, cache: {{mode: exact, ttl: 1h, scope: team}}}}
  - {{name: own, when: {{tag.cache: key}}, model: cheap, cache: {{mode: exact, ttl: 1h, scope: key}}}}
  - {{name: all, when: {{tag.cache: all}}, model: dear, fallback: [cheap], cache: {{mode: exact, ttl: 1h, scope: all}}}}
  - {{name: rest, model: dear, fallback: [cheap]}}
"""


def numbered(call: Call) -> Says:
    """An answer that tells who gave it, and how often it was asked."""
    return Says(f"{call.model} says {call.number}")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """Closed from the start. Each test makes its keys in the data directory, which the gateway sees."""
    folder = tmp_path_factory.mktemp("keys")
    make(folder, id="key_first")
    with (
        Upstream(numbered) as upstream,
        LiveGateway(folder, POLICY.format(url=upstream.url), admin_key="of-the-operator") as live,
    ):
        yield live


def folder_of(gateway: LiveGateway) -> Path:
    return gateway.settings.data_dir


def eventually(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def known(gateway: LiveGateway, **fields: Any) -> tuple[VirtualKey, str]:
    """A new key that the gateway knows already."""
    key, secret = make(folder_of(gateway), **fields)
    eventually(lambda: models(gateway, secret).status_code == 200, "the key was not seen")
    return key, secret


def models(gateway: LiveGateway, secret: str) -> httpx.Response:
    return gateway.http.get("/v1/models", headers=bearer(secret))


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def client(gateway: LiveGateway, secret: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0)


def ask(opened: openai.OpenAI, model: str = "auto", **fields: Any) -> Any:
    return opened.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], **fields)


# Who is let in.


def test_the_sdk_raises_its_own_errors(gateway: LiveGateway) -> None:
    _, secret = known(gateway, permit=Permit(models=("cheap",)))
    with client(gateway, secret) as opened:
        assert ask(opened).choices[0].message.content.startswith("cheap-1 says")
        with pytest.raises(openai.PermissionDeniedError) as denied:
            ask(opened, "dear")
        assert (denied.value.code, denied.value.param) == ("model_not_allowed", "model")
        with pytest.raises(openai.PermissionDeniedError) as hard:
            ask(opened, extra_headers={"x-turnout-route": "hard"})
        assert hard.value.code == "model_not_allowed"
        with pytest.raises(openai.PermissionDeniedError):
            opened.embeddings.create(model="dear", input="hello")
        with pytest.raises(openai.NotFoundError):
            ask(opened, "no-such")
    for wrong in (new_secret(), "sk-proj-of-somebody-else", secret[:-1]):
        with client(gateway, wrong) as opened:
            with pytest.raises(openai.AuthenticationError) as unknown:
                ask(opened)
            assert unknown.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError):
                ask(opened, stream=True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/route"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/auto"),
        ("GET", "/v1/requests/r-1"),
        ("GET", "/v1"),
        ("GET", "/v1/anything/that/may/come"),
        ("OPTIONS", "/v1/chat/completions"),
    ],
)
def test_everything_under_v1_needs_a_key(gateway: LiveGateway, method: str, path: str) -> None:
    for headers in ({}, bearer("nobody's"), {"x-api-key": new_secret()}, {"authorization": "Basic dTpw"}):
        refused = gateway.http.request(method, path, headers={**headers, "x-request-id": "mine"}, content=b"{")
        assert code(refused) == (401, "invalid_api_key")
        assert (refused.headers["www-authenticate"], refused.headers["x-request-id"]) == ("Bearer", "mine")


def test_a_caller_without_a_key_is_refused_before_its_body_is_read(gateway: LiveGateway) -> None:
    _, secret = known(gateway)
    for _ in range(3):  # and its connection can be used again
        assert code(gateway.chat("x" * 5_000_000)) == (401, "invalid_api_key")
    assert gateway.chat(headers=bearer(secret)).status_code == 200


def test_every_endpoint_lies_under_v1_or_is_known_to_need_no_key(tmp_path: Path) -> None:
    """A new one elsewhere would be open to everybody: put it under /v1, or behind a key of its own."""
    without = {"/health/live", "/health/ready", "/healthz", "/metrics", "/openapi.json"}

    async def paths() -> set[str]:
        policy = tmp_path / "policy.yaml"
        policy.write_text(one_model())
        app = build_app(Settings(policy, data_dir=tmp_path, ledger=tmp_path / "ledger.db"))
        async with app.lifespan():
            assert app.api is not None
            api = await app.api.made()
            assert isinstance(api, FastAPI)
            return {*(route.path for route in iter_route_contexts(api.routes)), *app.hot}

    found = asyncio.run(paths())
    assert {"/v1/models", "/v1/chat/completions", "/v1/embeddings"} <= found
    assert {path for path in found if not path.startswith(("/v1/", "/admin/"))} == without


def test_either_header_will_do(gateway: LiveGateway) -> None:
    _, secret = known(gateway)
    assert gateway.chat(headers={"x-api-key": secret}).status_code == 200
    assert gateway.chat(headers={"authorization": f"bearer  {secret}"}).status_code == 200
    assert gateway.chat(headers={"authorization": f"Bearer {secret}", "x-api-key": ""}).status_code == 200


def test_of_several_credentials_one_counts(gateway: LiveGateway) -> None:
    """`x-api-key` before a bearer token, and of a header that is sent twice the last."""
    right, wrong = known(gateway)[1], new_secret()

    def status(*headers: tuple[str, str]) -> int:
        return gateway.http.get("/v1/models", headers=list(headers)).status_code

    for first, last, found in ((wrong, right, 200), (right, wrong, 401)):
        assert status(("x-api-key", last), ("authorization", f"Bearer {first}")) == found
        assert status(("authorization", f"Bearer {first}"), ("authorization", f"Bearer {last}")) == found
        assert status(("x-api-key", first), ("x-api-key", last)) == found


def test_health_and_metrics_need_none_and_the_admin_api_its_own(gateway: LiveGateway) -> None:
    _, secret = known(gateway)
    for path in ("/health/live", "/health/ready", "/healthz", "/metrics", "/openapi.json"):
        assert gateway.http.get(path).status_code == 200
    assert code(gateway.http.get("/admin/cache", headers=bearer(secret))) == (401, "invalid_admin_key")
    assert gateway.http.get("/admin/cache", headers=bearer("of-the-operator")).status_code == 200


def test_with_a_key_callers_may_come_from_elsewhere(gateway: LiveGateway) -> None:
    _, secret = known(gateway)
    there = {"host": "gateway.example.com", "origin": "https://app.example.com"}
    assert gateway.chat(headers=bearer(secret, **there)).status_code == 200
    assert code(gateway.chat(headers=there)) == (401, "invalid_api_key")


def test_a_revoked_key_is_refused_within_a_second_or_so(gateway: LiveGateway) -> None:
    key, secret = known(gateway)
    assert [gateway.chat(headers=bearer(secret)).status_code for _ in range(2)] == [200, 200]
    store = SqliteKeys(folder_of(gateway) / "keys.db")
    store.revoke(key.id, time.time())
    store.close()
    eventually(lambda: gateway.chat(headers=bearer(secret)).status_code == 401, "the key was not shut out")
    assert gateway.chat(headers=bearer(secret)).json()["error"]["message"] == f"key '{key.id}' was revoked"
    assert models(gateway, secret).status_code == 401


def test_a_rotated_key_has_two_secrets_for_a_while_and_is_one_caller(gateway: LiveGateway) -> None:
    key, old = known(gateway, tags={"cache": "key"})
    first = text_of(gateway.chat("before the rotation", headers=bearer(old)))
    new, store = new_secret(), SqliteKeys(folder_of(gateway) / "keys.db")
    store.rotate(key.id, digest_of(new.encode()), time.time() + 3600)
    eventually(lambda: models(gateway, new).status_code == 200, "the new secret was not seen")
    for secret in (old, new):
        again = gateway.chat("before the rotation", headers=bearer(secret))
        assert (again.headers["x-turnout-cache"], text_of(again)) == ("hit-exact", first)
    store.rotate(key.id, digest_of(new_secret().encode()), time.time())
    store.close()
    eventually(lambda: {models(gateway, s).status_code for s in (old, new)} == {401}, "an old secret holds on")


def test_an_expired_key_is_refused(gateway: LiveGateway) -> None:
    _, secret = make(folder_of(gateway), expires_at=time.time() - 1)
    eventually(lambda: "expired at" in models(gateway, secret).text, "the key was not seen")
    assert code(gateway.chat(headers=bearer(secret))) == (401, "invalid_api_key")


def test_the_first_key_closes_a_gateway_that_runs(tmp_path: Path) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, POLICY.format(url=upstream.url)) as gateway:
        assert gateway.chat().status_code == 200
        assert gateway.chat(headers=bearer("sk-anything")).status_code == 200
        _, secret = make(tmp_path)
        eventually(lambda: gateway.chat().status_code == 401, "the gateway stays open")
        assert code(gateway.chat(headers=bearer("sk-anything"))) == (401, "invalid_api_key")
        assert gateway.chat(headers=bearer(secret)).status_code == 200
        assert gateway.http.get("/health/ready").json()["problems"] == []
        for path in (tmp_path / "keys.db", tmp_path / "keys.db-wal", tmp_path / "keys.db-shm"):
            path.unlink(missing_ok=True)
        eventually(lambda: gateway.http.get("/health/ready").json()["status"] == "degraded", "that the keys are gone is not said")
        assert (gateway.chat().status_code, gateway.chat(headers=bearer(secret)).status_code) == (401, 200)


def test_a_gateway_whose_only_key_was_revoked_starts_closed(tmp_path: Path) -> None:
    make(tmp_path, revoked_at=1.0)
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, POLICY.format(url=upstream.url), is_insecure=True) as gateway:
        assert gateway.chat().status_code == 401


@pytest.mark.parametrize("is_there", [False, True])
def test_a_gateway_does_not_start_where_keys_were_made_and_are_lost(tmp_path: Path, *, is_there: bool) -> None:
    make(tmp_path)
    (tmp_path / "keys.db").unlink()
    if is_there:
        (tmp_path / "keys.db").touch()
    policy = tmp_path / "policy.yaml"
    policy.write_text(one_model())
    settings = Settings(policy, data_dir=tmp_path, ledger=tmp_path / "ledger.db")
    with pytest.raises(ConfigError, match=r"keys\.made' says, but '.*keys\.db' .*, or delete '.*keys\.made' to begin"):
        build_app(settings)
    make(tmp_path)
    assert build_app(settings).directory.is_closed


# What a key may.


def test_models_lists_what_the_key_may_name(gateway: LiveGateway) -> None:
    def listed(**fields: Any) -> list[str]:
        return [model["id"] for model in models(gateway, known(gateway, permit=Permit(**fields))[1]).json()["data"]]

    assert listed() == ["auto", "cheap", "dear"]
    assert listed(models=("ch*",)) == ["auto", "cheap"]
    assert listed(routes=("rest",)) == ["auto"], "a model named outright goes by the route `direct`"
    assert listed(routes=("direct",), models=("dear",)) == ["dear"]
    assert listed(routes=("hard",), models=("cheap",)) == [], "`auto` would only ever be refused"


def test_one_model_is_shown_to_those_who_may_name_it(gateway: LiveGateway) -> None:
    _, secret = known(gateway, permit=Permit(models=("cheap",)))
    there = {name: gateway.http.get(f"/v1/models/{name}", headers=bearer(secret)) for name in ("auto", "cheap", "dear", "none")}
    assert [there[name].status_code for name in there] == [200, 200, 403, 404]
    assert (code(there["dear"])[1], code(there["none"])[1]) == ("model_not_allowed", "model_not_found")
    assert "dear" not in there["none"].json()["error"]["message"]


def test_what_a_key_may_not_use_is_never_asked(gateway: LiveGateway) -> None:
    key, secret = known(gateway, permit=Permit(models=("cheap",)))
    answer = gateway.chat("of whom?", headers=bearer(secret))
    assert (answer.headers["x-turnout-model"], answer.headers["x-turnout-route"]) == ("cheap", "rest")
    assert answer.headers["x-turnout-compromise"] == "dear is left out: the caller's key may not use it"
    entry = gateway.http.get(f"/v1/requests/{answer.headers['x-request-id']}", headers=bearer(secret)).json()
    assert (entry["key"], [a["model"] for a in entry["attempts"]]) == (key.id, ["cheap"])


def test_a_refusal_is_booked_under_the_key(gateway: LiveGateway) -> None:
    key, secret = known(gateway, permit=Permit(routes=("rest",)))
    for headers, asked in (({"x-turnout-route": "hard"}, "auto"), ({"x-turnout-tags": "level=hard"}, "auto"), ({}, "cheap")):
        refused = gateway.chat(headers=bearer(secret, **headers), model=asked)
        assert code(refused) == (403, "route_not_allowed")
        entry = gateway.http.get(f"/v1/requests/{refused.headers['x-request-id']}", headers=bearer(secret)).json()
        assert (entry["key"], entry["outcome"], entry["status"], entry["attempts"]) == (key.id, "refused", 403, [])
    assert gateway.chat(headers=bearer(secret, **{"x-turnout-route": "rest"})).status_code == 200


def test_the_dry_run_decides_as_the_key_would_have_it(gateway: LiveGateway) -> None:
    _, secret = known(gateway, permit=Permit(models=("cheap",)), tags={"level": "hard"})
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    story = gateway.http.post("/v1/route", json=body, headers=bearer(secret)).json()
    assert (story["decision"], story["error"]["code"]) == ("denial", "model_not_allowed")
    story = gateway.http.post("/v1/route", json=body, headers=bearer(secret, **{"x-turnout-tags": "level=easy"})).json()
    assert [target["model"] for target in story["targets"]] == ["cheap"]
    assert story["left_out"] == [{"model": "dear", "why": "the caller's key may not use it"}]


def test_the_keys_tags_hold_where_the_request_does_not_say_otherwise(gateway: LiveGateway) -> None:
    _, secret = known(gateway, tags={"level": "hard", "app": "ide"})
    plain = gateway.chat(headers=bearer(secret))
    assert plain.headers["x-turnout-route"] == "hard"
    other = gateway.chat(headers=bearer(secret, **{"x-turnout-tags": "level=easy"}))
    assert other.headers["x-turnout-route"] == "rest"
    entry = gateway.http.get(f"/v1/requests/{other.headers['x-request-id']}", headers=bearer(secret)).json()
    assert entry["tags"] == {"level": "easy", "app": "ide"}


def test_a_keys_own_limits_hold_beside_those_of_the_policy(gateway: LiveGateway) -> None:
    key, secret = known(gateway, limits=(("requests", Rate(2, 3600)),))
    _, other = known(gateway, limits=(("requests", Rate(2, 3600)),))
    answers = [gateway.chat(headers=bearer(secret)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    said = answers[-1].json()["error"]["message"]
    assert said.startswith(f"key '{key.id}' may send 2 requests an hour (a limit of its own); try again in")
    assert gateway.chat(headers=bearer(other)).status_code == 200


def test_a_teams_limit_counts_all_of_its_keys(gateway: LiveGateway) -> None:
    secrets = [known(gateway, team="pair")[1] for _ in range(2)]
    _, alone = known(gateway, team="solo")
    assert [gateway.chat(headers=bearer(secrets[n % 2])).status_code for n in range(3)] == [200, 200, 429]
    assert gateway.chat(headers=bearer(alone)).status_code == 200


# What keys share.


def outcomes(gateway: LiveGateway, prompt: str, secrets: list[str], scope: str) -> list[str]:
    answers = [gateway.chat(prompt, headers=bearer(secret, **{"x-turnout-tags": f"cache={scope}"})) for secret in secrets]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.headers["x-turnout-cache"] for answer in answers]


def test_answers_are_shared_within_a_team_and_never_beyond(gateway: LiveGateway) -> None:
    ann, bob, eve, lone, other = (known(gateway, team=team)[1] for team in ("us", "us", "them", None, None))
    for is_first in (True, False):
        mine = "miss" if is_first else "hit-exact"
        assert outcomes(gateway, "shared", [ann, bob, eve, lone, other], "team") == [mine, "hit-exact", mine, mine, mine]


def test_answers_of_a_key_are_its_own(gateway: LiveGateway) -> None:
    ann, bob = (known(gateway, team="ours")[1] for _ in range(2))
    assert outcomes(gateway, "private", [ann, bob, ann, bob], "key") == ["miss", "miss", "hit-exact", "hit-exact"]


def test_a_team_that_is_named_as_a_key_gets_nothing_of_that_keys(gateway: LiveGateway) -> None:
    key, secret = known(gateway)
    _, posing = known(gateway, team=key.id)
    assert outcomes(gateway, "posing", [secret, posing], "team") == ["miss", "miss"]


def test_an_answer_of_a_model_that_a_key_may_not_use_is_not_given_from_the_cache_either(gateway: LiveGateway) -> None:
    _, free = known(gateway)
    _, bound = known(gateway, permit=Permit(models=("cheap",)))
    tags = {"x-turnout-tags": "cache=all"}
    assert text_of(gateway.chat("for all", headers=bearer(free, **tags))).startswith("dear-1")
    answer = gateway.chat("for all", headers=bearer(bound, **tags))
    assert (answer.headers["x-turnout-cache"], text_of(answer)) == ("miss", "cheap-1 says 1")
    again = gateway.chat("for all", headers=bearer(bound, **tags))
    assert (again.headers["x-turnout-cache"], text_of(again)) == ("hit-exact", "cheap-1 says 1")


# What a key sees.


def test_a_key_sees_its_own_requests_and_the_operator_all(gateway: LiveGateway) -> None:
    _, mine = known(gateway, team="us")
    _, colleague = known(gateway, team="us")
    id_ = gateway.chat(headers=bearer(mine)).headers["x-request-id"]
    path = f"/v1/requests/{id_}"
    assert gateway.http.get(path, headers=bearer(mine)).status_code == 200
    assert code(gateway.http.get(path, headers=bearer(colleague))) == (404, "request_not_found")
    assert gateway.http.get(path, headers=bearer("of-the-operator")).status_code == 200


def test_an_id_that_two_callers_chose_is_each_ones_own(gateway: LiveGateway) -> None:
    keys = [known(gateway) for _ in range(2)]
    same = {"x-request-id": "the-same"}
    for key, secret in keys:
        assert gateway.chat(headers=bearer(secret, **same)).status_code == 200
        said = {"request_id": "the-same", "value": 1, "comment": f"of {key.id}"}
        assert gateway.http.post("/v1/feedback", json=said, headers=bearer(secret)).status_code == 200
    for key, secret in keys:
        entry = gateway.http.get("/v1/requests/the-same", headers=bearer(secret)).json()
        assert (entry["key"], [f["comment"] for f in entry["feedback"]]) == (key.id, [f"of {key.id}"])


def test_feedback_is_for_ones_own_requests_and_for_the_operator(gateway: LiveGateway) -> None:
    _, mine = known(gateway)
    _, other = known(gateway)
    id_ = gateway.chat(headers=bearer(mine)).headers["x-request-id"]
    sent = {secret: gateway.http.post("/v1/feedback", json={"request_id": id_, "value": 1}, headers=bearer(secret))
            for secret in (mine, other, "of-the-operator")}  # fmt: skip
    assert [sent[secret].status_code for secret in (mine, other, "of-the-operator")] == [200, 404, 200]


def test_the_admin_key_asks_no_model(gateway: LiveGateway) -> None:
    operator = bearer("of-the-operator")
    assert gateway.http.get("/v1/models", headers=operator).json()["data"] == []
    assert code(gateway.chat(headers=operator)) == (403, "route_not_allowed")
    assert code(gateway.chat(headers=operator, model="cheap")) == (403, "model_not_allowed")
