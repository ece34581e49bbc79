"""What is refused makes the official clients raise the class that they have for it, with the field where they look for it."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from tests.bad_input.conftest import World
from tests.bad_input.fields import KINDS, READ, Field

OPENAI_PATHS = {
    "/v1/chat/completions": "chat/completions",
    "/v1/responses": "responses",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
}
OPENAI_FIELDS = [field for field in READ if field.endpoint.path in OPENAI_PATHS]
ANTHROPIC_FIELDS = [field for field in READ if field.endpoint.is_anthropic]


@pytest.fixture(scope="module")
def of_openai(here: World) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{here.gateway.url}/v1", api_key="whatever", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def of_anthropic(here: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=here.gateway.url, api_key="whatever", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("field", OPENAI_FIELDS, ids=lambda field: f"{field.endpoint.path}:{field.path}")
def test_openais_client_raises_bad_request(of_openai: openai.OpenAI, field: Field) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        of_openai.post(OPENAI_PATHS[field.endpoint.path], cast_to=object, body=field.body(KINDS[field.wrong[0]]))
    assert raised.value.param is not None and raised.value.param.startswith(field.name)
    assert raised.value.code in ("invalid_type", "invalid_value")
    assert raised.value.type == "invalid_request_error"
    assert raised.value.request_id


@pytest.mark.parametrize("field", ANTHROPIC_FIELDS, ids=lambda field: f"{field.endpoint.path}:{field.path}")
def test_anthropics_client_raises_bad_request(of_anthropic: anthropic.Anthropic, field: Field) -> None:
    with pytest.raises(anthropic.BadRequestError) as raised:
        of_anthropic.post(field.endpoint.path, cast_to=object, body=field.body(KINDS[field.wrong[0]]))
    body = raised.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == "invalid_request_error"
    assert field.name in body["error"]["message"]
