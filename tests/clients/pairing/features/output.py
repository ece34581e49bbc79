"""The form of the answer."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, Refused, Unsaid, saying
from tests.clients.pairing.says import Says

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
ANSWER = Says('{"city": "Oslo"}')
PROMPT = "The capital of Norway, as JSON."

JSON_MODE = Feature(
    name="json-mode",
    title="JSON mode",
    asks=saying(
        PROMPT,
        chat={"response_format": {"type": "json_object"}},
        messages=Unsaid({"messages": [], "max_tokens": 1, "output_config": {"format": {"type": "json_object"}}}),
        responses={"text": {"format": {"type": "json_object"}}},
    ),
    sent={
        "chat": {"response_format": {"type": "json_object"}},
        "responses": {"text": {"format": {"type": "json_object"}}},
        "gemini": {"generationConfig": {"response_mime_type": "application/json"}},
    },
    says=(ANSWER,),
    but={("any", "anthropic"): Refused("response_format")},
)

JSON_SCHEMA = Feature(
    name="json-schema",
    title="JSON of a schema",
    asks=saying(
        PROMPT,
        chat={"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}},
        messages={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        responses={"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}},
    ),
    sent={
        "chat": {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA, "strict": True}}},
        "responses": {"text": {"format": {"type": "json_schema", "schema": SCHEMA, "strict": True}}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        "gemini": {"generationConfig": {"response_mime_type": "application/json", "response_json_schema": SCHEMA}},
    },
    says=(ANSWER,),
)

VERBOSITY = Feature(
    name="verbosity",
    title="How wordy the answer is",
    asks=saying(chat={"verbosity": "low"}, messages=Unsaid("verbosity"), responses={"text": {"verbosity": "low"}}),
    sent={"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
    but={("any", "anthropic"): Refused("verbosity"), ("any", "gemini"): Refused("verbosity")},
)

FEATURES = (JSON_MODE, JSON_SCHEMA, VERBOSITY)
