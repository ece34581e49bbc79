"""Fields that are missing or of a wrong type: a 400 in the dialect that names the field; what is not read is passed on."""

from __future__ import annotations

import pytest

from tests.bad_input.conftest import World
from tests.bad_input.endpoints import ENDPOINTS, Endpoint
from tests.bad_input.fields import KINDS, READ, UNREAD, Field


@pytest.mark.parametrize("field", READ, ids=lambda field: f"{field.endpoint.path}:{field.path}")
def test_a_field_of_a_wrong_type_is_named(here: World, field: Field) -> None:
    endpoint = field.endpoint
    for kind in field.wrong:
        response = endpoint.post(here.gateway.http, field.body(KINDS[kind]))
        assert response.status_code == 400, f"{kind}: {response.text[:300]}"
        error = endpoint.error(response)
        named = error.get("param")
        assert named is not None and named.startswith(field.name), f"{kind}: {error}"
        assert error["code"] in ("invalid_type", "invalid_value"), f"{kind}: {error}"
        assert field.name.split(".")[0].split("[")[0] in error["message"], f"{kind}: {error}"


@pytest.mark.parametrize("field", READ, ids=lambda field: f"{field.endpoint.path}:{field.path}")
def test_the_other_types_are_not_refused_for_it(here: World, field: Field) -> None:
    """So that the table above says all that is right, too."""
    for kind in field.right:
        response = field.endpoint.post(here.gateway.http, field.body(KINDS[kind]))
        if response.status_code == 400:  # for what is in it, or what it asks for
            error = field.endpoint.error(response)
            assert (error["code"], error.get("param")) != ("invalid_type", field.name), f"{kind}: {error}"
        else:
            assert response.status_code in (200, 404), f"{kind}: {response.text[:300]}"


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [(endpoint, name) for endpoint in ENDPOINTS for name in endpoint.needs],
    ids=lambda value: value if isinstance(value, str) else value.path,
)
def test_a_missing_field_is_named(here: World, endpoint: Endpoint, name: str) -> None:
    response = endpoint.post(here.gateway.http, endpoint.without(name))
    error = endpoint.error(response)
    assert response.status_code == 400
    assert error.get("param") == name
    assert name in error["message"]


@pytest.mark.parametrize(
    ("endpoint", "name"), [(endpoint, name) for endpoint, names in UNREAD for name in names], ids=lambda value: str(value)[:40]
)
def test_what_is_not_read_arrives_as_it_came(here: World, endpoint: Endpoint, name: str) -> None:
    for value in KINDS.values():
        response = endpoint.post(here.gateway.http, endpoint.filled(**{name: value}))
        assert response.status_code == 200, response.text[:300]
        asked = here.provider.server.requests[-1].json()
        assert asked[name] == value and type(asked[name]) is type(value)
