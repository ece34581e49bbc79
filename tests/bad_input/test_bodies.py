"""Bodies that are no JSON, no object, or odd: a 400 in the endpoint's own words, or an answer; never a 500."""

from __future__ import annotations

import json

import pytest

from tests.bad_input.conftest import World
from tests.bad_input.endpoints import ENDPOINTS, FEEDBACK, Endpoint
from tests.bad_input.malformed import malformed, not_objects, odd

EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)


@EACH
def test_what_is_no_json_is_a_400(here: World, endpoint: Endpoint) -> None:
    for name, body in malformed(endpoint.body):
        response = endpoint.post(here.gateway.http, body)
        assert response.status_code == 400, f"{name}: {response.text[:200]}"
        assert endpoint.error(response)["code"] in ("invalid_json", "invalid_type", "unknown_field"), name


@EACH
def test_what_is_no_object_is_a_400(here: World, endpoint: Endpoint) -> None:
    for name, body in not_objects():
        response = endpoint.post(here.gateway.http, body)
        assert response.status_code == 400, f"{name}: {response.text[:200]}"
        assert "object" in endpoint.error(response)["message"], name


@EACH
def test_what_is_odd_is_answered_or_refused(here: World, endpoint: Endpoint) -> None:
    for name, body in odd(endpoint.body):
        response = endpoint.post(here.gateway.http, body)
        expected = (400, 404) if endpoint is FEEDBACK else (200, 400)
        assert response.status_code in expected, f"{name}: {response.status_code} {response.text[:200]}"
        if response.status_code == 400:
            endpoint.error(response)


@EACH
@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/json; charset=latin-1", "multipart/form-data; boundary=x", "\u00e9"]
)
def test_the_content_type_does_not_matter(here: World, endpoint: Endpoint, content_type: str) -> None:
    """Clients send what they like; the bytes are JSON in UTF-8 or they are not."""
    body = json.dumps(endpoint.body).encode()
    headers = {**endpoint.headers, "content-type": content_type.encode("latin-1")}
    response = here.gateway.http.post(endpoint.path, content=body, headers=headers)
    assert response.status_code == (404 if endpoint is FEEDBACK else 200), response.text[:300]
