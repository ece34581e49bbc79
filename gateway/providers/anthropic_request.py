"""An OpenAI chat request as an Anthropic Messages request (anthropic-version 2023-06-01). Bytes to bytes, no I/O.

What cannot be carried is refused by name, so that a plan goes on to a target that can. Left out on purpose, since
an answer without them is still an answer to the question: HINTS below, `detail` of an image, `name` of a message,
and `reasoning_content` of earlier turns (unsigned thinking is not accepted back; `thinking_blocks` are).
"""

from __future__ import annotations

import msgspec

from gateway.chat import decode_body
from gateway.providers.anthropic_messages import ChatMessage, anthropic_messages, anthropic_system
from gateway.providers.canonical import Json, Tool
from gateway.providers.unsupported import not_chat, unsupported
from gateway.providers.user_ids import anthropic_user

# Anthropic requires max_tokens. Models that think by default spend it on thinking and answer together, and every
# model it serves today takes at least twice this.
MAX_TOKENS_DEFAULT = 16_384
HINTS = frozenset(
    {
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "seed",  # best effort where it exists; Anthropic has none
        "service_tier",  # but `default`: OpenAI's other tiers are not Anthropic's
        "store",
        "stream_options",  # usage is always counted; who sees it is decided elsewhere
    }
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_NATIVE = ("cache_control", "thinking", "top_k")  # Anthropic's own fields, which callers add for its sake


class _JsonSchema(msgspec.Struct):
    name: str | None = None
    schema: Json | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _Request(msgspec.Struct):
    """The fields that are carried or that have a value which asks for nothing."""

    messages: list[ChatMessage]
    tools: list[Tool] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    reasoning_effort: str | None = None
    cache_control: Json | None = None
    thinking: Json | None = None
    top_k: int | None = None


_CARRIED = frozenset(_Request.__struct_fields__) | {"model", "stream"}
# Fields that are refused unless they ask for what happens anyway.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "functions": ([],),
    "function_call": ("auto", "none"),
}


def anthropic_body(body: bytes, model_id: str, *, is_stream: bool) -> bytes:
    """The body for POST /v1/messages.

    Raises UpstreamError: `unsupported`, naming the field; ClientError if the body is not JSON after all.
    """
    fields: Json = decode_body(body)
    for name, value in fields.items():
        if value is None or name in _CARRIED or name in HINTS:
            continue
        if value not in _NEUTRAL.get(name, ()):
            raise unsupported(name, "has no counterpart in the Anthropic API")
    try:
        request = msgspec.convert(fields, _Request)
    except msgspec.ValidationError as exc:
        raise not_chat(exc) from exc
    translated: Json = {
        "model": model_id,
        "max_tokens": _max_tokens(request),
        "messages": anthropic_messages(request.messages),
        "stream": is_stream,
    }
    translated |= anthropic_system(request.messages) | _tools(request) | _sampling(request) | _output(request)
    user = request.user or request.safety_identifier
    if user:
        translated["metadata"] = {"user_id": anthropic_user(user)}
    if fields.get("service_tier") == "default":
        translated["service_tier"] = "standard_only"
    translated |= {name: value for name in _NATIVE if (value := getattr(request, name)) is not None}
    return msgspec.json.encode(translated)


def _max_tokens(request: _Request) -> int:
    """What the caller set, the newer field first. 0 is not "unset": it must not become thousands of paid tokens."""
    for name in ("max_completion_tokens", "max_tokens"):
        tokens: int | None = getattr(request, name)
        if tokens is not None:
            if tokens < 1:
                raise unsupported(name, f"is {tokens}; Anthropic's is at least 1")
            return tokens
    return MAX_TOKENS_DEFAULT


def _tools(request: _Request) -> Json:
    if not request.tools:
        return {}
    fields: Json = {"tools": [_tool(tool, f"tools[{i}]") for i, tool in enumerate(request.tools)]}
    choice = _tool_choice(request.tool_choice)
    if request.parallel_tool_calls is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        fields["tool_choice"] = choice
    return fields


def _tool(tool: Tool, where: str) -> Json:
    if tool.function is None:
        raise unsupported(where, f"is a {tool.type!r} tool, which has no counterpart in the Anthropic API")
    # Without parameters, the empty object's schema.
    schema = {"type": "object", **(tool.function.parameters or {"properties": {}})}
    fields: Json = {"name": tool.function.name, "input_schema": schema}
    if tool.function.description:
        fields["description"] = tool.function.description
    if tool.function.strict:
        fields["strict"] = True
    return fields if tool.cache_control is None else {**fields, "cache_control": tool.cache_control}


def _tool_choice(choice: str | Json | None) -> Json:
    match choice:
        case None:
            return {}
        case "auto" | "none":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
    raise unsupported("tool_choice", f"is {choice!r}, which has no counterpart in the Anthropic API")


def _sampling(request: _Request) -> Json:
    """Ranges differ: OpenAI's temperature goes to 2, Anthropic's to 1. What lies beyond is refused, not clamped.

    1, the default of both, is left out: newer models refuse the field with any other value.
    """
    fields: Json = {}
    if request.temperature is not None and request.temperature != 1:
        if request.temperature > 1:
            raise unsupported("temperature", f"is {request.temperature:g}; Anthropic's goes from 0 to 1")
        fields["temperature"] = request.temperature
    if request.top_p is not None and request.top_p != 1:
        fields["top_p"] = request.top_p
    stops = [request.stop] if isinstance(request.stop, str) else (request.stop or [])
    if any(not stop.strip() for stop in stops):
        raise unsupported("stop", "holds a sequence of white space only, which Anthropic refuses")
    if stops:
        fields["stop_sequences"] = stops
    return fields


def _output(request: _Request) -> Json:
    """Format and effort of the answer."""
    fields: Json = {}
    config: Json = {}
    wanted = request.response_format
    if wanted is not None and wanted.type != "text":
        if wanted.type != "json_schema" or wanted.json_schema is None or wanted.json_schema.schema is None:
            raise unsupported("response_format", f"is {wanted.type!r}; Anthropic takes a json_schema with its schema")
        config["format"] = {"type": "json_schema", "schema": wanted.json_schema.schema}
    effort = request.reasoning_effort
    if effort == "none":
        fields["thinking"] = {"type": "disabled"}
    elif effort in _EFFORTS:
        config["effort"] = effort
    elif effort is not None:
        raise unsupported("reasoning_effort", f"is {effort!r}; Anthropic's are none, {', '.join(_EFFORTS)}")
    return fields | ({"output_config": config} if config else {})
