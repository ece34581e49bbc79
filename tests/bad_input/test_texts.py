"""Hostile texts wherever a text may stand: they arrive as they are, or are refused; nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.bad_input.conftest import World
from tests.bad_input.endpoints import ENDPOINTS, FEEDBACK, MODEL_ENDPOINTS, Endpoint
from tests.bad_input.texts import TEXTS

HEADERS: Final = (
    "authorization",
    "x-api-key",
    "x-request-id",
    "x-turnout-route",
    "x-turnout-tags",
    "x-turnout-session",
    "x-turnout-cache",
    "x-turnout-cache-ttl",
    "x-turnout-debug",
    "traceparent",
    "accept",
    "user-agent",
    "anthropic-beta",
    "anthropic-version",
)
PATHS: Final = ("/v1/models/{}", "/v1/requests/x{}", "/{}", "/v1/{}")
QUERIES: Final = ("id", "tenant", "route", "older_than", "limit", "all")

PLACES: Final = [(endpoint, place) for endpoint in ENDPOINTS for place in endpoint.texts]


@pytest.mark.parametrize(("endpoint", "place"), PLACES, ids=lambda value: value if isinstance(value, str) else value.path)
def test_a_text_arrives_as_it_is(here: World, endpoint: Endpoint, place: str) -> None:
    for text in TEXTS:
        body = endpoint.texts[place](text)
        response = endpoint.post(here.gateway.http, body)
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


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if "model" in e.body], ids=lambda endpoint: endpoint.path)
def test_a_hostile_model_name_is_refused(here: World, endpoint: Endpoint) -> None:
    for text in TEXTS:
        response = endpoint.post(here.gateway.http, endpoint.filled(model=text))
        if endpoint.path == "/v1/route" and 0 < len(text) <= 256:
            assert response.status_code == 200 and response.json()["decision"] == "denial"
            continue
        assert response.status_code in (400, 404), f"{text[:60]!r}: {response.text[:200]}"
        assert len(endpoint.error(response)["message"]) < 1000, "an error should not say all of it again"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_a_hostile_key_in_the_body_is_passed_on_or_refused(here: World, endpoint: Endpoint) -> None:
    for text in TEXTS:
        if text in endpoint.body:
            continue
        response = endpoint.post(here.gateway.http, {**endpoint.body, text: 1})
        assert response.status_code in ((400,) if endpoint is FEEDBACK else (200, 400)), f"{text[:60]!r}: {response.text[:200]}"


@pytest.mark.parametrize("header", HEADERS)
def test_a_hostile_header_is_read_or_refused(here: World, header: str) -> None:
    for endpoint in ENDPOINTS:
        for value in header_values():
            response = endpoint.post(here.gateway.http, endpoint.body, {header: value})  # type: ignore[dict-item]
            assert response.status_code < 500, f"{value[:60]!r}: {response.text[:200]}"
            assert response.headers["x-request-id"].isascii()
            if response.status_code != 200 and (header != "anthropic-version" or endpoint in MODEL_ENDPOINTS):
                endpoint.error(response)  # elsewhere this header asks for errors in Anthropic's shape


def header_values() -> Iterator[bytes]:
    """The texts, as far as HTTP lets them be sent."""
    for text in TEXTS:
        value = text.encode()[:4000].strip()
        if value and not any(byte < 32 or byte == 127 for byte in value):
            yield value


@pytest.mark.parametrize("path", PATHS)
def test_a_hostile_path_is_a_404(here: World, path: str) -> None:
    for text in TEXTS:
        for method in ("GET", "POST", "DELETE"):
            response = here.gateway.http.request(method, path.format(quoted(text)))
            assert response.status_code in (404, 405), f"{text[:60]!r}: {response.status_code} {response.text[:200]}"
            assert response.json()["error"]["message"]


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_query_selects_nothing_or_is_refused(here: World, name: str) -> None:
    for text in TEXTS:
        if len(text) > 4000 or (name, text) == ("all", "true"):
            continue
        for method in ("GET", "DELETE"):
            headers = {"x-api-key": "of-the-operator"}
            response = here.gateway.http.request(method, f"/admin/cache/entries?{name}={quote(text, safe='')}", headers=headers)
            assert response.status_code in (200, 400), f"{text[:60]!r}: {response.status_code} {response.text[:200]}"


def quoted(text: str) -> str:
    """The text as a step of a path, not so long that a URL ends before it, and never one that leads up, or nowhere."""
    return quote(f"~{text}"[:300], safe="")


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)
