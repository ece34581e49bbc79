"""Bad requests: one clear message with the remedy, the right status, and a gateway that stays up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live_gateway import LiveGateway
from tests.scenario.policies import one_model

URL = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("bad-input"), one_model()) as live:
        yield live
        assert live.chat("still there?").status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "param", "said"),
    [
        (b"", "invalid_json", None, "empty"),
        (b"   ", "invalid_json", None, "empty"),
        (b"{", "invalid_json", None, "not valid JSON"),
        (b'{"model": "auto", "messages": [}', "invalid_json", None, "not valid JSON"),
        (b'{"model": "auto", "messages": []} trailing', "invalid_json", None, "not valid JSON"),
        (b'{"model": NaN}', "invalid_json", None, "not valid JSON"),
        (b'{"model": "\xff"}', "invalid_json", None, "UTF-8"),
        (b"[" * 100_000, "invalid_type", None, "object"),
        (
            b'{"model": "auto", "messages": [{"role": "user", "content": ' + b"[" * 100_000,
            "invalid_type",
            "messages[0].content[0]",
            "",
        ),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "x": ' + b"[" * 100_000, "invalid_json", None, ""),
        (b"[]", "invalid_type", None, "object"),
        (b'"auto"', "invalid_type", None, "object"),
        (b"{}", "invalid_type", "model", "`model` is missing"),
        (json.dumps({"model": "auto"}).encode(), "invalid_type", "messages", "`messages` is missing"),
        (json.dumps({"model": 7, "messages": HELLO}).encode(), "invalid_type", "model", "Expected `str`"),
        (json.dumps({"model": "", "messages": HELLO}).encode(), "invalid_model", "model", "auto"),
        (json.dumps({"model": "auto", "messages": []}).encode(), "empty_messages", "messages", "at least one"),
        (json.dumps({"model": "auto", "messages": "hello"}).encode(), "invalid_type", "messages", "Expected `array`"),
        (json.dumps({"model": "auto", "messages": ["hello"]}).encode(), "invalid_type", "messages[0]", "Expected `object`"),
        (json.dumps({"model": "auto", "messages": [{"content": "x"}]}).encode(), "invalid_type", "messages[0].role", "missing"),
        (
            json.dumps({"model": "auto", "messages": [{"role": "robot", "content": "x"}]}).encode(),
            "invalid_type",
            "messages[0].role",
            "robot",
        ),
        (
            json.dumps({"model": "auto", "messages": [{"role": "user", "content": 7}]}).encode(),
            "invalid_type",
            "messages[0].content",
            "Expected",
        ),
        (json.dumps({"model": "auto", "messages": HELLO, "stream": "yes"}).encode(), "invalid_type", "stream", "Expected"),
        (json.dumps({"model": "auto", "messages": HELLO, "tools": {}}).encode(), "invalid_type", "tools", "Expected"),
    ],
)
def test_a_bad_body_is_a_400_that_names_the_field(
    gateway: LiveGateway, body: bytes, code: str, param: str | None, said: str
) -> None:
    response = gateway.http.post(URL, content=body, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert (error["code"], error["param"]) == (code, param)
    assert said in error["message"]
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("path", [URL, "/v1/route"])
def test_a_body_of_20_mb_is_a_413_that_says_the_limit(gateway: LiveGateway, path: str) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x" * 20_000_000}]})
    response = gateway.http.post(path, content=body)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"
    assert "TURNOUT_MAX_BODY_MB" in response.json()["error"]["message"]


def test_a_body_without_a_length_is_bounded_as_well(gateway: LiveGateway) -> None:
    response = gateway.http.post(URL, content=(b"x" * 1_000_000 for _ in range(20)))
    assert response.status_code == 413


def test_an_unknown_model_is_a_404_that_names_the_known_ones(gateway: LiveGateway) -> None:
    response = gateway.chat("hello", model="gpt-99")
    error = response.json()["error"]
    assert response.status_code == 404
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "auto, first" in error["message"]
    assert gateway.entry(response)["outcome"] == "refused"


@pytest.mark.parametrize(
    ("header", "value", "status", "said"),
    [
        ("x-turnout-route", "nowhere", 404, "known: all"),
        ("x-turnout-tags", "app", 400, "NAME=VALUE"),
        ("x-turnout-tags", "a=1,=2", 400, "NAME=VALUE"),
        ("x-turnout-cache", "maybe", 400, "bypass, refresh, only"),
    ],
)
def test_a_bad_header_is_named(gateway: LiveGateway, header: str, value: str, status: int, said: str) -> None:
    response = gateway.chat("hello", headers={header: value})
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


@pytest.mark.parametrize("id_", ["bad id", "x" * 200, "a\tb"])
def test_an_unfit_request_id_is_replaced(gateway: LiveGateway, id_: str) -> None:
    assert gateway.chat("hello", headers={"x-request-id": id_}).headers["x-request-id"].startswith("req_")
    assert gateway.chat("hello", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", URL, 404),
        ("PUT", URL, 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/models/nothing", 404),
        ("GET", "/v1/requests/nothing", 404),
    ],
)
def test_a_wrong_path_or_method_is_an_error_in_the_same_shape(gateway: LiveGateway, method: str, path: str, status: int) -> None:
    response = gateway.http.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "\u202e",
        "😀" * 500,
        "a" * 300_000,
        "\\",
        '"',
        "{{}}",
        "%s %n",
        "</script>",
        "١٢٣",
        "\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    ],
)
def test_any_text_is_answered(gateway: LiveGateway, text: str) -> None:
    assert gateway.chat(text).status_code == 200


def test_a_lone_surrogate_is_answered_or_refused_but_never_a_500(gateway: LiveGateway) -> None:
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    assert gateway.http.post(URL, content=body).status_code in (200, 400)


def test_content_in_parts_is_read(gateway: LiveGateway) -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]
    body = {"model": "auto", "messages": [{"role": "user", "content": parts}]}
    facts = gateway.http.post("/v1/route", json=body).json()["facts"]
    assert gateway.http.post(URL, json=body).status_code == 200
    assert facts["model"] == "auto"
