"""`GET /openapi.json`: the API as OpenAPI 3.1 describes it, the hot routes included, which FastAPI does not know."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response

from gateway.edge.json_schema import Schema
from gateway.edge.openapi_operations import NOT_LET_IN, OPERATIONS, Operation
from gateway.edge.openapi_parameters import Parameter
from gateway.edge.openapi_schemas import ref, schemas
from gateway.edge.openapi_tags import TAGS, tag_of

ABOUT: Final = (
    "An LLM gateway that speaks OpenAI's and Anthropic's dialects. Of their requests and answers this names what the gateway "
    "itself reads; the other fields of theirs are taken as well, and reach a provider that knows them."
)


def openapi_routes(version: str) -> APIRouter:
    """The route. It tells nothing of who is served what, so it needs no key."""
    router = APIRouter()
    document = msgspec.json.encode(openapi_document(version))

    @router.get("/openapi.json", include_in_schema=False)
    async def read() -> Response:
        """The description."""
        return Response(document, media_type="application/json")

    return router


def openapi_document(version: str) -> dict[str, Any]:
    """The description. version: of the gateway."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Turnout", "version": version, "description": ABOUT},
        "tags": [{"name": tag, "description": description} for tag, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [tag_of(operation.path)],
        "summary": operation.summary,
        "security": _security(operation),
        "responses": _responses(operation),
    }
    if operation.parameters:
        described["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.request is not None:
        described["requestBody"] = {"required": True, "content": _json(ref(operation.request))}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """Without virtual keys callers on the gateway's own machine need none."""
    either: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]
    return {"caller": [*either, {}], "operator": either, "open": []}[operation.door]


def _responses(operation: Operation) -> dict[str, Any]:
    content = _json(ref(operation.answer)) if operation.answer is not None else {"text/plain": {"schema": {"type": "string"}}}
    if operation.can_stream:
        content = {**content, "text/event-stream": {}}
    responses = {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in operation.fine}
    errors = {*operation.errors, *(() if operation.door == "open" else NOT_LET_IN)} - set(operation.fine)
    error = _json(ref(operation.error))
    return responses | {str(status): {"description": HTTPStatus(status).phrase, "content": error} for status in sorted(errors)}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
