"""What a tool is called with when the caller demands a call and no cue says what to answer: the least that its schema allows."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.upstream.cue import Answer, ToolCall

SAMPLES: dict[str, Any] = {"string": "Lyon", "integer": 1, "number": 0.5, "boolean": True, "null": None}


def demanded_call(body: dict[str, Any]) -> Answer | None:
    """The answer to a request that leaves the model no choice but to call a tool."""
    choice, tools = body.get("tool_choice"), body.get("tools")
    is_demanded = choice == "required" or (isinstance(choice, dict) and choice.get("type") in ("any", "tool", "function"))
    if not is_demanded or not tools:
        return None
    tool = tools[0].get("function", tools[0])
    schema = tool.get("input_schema") or tool.get("parameters") or {}
    return Answer(calls=(ToolCall(tool["name"], json.dumps(example(schema, schema)), "call_0"),))


def example(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return example(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: example(part, root) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), root)]
    return SAMPLES.get(schema.get("type", "string"), "Lyon")
