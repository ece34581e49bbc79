"""A request in the canonical form as an OpenAI Responses request. Bytes to bytes, no I/O.

What cannot be carried is refused by name, so that a plan goes on to a target that can. Left out on purpose, since an answer
without them is still an answer to the question: HINTS below, `name` of a message, marks for Anthropic's cache, and of earlier
turns the reasoning that is not sealed by OpenAI (`thinking_blocks`, `reasoning_content`). The provider keeps nothing unless the
caller says `store`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.chat import decode_body
from gateway.providers.canonical import Json, Tool
from gateway.providers.openai_request import effort_of
from gateway.providers.responses_input import ChatMessage, input_items
from gateway.providers.unsupported import not_chat, unsupported
from gateway.providers.user_ids import openai_user

HINTS: Final = frozenset(
    {
        "cache_control",
        "prediction",
        "seed",  # best effort where it exists; the Responses API has none
        "thinking",  # said as an effort
    }
)
# Fields of the same name and meaning.
_SAME: Final = (
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "top_logprobs",
    "moderation",
)
# Fields that are refused unless they ask for what happens anyway.
_NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "n": (1,),
    "stop": ([], ""),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "functions": ([],),
    "function_call": ("auto", "none"),
}
_NO_PARAMETERS: Final[Json] = {"type": "object", "properties": {}}


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: Json | None = None


class _Request(msgspec.Struct):
    """The fields that are carried under another name or in another shape."""

    messages: list[ChatMessage]
    tools: list[Tool] | None = None
    tool_choice: str | Json | None = None
    response_format: _Format | None = None
    verbosity: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    store: bool | None = None
    stream_options: Json | None = None


_CARRIED: Final = frozenset(_Request.__struct_fields__) | {"model", "stream"} | frozenset(_SAME)


def responses_body(body: bytes, model_id: str, *, is_stream: bool) -> bytes:
    """The body for POST /responses.

    Raises UpstreamError: `unsupported`, naming the field; ClientError if the body is not JSON after all.
    """
    fields: Json = decode_body(body)
    for name, value in fields.items():
        if value is None or name in _CARRIED or name in HINTS:
            continue
        if value not in _NEUTRAL.get(name, ()):
            raise unsupported(name, "has no counterpart in the Responses API")
    try:
        request = msgspec.convert(fields, _Request)
    except msgspec.ValidationError as exc:
        raise not_chat(exc) from exc
    translated: Json = {"model": model_id, "input": input_items(request.messages), "store": request.store or False}
    if is_stream:
        translated["stream"] = True
    translated |= {name: value for name in _SAME if (value := fields.get(name)) is not None}
    translated |= _tools(request) | _text(request) | _reported(request)
    bound = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    if bound is not None:
        translated["max_output_tokens"] = bound
    effort = effort_of(fields)
    if effort is not None:
        translated["reasoning"] = {"effort": effort}
    if isinstance(user := fields.get("user"), str):
        translated["user"] = openai_user(user)
    return msgspec.json.encode(translated)


def _tools(request: _Request) -> Json:
    choice, fields = request.tool_choice, Json()
    if request.tools:
        fields["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(request.tools)]
    if choice is not None:
        fields["tool_choice"] = choice if isinstance(choice, str) else _choice(choice)
    return fields


def _tool(tool: Tool, where: str) -> Json:
    if tool.type == "custom" and tool.custom is not None:
        described = {"description": tool.custom.description, "format": _flat(tool.custom.format, "grammar")}
        return {"type": "custom", "name": tool.custom.name, **{k: v for k, v in described.items() if v is not None}}
    if tool.function is None:
        raise unsupported(where, f"is a {tool.type!r} tool, which has no counterpart in the Responses API")
    function = tool.function
    fields: Json = {
        "type": "function",
        "name": function.name,
        "parameters": function.parameters or _NO_PARAMETERS,
        # Here functions are strict unless they say otherwise, in the chat dialect the other way round.
        "strict": bool(function.strict),
    }
    return fields if function.description is None else {**fields, "description": function.description}


def _choice(choice: Json) -> Json:
    match choice:
        case {"type": ("function" | "custom") as kind}:
            return _named(choice, kind)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            named = [_named(tool, tool["type"]) if isinstance(tool, dict) and "type" in tool else tool for tool in tools]
            return {"type": "allowed_tools", "mode": mode, "tools": named}
    raise unsupported("tool_choice", f"is {choice!r}, which has no counterpart in the Responses API")


def _named(tool: Json, kind: str) -> Json:
    inner = tool.get(kind)
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise not_chat(f"`tool_choice` names no {kind}")
    return {"type": kind, "name": inner["name"]}


def _text(request: _Request) -> Json:
    """Format and length of the answer."""
    fields: Json = {}
    wanted = request.response_format
    if wanted is not None and wanted.type != "text":
        fields["format"] = _flat({"type": wanted.type, "json_schema": wanted.json_schema}, "json_schema")
    if request.verbosity is not None:
        fields["verbosity"] = request.verbosity
    return {"text": fields} if fields else {}


def _flat(value: Json | None, inner: str) -> Json | None:
    """With what stands under `inner` beside the type, as the Responses API has it."""
    if value is None:
        return None
    return {**{k: v for k, v in value.items() if k != inner}, **(value.get(inner) or {})}


def _reported(request: _Request) -> Json:
    """What comes along with the answer."""
    fields: Json = {}
    if request.logprobs:
        fields["include"] = ["message.output_text.logprobs"]
    obfuscation = (request.stream_options or {}).get("include_obfuscation")
    if obfuscation is not None:
        fields["stream_options"] = {"include_obfuscation": obfuscation}
    return fields
