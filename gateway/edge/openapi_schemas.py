"""What bodies look like, for the API's own description: those that are read, of the types they are read into; answers by hand."""

from __future__ import annotations

from typing import Any, Final

from gateway.chat import MODEL_CHARS_MAX, ChatHead
from gateway.dialects.completions_request import CompletionBody
from gateway.dialects.messages_request import CountTokensRequest, MessagesRequest
from gateway.dialects.responses_fields import ResponsesBody
from gateway.edge.feedback import COMMENT_BYTES_MAX, TAG_CHARS_MAX, TAGS_MAX
from gateway.edge.json_schema import REF, Schema, Schemas
from gateway.embeddings import EmbeddingsHead

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
UNREAD: Final = "Further fields are passed on to providers that speak the dialect."


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": REF + name}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object; fields beyond these may be there."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **more}


def list_of(item: Schema, **more: Any) -> Schema:
    """An array."""
    return {"type": "array", "items": item, **more}


def schemas() -> dict[str, Schema]:
    """All of them by name: requests, answers, errors."""
    return {**_requests(), **_answers(), **_own(), **_errors()}


def _requests() -> dict[str, Schema]:
    """Of the types they are read into, with what is looked at after decoding."""
    found = {
        **_read_into(ChatHead, "Chat", "ChatRequest"),
        **_read_into(MessagesRequest, "Messages", "MessagesRequest"),
        **_read_into(CountTokensRequest, "Messages", "CountTokensRequest"),
        **_read_into(ResponsesBody, "Responses", "ResponsesRequest"),
        **_read_into(CompletionBody, "Completion", "CompletionRequest"),
        **_read_into(EmbeddingsHead, "Embeddings", "EmbeddingsRequest"),
    }
    for name in ("ChatRequest", "MessagesRequest", "CountTokensRequest"):
        found[name]["properties"]["messages"]["minItems"] = 1
    found["EmbeddingsRequest"]["properties"]["input"] = _EMBEDDINGS_INPUT
    return found


def _read_into(kind: type, prefix: str, name: str) -> dict[str, Schema]:
    """The struct under the name, and those in it, whose names begin with the prefix."""
    schemas = Schemas(prefix)
    described = schemas.of(kind)
    found = schemas.by_name
    request = found.pop(described["$ref"].removeprefix(REF))
    request["description"] = f"The fields that the gateway reads. {UNREAD}"
    request["properties"]["model"] = {"type": "string", "minLength": 1, "maxLength": MODEL_CHARS_MAX, "examples": ["auto"]}
    return {name: request, **found}


_EMBEDDINGS_INPUT: Final[Schema] = {
    "anyOf": [
        TEXT,
        list_of(TEXT, minItems=1),
        list_of(INTEGER, minItems=1, description="One text as tokens."),
        list_of(list_of(INTEGER), minItems=1, description="Several texts as tokens."),
    ]
}


def _answers() -> dict[str, Schema]:
    choice = record(
        {"index": INTEGER, "message": record({"role": TEXT}, {"content": {}, "tool_calls": {}}), "finish_reason": TEXT_OR_NULL}
    )
    return {
        "ChatCompletion": record(
            {"id": TEXT, "object": {"const": "chat.completion"}, "model": TEXT, "choices": list_of(choice)},
            {"created": INTEGER, "usage": OBJECT},
        ),
        "Message": record(
            {
                "id": TEXT,
                "type": {"const": "message"},
                "role": {"const": "assistant"},
                "model": TEXT,
                "content": list_of(record({"type": TEXT})),
                "stop_reason": TEXT_OR_NULL,
                "usage": record({"input_tokens": INTEGER, "output_tokens": INTEGER}),
            }
        ),
        "CountedTokens": record({"input_tokens": INTEGER}),
        "Compaction": record(
            {"id": TEXT, "object": {"const": "response.compaction"}, "output": list_of(record({"type": TEXT})), "usage": OBJECT}
        ),
        "InputTokens": record({"object": {"const": "response.input_tokens"}, "input_tokens": INTEGER}),
        "ProvidersOwn": {**OBJECT, "description": "As the provider gives it."},
        "ForProvider": {**OBJECT, "description": "As the provider takes it."},
        "Response": record(
            {
                "id": TEXT,
                "object": {"const": "response"},
                "status": TEXT,
                "model": TEXT,
                "output": list_of(record({"type": TEXT})),
                "usage": {"type": ["object", "null"]},
            },
            {"created_at": {"type": "number"}, "error": {}, "incomplete_details": {}},
        ),
        "DeletedResponse": record({"id": TEXT, "object": TEXT, "deleted": FLAG}),
        "Items": record(
            {
                "object": {"const": "list"},
                "data": list_of(OBJECT),
                "first_id": TEXT_OR_NULL,
                "last_id": TEXT_OR_NULL,
                "has_more": FLAG,
            }
        ),
        "Completion": record(
            {
                "id": TEXT,
                "object": {"const": "text_completion"},
                "model": TEXT,
                "choices": list_of(record({"index": INTEGER, "text": TEXT, "finish_reason": TEXT_OR_NULL})),
            },
            {"created": INTEGER, "usage": OBJECT},
        ),
        "Embeddings": record(
            {
                "object": {"const": "list"},
                "model": TEXT,
                "data": list_of(record({"object": TEXT, "index": INTEGER, "embedding": {"type": ["array", "string"]}})),
                "usage": record({"prompt_tokens": INTEGER, "total_tokens": INTEGER}),
            }
        ),
        "Model": record({"id": TEXT, "object": {"const": "model"}, "created": INTEGER, "owned_by": TEXT}),
        "Models": record({"object": {"const": "list"}, "data": list_of(ref("Model"))}),
        "AnthropicModel": record({"id": TEXT, "type": {"const": "model"}, "display_name": TEXT, "created_at": TEXT}),
        "AnthropicModels": record(
            {"data": list_of(ref("AnthropicModel")), "has_more": FLAG, "first_id": TEXT_OR_NULL, "last_id": TEXT_OR_NULL}
        ),
        "AnyModel": {"anyOf": [ref("Model"), ref("AnthropicModel")]},
        "AnyModels": {"anyOf": [ref("Models"), ref("AnthropicModels")]},
    }


