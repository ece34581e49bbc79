"""Public collections of hostile input against every endpoint, where TURNOUT_NEGATIVE_DATA names the folder they are in."""

from __future__ import annotations

import json

import pytest

from tests.bad_input import corpora
from tests.bad_input.conftest import World
from tests.bad_input.endpoints import ENDPOINTS, FEEDBACK, MODEL_ENDPOINTS, Endpoint
from tests.bad_input.test_texts import HEADERS, PLACES, quoted, strings

EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
LONG_S = 300
pytestmark = pytest.mark.timeout(LONG_S)


@EACH
def test_json_that_is_none_is_a_400_as_the_whole_body(here: World, endpoint: Endpoint) -> None:
    """None of these is a right body, whether it is JSON or not."""
    for name, _, data in corpora.json_texts():
        response = endpoint.post(here.gateway.http, data)
        assert response.status_code == 400, f"{name}: {response.status_code} {response.text[:200]}"
        endpoint.error(response)


@EACH
def test_json_that_is_none_is_a_400_within_a_right_body(here: World, endpoint: Endpoint) -> None:
    """Where the gateway reads nothing it still refuses what no parser reads; what parsers may read, it may pass on."""
    for name, expect, data in corpora.json_texts():
        body = json.dumps(endpoint.body).encode()[:-1] + b', "x": ' + data + b"}"
        if expect == "reject" and _is_json(body):
            continue  # in here it is: an unclosed object, say, that our own brace closes
        response = endpoint.post(here.gateway.http, body)
        right = (400,) if expect == "reject" or endpoint is FEEDBACK else (200, 400)
        assert response.status_code in right, f"{name}: {response.status_code} {response.text[:200]}"
        if response.status_code == 400:
            endpoint.error(response)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError):
        return False
    return True


def _refused(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize(("endpoint", "place"), PLACES, ids=lambda value: value if isinstance(value, str) else value.path)
def test_a_text_arrives_as_it_is(here: World, endpoint: Endpoint, place: str) -> None:
    for text in corpora.strings():
        response = endpoint.post(here.gateway.http, endpoint.texts[place](text))
        if endpoint is FEEDBACK:
            assert response.status_code in (400, 404), f"{text[:60]!r}: {response.text[:200]}"
            endpoint.error(response)
            continue
        if not text and response.status_code == 400:
            assert endpoint.error(response)["code"].startswith("empty")
            continue
        assert response.status_code == 200, f"{text[:60]!r}: {response.text[:200]}"
        if endpoint in MODEL_ENDPOINTS:
            asked = json.loads(here.provider.server.requests[-1].body)
            assert not text or text in set(strings(asked)), f"{text[:60]!r} did not arrive"


@EACH
def test_names_are_refused(here: World, endpoint: Endpoint) -> None:
    if "model" not in endpoint.body:
        pytest.skip("names no model")
    for text in corpora.strings():
        response = endpoint.post(here.gateway.http, endpoint.filled(model=text))
        if endpoint.path == "/v1/route" and response.status_code == 200:
            assert response.json()["decision"] == "denial"
            continue
        assert response.status_code in (400, 404), f"{text[:60]!r}: {response.text[:200]}"
        endpoint.error(response)


@pytest.mark.parametrize("header", HEADERS)
def test_headers_are_read_or_refused(here: World, header: str) -> None:
    for text in corpora.strings():
        value = text.encode()[:4000].strip()
        if any(byte < 32 or byte == 127 for byte in value):
            continue
        response = MODEL_ENDPOINTS[0].post(here.gateway.http, MODEL_ENDPOINTS[0].body, {header: value})  # type: ignore[dict-item]
        assert response.status_code in (200, 400, 404), f"{text[:60]!r}: {response.text[:200]}"


@pytest.mark.parametrize("path", ["/v1/models/{}", "/v1/requests/x{}", "/v1/responses/{}", "/v1/{}", "/admin/{}"])
def test_paths_are_not_found(here: World, path: str) -> None:
    for text in corpora.strings():
        response = here.gateway.http.get(path.format(quoted(text)))
        assert response.status_code in (307, 404, 405), f"{text[:60]!r}: {response.status_code} {response.text[:200]}"
        assert response.has_redirect_location or response.json()["error"]["message"]  # one that ends in a slash is led back
