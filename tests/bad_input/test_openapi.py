"""The gateway is called as its own description says, rightly and wrongly: no 5xx, nothing undocumented, nothing that hangs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, settings
from schemathesis import AuthContext, Case
from schemathesis.specs.openapi.checks import allow_header_conformance, ignored_auth, positive_data_acceptance

from gateway.edge.openapi import openapi_document
from gateway.edge.openapi_operations import OPERATIONS, Operation
from tests.bad_input import world
from tests.live_gateway import LiveGateway

HANGS_S: Final = 20.0
# What their descriptions cannot say: a name must be one of the policy, `all` and a selector exclude each other; and blocks,
# items and tools are read one by one, and what only their own dialect has is refused by this policy's model, which speaks chat.
REFUSES_MORE: Final = (
    "/v1/embeddings",
    "/admin/cache/entries",
    "/v1/models",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/responses/input_tokens",
    "/v1/completions",
)

API: Final = schemathesis.openapi.from_dict(openapi_document("test"))


@API.auth().apply_to(path_regex="^/admin/")
class OperatorsKey:
    """In the header that comes first, since the other may hold anything."""

    def get(self, case: Case, context: AuthContext) -> str:
        return world.ADMIN_KEY

    def set(self, case: Case, data: str, context: AuthContext) -> None:
        case.headers = {**(case.headers or {}), "x-api-key": data}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with (
        world.provider() as provider,
        LiveGateway(
            tmp_path_factory.mktemp("openapi"), world.policy(provider.url, is_played=True), admin_key=world.ADMIN_KEY
        ) as live,
    ):
        yield live
        assert live.chat("still there?").status_code == 200


@pytest.mark.timeout(300)  # some thousand requests; a minute for all operations where nothing else runs
@API.parametrize()
@settings(suppress_health_check=list(HealthCheck))
def test_the_api_is_as_it_says(gateway: LiveGateway, case: Case) -> None:
    excluded = [ignored_auth, allow_header_conformance]
    if case.path in REFUSES_MORE:
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=gateway.url, timeout=HANGS_S, excluded_checks=excluded)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.door == "operator"], ids=lambda one: one.id)
def test_the_operators_key_is_needed_where_it_says(gateway: LiveGateway, operation: Operation) -> None:
    for key in (None, "another"):
        response = gateway.http.request(operation.method, operation.path, headers={"x-api-key": key} if key else {})
        assert response.status_code == 401


def test_the_gateway_gives_its_description(gateway: LiveGateway) -> None:
    response = gateway.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["paths"] == openapi_document("")["paths"]


def test_every_route_is_described_and_every_description_has_a_route(gateway: LiveGateway) -> None:
    served: set[tuple[str, str]] = {("post", path) for path in gateway.app.hot}
    assert gateway.http.get("/health/live").status_code == 200  # so that the routes are there
    assert gateway.app.api is not None and isinstance(gateway.app.api.app, FastAPI)
    for route in iter_route_contexts(gateway.app.api.app.routes):
        place = re.sub(r"{(\w+?)_?(:\w+)?}", r"{\1}", route.path)
        served |= {(method.lower(), place) for method in route.methods - {"HEAD"}}
    described = {(operation.method, operation.path) for operation in OPERATIONS}
    assert served - {("get", "/openapi.json")} == described


def test_every_schema_is_one() -> None:
    for name, schema in openapi_document("")["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("type") == "object" or "anyOf" in schema, name


def test_every_operation_has_a_group_and_every_group_an_operation() -> None:
    document = openapi_document("")
    used = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}


def test_what_is_referred_to_is_there_and_all_that_is_there_is_referred_to() -> None:
    document = openapi_document("")
    told = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(_references(document)) == told


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