def _own() -> dict[str, Schema]:
    tag = {"type": "string", "maxLength": TAG_CHARS_MAX}
    return {
        "Decision": record(
            {
                "decision": {"enum": ["plan", "answer", "denial"]},
                "route": TEXT_OR_NULL,
                "decided_by": TEXT_OR_NULL,
                "requested_model": TEXT,
                "facts": OBJECT,
                "routes": list_of(record({"route": TEXT, "matched": FLAG, "why": {}})),
                "policy": TEXT,
            },
            {"model": TEXT_OR_NULL, "provider": TEXT_OR_NULL, "targets": list_of(OBJECT), "error": OBJECT, "budget": OBJECT},
        ),
        "Feedback": record(
            {
                "request_id": {"type": "string", "minLength": 1, "description": "The `x-request-id` of the answer."},
                "value": {"type": "number", "minimum": -1, "maximum": 1},
            },
            {
                "comment": {"type": ["string", "null"], "description": f"At most {COMMENT_BYTES_MAX} bytes of UTF-8."},
                "tags": {
                    "anyOf": [
                        {"type": "null"},
                        list_of(tag, maxItems=TAGS_MAX),
                        {
                            "type": "object",
                            "additionalProperties": tag,
                            "propertyNames": {"maxLength": TAG_CHARS_MAX},
                            "maxProperties": TAGS_MAX,
                        },
                    ]
                },
            },
            additionalProperties=False,
        ),
        "FeedbackTaken": record({"request_id": TEXT, "value": {"type": "number"}, "evicted": INTEGER}),
        "Entry": record(
            {
                "request_id": TEXT,
                "at": {"type": "string", "format": "date-time"},
                "dialect": TEXT,
                "requested_model": TEXT,
                "outcome": TEXT,
                "status": INTEGER,
                "attempts": list_of(OBJECT),
                "cost_nusd": {"type": ["integer", "null"]},
                "cost_usd": NUMBER_OR_NULL,
            }
        ),
        "Live": record({"status": {"const": "ok"}}),
        "Ready": record(
            {
                "status": {"enum": ["ok", "degraded", "unavailable", "draining"]},
                "policy": TEXT,
                "models": {"type": "object", "additionalProperties": TEXT},
                "problems": list_of(TEXT),
            }
        ),
        "Cache": record({"store": TEXT, "problem": TEXT_OR_NULL, "routes": OBJECT}),
        "CacheEntries": record({"entries": list_of(OBJECT)}),
        "CacheEvicted": record({"evicted": INTEGER}),
        "Budgets": record({"problem": TEXT_OR_NULL, "budgets": list_of(OBJECT)}),
    }


def _errors() -> dict[str, Schema]:
    return {
        "OpenAIError": record(
            {
                "error": record(
                    {"message": TEXT, "type": TEXT, "param": TEXT_OR_NULL, "code": TEXT},
                    {"details": list_of(OBJECT, description="Of each target that failed, its last cause.")},
                )
            }
        ),
        "AnthropicError": record(
            {
                "type": {"const": "error"},
                "error": record({"type": TEXT, "message": TEXT, "code": TEXT}, {"param": TEXT, "details": list_of(OBJECT)}),
                "request_id": TEXT_OR_NULL,
            }
        ),
        "AnyError": {"anyOf": [ref("OpenAIError"), ref("AnthropicError")]},
    }
